#!/usr/bin/env python3
"""Rules of the source that no compiler checks. Each finding is one line,
"file:line: message"; the exit status is 1 when there is any.

usage: lint.py OBJECT-DIRECTORY     (of an unsanitized, complete build)
"""

import collections
import glob
import os
import re
import subprocess
import sys

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
TEST_FILE_LINES_MAX = 1000

# Of common/, what reads the world; the rest is as pure as arithmetic.
IMPURE_COMMON = ("address", "clock", "conf", "json", "log")
PURE_COMMON = r"common/(?!(%s)[_.])" % "|".join(IMPURE_COMMON)
PURE_SYSTEM = r"(std(bool|def|int|lib|arg)|string|limits|inttypes|assert)\.h"

# Which headers a directory may include; the first row that fits a file
# decides. Quoted ones must match the second column, system ones the third,
# and not the fourth.
LIBRARIES = r"event2/|lmdb\.h|jansson\.h|openssl/|ini\.h"
LAYERS = [
    (r"common/json\.", r"common/", r".", r"event2/|lmdb\.h|openssl/|ini\.h"),
    (r"common/conf", r"common/", r".", r"event2/|lmdb\.h|openssl/|jansson"),
    (r"common/", r"common/", r".", LIBRARIES),
    (r"server/raft/", PURE_COMMON + "|raft/", PURE_SYSTEM, r"$."),
    (r"server/store/store_lmdb", r"common/|store/", r".",
     r"event2/|jansson|openssl/|ini\.h"),
    (r"server/store/store_memtable", PURE_COMMON + "|store/",
     PURE_SYSTEM + r"|bsd/sys/tree\.h", r"$."),
    (r"server/store/", r"common/|store/", r".", LIBRARIES),
    (r"server/kv/", PURE_COMMON + r"|kv/|store/store(_memtable)?\.h",
     PURE_SYSTEM + r"|stdio\.h", r"$."),
    (r"server/node/",
     PURE_COMMON + r"|node/|raft/raft\.h|kv/kv(_snapshot|_read)?\.h|store/store\.h",
     PURE_SYSTEM + r"|stdio\.h", r"$."),
    (r"server/net/", r"common/|net/|raft/raft\.h|node/transport\.h", r".",
     r"lmdb\.h|ini\.h"),
    (r"server/api/",
     r"common/|api/|net/(http|http_uri|http_server|http_client|peer|loop)\.h"
     r"|node/(node|transport)\.h|kv/kv(_read|_command)?\.h", r".", LIBRARIES),
    (r"server/", r"common/|[a-z]+/[a-z_]+\.h|[a-z_]+\.h", r".",
     r"event2/|lmdb\.h|jansson|ini\.h"),
    (r"tests/", r".", r".", r"$."),
]

# Libraries end in their layer: undefined symbols by object.
LIBRARY_SYMBOLS = [
    (r"mdb_", r"server/store/store_lmdb", "LMDB belongs to store_lmdb*.c"),
    (r"(event|evbuffer|bufferevent|evutil)_", r"server/net/",
     "libevent belongs to server/net"),
    (r"(EVP|HMAC|RAND|SSL|CRYPTO|OPENSSL)_", r"server/(net/|[a-z_]+\.o)",
     "OpenSSL belongs to server/net and server/*.c"),
    (r"ini_", r"common/conf", "libinih belongs to common/conf*.c"),
    (r"clock_gettime|gettimeofday|time$", r"common/clock\.o",
     "clocks are read in common/clock.c only"),
    (r"(malloc|calloc|realloc|strdup|strndup)$", r"common/mem\.o",
     "memory comes from common/mem.h"),
]

# All that the pure layers may take from outside of themselves.
PURE_SYMBOLS = re.compile(
    r"mem(cpy|move|set|cmp|chr)$|__mem(cpy|move|set)_chk$"
    r"|str(len|cmp|ncmp|chr|nlen)$|__stack_chk_fail$|free$|qsort$|bsearch$"
    r"|v?snprintf$|__v?snprintf_chk$|_GLOBAL_OFFSET_TABLE_$"
    r"|XXH3_64bits_withSeed$|__cpu_model$")
PURE_OBJECTS = re.compile(
    r"server/(raft|kv|node)/|server/store/store(_memtable.*)?\.o$|" + PURE_COMMON)
# They end the process or make memory: the purer for those who call them.
PURE_EXCEPT = ("common/panic.o", "common/mem.o")

# They take the place of the C library, for a daemon that knows nothing of it.
PRELOADED = "tests/preload/"

# Calls that are never made, and what to use.
EVERYWHERE = r""
PRODUCT = r"(common|server)/"
LIBRARY_CODE = r"(common|server/[a-z]+)/"
BANNED = [
    (r"strcpy|strncpy|stpcpy|strcat|strncat", EVERYWHERE, "",
     "use struct buf"),
    (r"v?sprintf", EVERYWHERE, "", "use buf_printf or snprintf"),
    (r"strtok|strtok_r", EVERYWHERE, "", "walk a struct slice"),
    (r"ato(i|l|ll|f)|[fs]?scanf", EVERYWHERE, "", "use text_parse_u64"),
    (r"gets", EVERYWHERE, "", "read with a size"),
    (r"s?rand|s?random|[delmnj]rand48|rand_r", EVERYWHERE, "",
     "use common/rng.h"),
    (r"time|gettimeofday|clock_gettime|localtime(_r)?", EVERYWHERE,
     r"common/clock\.c", "use common/clock.h"),
    (r"assert", EVERYWHERE, "", "use ASSERT, or ck_assert in tests"),
    (r"u?sleep|nanosleep", EVERYWHERE, "", "wait for an event"),
    (r"malloc|calloc|realloc|strdup|strndup", PRODUCT, r"common/mem\.c",
     "use common/mem.h"),
    (r"alloca", EVERYWHERE, "", "use common/mem.h"),
    (r"getaddrinfo|gethostby\w+|system|popen", PRODUCT, "",
     "it blocks the loop"),
    (r"abort|exit|_exit|_Exit", LIBRARY_CODE, r"common/panic\.c",
     "use ASSERT or fatal, or return an error"),
    (r"printf|puts|putchar|perror|fprintf|fputs|vfprintf", LIBRARY_CODE,
     r"common/panic\.c", "use common/log.h, or return an error"),
    (r"pthread_\w+|thrd_\w+", PRODUCT, "", "there are no threads"),
]

WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
COMMENT_OR_STRING = re.compile(
    r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

findings = []


def report(path, line, message):
    findings.append((path, line, message))


def blank(match):
    """A comment or literal without its content, but with its lines."""
    text = match.group(0)
    if text[0] == "/":
        return "\n" * text.count("\n") or " "
    return text[0] + text[-1]


def check_includes(path, text):
    layer = next((row for row in LAYERS if re.match(row[0], path)), None)
    if layer is None:
        report(path, 1, "no layer of scripts/lint.py covers this directory")
        return
    _, quoted, system, banned = layer
    folder = (os.path.dirname(path) + "/").removeprefix("server/")
    seen = []
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'#include ([<"])(.*)[>"]$', line)
        if match is None:
            continue
        name = match.group(2)
        seen.append((number, name))
        if match.group(1) == "<":
            allowed = re.match(system, name) and not re.match(banned, name)
        else:
            allowed = re.match(quoted, name)
        if not allowed:
            report(path, number, "this layer may not include " + name)
        if name.endswith("_impl.h") and not path.startswith("tests/") \
                and name[:name.rfind("/") + 1] != folder:
            report(path, number, name + " is private to its directory")
    own = folder + os.path.splitext(os.path.basename(path))[0] + ".h"
    own_line = next((number for number, name in seen if name == own), None)
    if path.endswith(".c") and own_line and own_line != seen[0][0]:
        report(path, own_line, "a source file includes its own header first")


def check_calls(path, code):
    for names, where, except_in, advice in BANNED:
        if not re.match(where, path) or \
                (except_in and re.match(except_in, path)):
            continue
        for number, line in enumerate(code, 1):
            match = re.search(r"(?<![\w.>])(%s)\(" % names, line)
            if match is not None:
                report(path, number,
                       "%s is banned: %s" % (match.group(1), advice))


def check_lines(path, code):
    limit = TEST_FILE_LINES_MAX if path.startswith("tests/") \
        else FILE_LINES_MAX
    if len(code) > limit:
        report(path, limit, "the file has %d lines, the limit is %d"
               % (len(code), limit))
    for number, line in enumerate(code, 1):
        if "//" in line:
            report(path, number, "write comments as /* */")
        if path.startswith("server/raft/") and path[-12:] != "/raft_role.c" \
                and re.search(r"\braft->role = ", line):
            report(path, number, "roles change in raft_role.c only")
        if path.endswith(".c") and re.match(r"extern\b", line):
            report(path, number, "declare it in a header")


def check_functions(path, code):
    """In KNF a function's name and its two braces begin a line."""
    name, begin = "", 0
    inside = False
    for number, line in enumerate(code, 1):
        match = re.match(r"(\w+)\(", line)
        if match is not None and not inside:
            name, begin = match.group(1), number
            if name == "START_TEST":
                name = line
        elif line == "{":
            inside = True
        elif line == "}" and inside:
            inside = False
            if number - begin + 1 > FUNCTION_LINES_MAX:
                report(path, begin, "%s has %d lines, the limit is %d"
                       % (name, number - begin + 1, FUNCTION_LINES_MAX))


def check_source(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for number, line in enumerate(text.split("\n"), 1):
        match = WORDS.search(line)
        if match is not None:
            report(path, number, match.group(1) + " belongs to the tracker")
    if path.endswith((".c", ".h")):
        code = COMMENT_OR_STRING.sub(blank, text).rstrip("\n").split("\n")
        check_includes(path, text)
        check_calls(path, code)
        check_lines(path, code)
        check_functions(path, code)


def read_symbols(directory):
    """For each object, by its path below `directory`: defined, undefined."""
    objects = {}
    paths = sorted(glob.glob(directory + "/**/*.o", recursive=True))
    for path in paths:
        name = os.path.relpath(path, directory)
        # An object without its source is left over from a rename.
        if os.path.exists(name[:-2] + ".c"):
            objects[name] = (set(), set())
    output = subprocess.run(
        ["nm", "-A", "-P", "-g"] + [directory + "/" + o for o in objects],
        check=True, capture_output=True, text=True).stdout
    for line in output.splitlines():
        path, symbol, kind = line.split()[:3]
        defined, undefined = objects[os.path.relpath(path[:-1], directory)]
        (undefined if kind in "Uw" else defined).add(symbol)
    return objects


def check_symbols(objects):
    pure = {name for name in objects if PURE_OBJECTS.match(name)}
    pure_defined = set().union(*(objects[name][0] for name in pure))
    for name, (_, undefined) in objects.items():
        if name.startswith("tests/"):
            continue
        for symbol in sorted(undefined):
            for pattern, where, message in LIBRARY_SYMBOLS:
                if re.match(pattern, symbol) and not re.match(where, name):
                    report(name[:-2] + ".c", 1,
                           "uses %s: %s" % (symbol, message))
            if name in pure and name not in PURE_EXCEPT and \
                    symbol not in pure_defined and \
                    not PURE_SYMBOLS.match(symbol):
                report(name[:-2] + ".c", 1,
                       "uses %s: a pure layer may not" % symbol)


def check_unused(objects):
    """What no other object uses is dead, or should be static."""
    users = collections.Counter()
    for _, undefined in objects.values():
        users.update(undefined)
    for name, (defined, _) in objects.items():
        for symbol in sorted(defined):
            if users[symbol] == 0 and not name.startswith(PRELOADED) and \
                    not re.match("(main|LLVMFuzz.*|__wrap_.*)$", symbol):
                report(name[:-2] + ".c", 1,
                       symbol + " is used nowhere else: dead, or static")


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for pattern in ("common/*.[ch]", "server/**/*.[ch]", "tests/**/*.[ch]",
                    "tests/**/*.py", "scripts/*.sh"):
        for path in sorted(glob.glob(pattern, recursive=True)):
            check_source(path)
    objects = read_symbols(sys.argv[1])
    check_symbols(objects)
    check_unused(objects)
    for path, line, message in sorted(findings):
        print("%s:%d: %s" % (path, line, message))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
