#!/usr/bin/env python3
"""
Tests the tests: bugs that systems like this one had, each put back into a copy
of the tree, one at a time, and the simulator (or named tests) run until the
first failure. A bug that nothing finds is a failure, and so is a patch that
does not apply or build. At the end the tree as it is has to pass all that the
bugs were found with, over the same seeds. The last line is 'N passed, N failed'.

A bug is a file NAME.patch beside this one: a unified diff of common/ or
server/, with fields before it, each of which may go on in indented lines:

  Bug:        what is wrong, in a sentence
  Seen:       where such a bug was found, and what came of it
  Caught by:  sim PROFILE..., unit SUITE..., or proc FILE.NAME...

What was found is kept in build/mutants.jsonl and not looked for again until the
patch, or anything that is built with it, changes.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build" / "mutants.jsonl"
CONTROL = "control"

# A campaign of the simulator ends with one of these; most bugs need few seeds.
STEPS = (25, 100, 400, 1000)
# No build, campaign or test takes nearly as long: then the bug is an endless
# loop, which shows nothing about the checks.
SECONDS_MAX = 1800

# What each means is built from; the target that make builds for it.
COMMON = ("Makefile", "common", "server", "tests/lib")
MEANS = {
    "sim": ("sim", COMMON + ("tests/sim",)),
    "unit": ("unit", COMMON + ("tests/unit",)),
    "proc": ("all", COMMON + ("tests/proc", "scripts", "conf")),
}
COPIED = ("Makefile", "README.md", "common", "server", "tests", "scripts",
          "conf", "build/command", "build/obj")


class Trouble(Exception):
    """The bug could not be put to the test; the text says why."""


# ---- Patches ----

HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")
FIELDS = ("Bug", "Seen", "Caught by")


class Hunk:
    def __init__(self, line):
        self.line = line  # where the old text begins, from 0
        self.old = []
        self.new = []

    def add(self, text):
        if text[:1] not in (" ", "-", "+"):
            raise Trouble(f"not a line of a diff: {text!r}")
        if text[0] != "+":
            self.old.append(text[1:])
        if text[0] != "-":
            self.new.append(text[1:])

    def place_in(self, lines):
        """The place nearest to the one named where all the old text is."""
        places = [i for i in range(len(lines) - len(self.old) + 1)
                  if lines[i:i + len(self.old)] == self.old]
        if not places:
            raise Trouble(f"nothing fits the hunk at line {self.line + 1}")
        return min(places, key=lambda place: abs(place - self.line))


def parse_fields(lines):
    fields = {}
    name = None
    for line in lines:
        match = re.match(r"([A-Z][A-Za-z ]*): +(\S.*)", line)
        if match:
            name = match.group(1)
            fields[name] = match.group(2)
        elif line.strip() != "" and name is not None:
            fields[name] += " " + line.strip()
    return fields


class Mutant:
    def __init__(self, path):
        self.name = path.stem
        self.text = path.read_text()
        lines = self.text.splitlines()
        self.hunks = {}  # path below the root: hunks
        hunks = None
        begin = len(lines)
        for number, line in enumerate(lines):
            if line.startswith("--- a/"):
                hunks = self.hunks.setdefault(line[len("--- a/"):], [])
                begin = min(begin, number)
            elif HUNK.match(line) and hunks is not None:
                hunks.append(Hunk(int(HUNK.match(line).group(1)) - 1))
            elif hunks and not line.startswith("+++ "):
                hunks[-1].add(line)
        self.read_fields(parse_fields(lines[:begin]))

    def read_fields(self, fields):
        missing = [name for name in FIELDS if name not in fields]
        if missing:
            raise Trouble(f"{self.name}: no field {missing[0]!r}")
        self.bug = fields["Bug"]
        self.means, *self.arguments = fields["Caught by"].split()
        if self.means not in MEANS or not self.arguments:
            raise Trouble(f"{self.name}: caught by {fields['Caught by']!r}?")
        if not self.hunks or not all(self.hunks.values()):
            raise Trouble(f"{self.name}: no diff")

    def changed(self, root):
        """The text of each file with the bug."""
        texts = {}
        for name, hunks in self.hunks.items():
            if not name.startswith(("common/", "server/")):
                raise Trouble(f"{self.name}: {name} is not the product")
            lines = (root / name).read_text().splitlines()
            for hunk in hunks:
                try:
                    place = hunk.place_in(lines)
                except Trouble as trouble:
                    raise Trouble(
                        f"{self.name}: {name}: {trouble}") from None
                lines[place:place + len(hunk.old)] = hunk.new
            texts[name] = "\n".join(lines) + "\n"
        return texts


def load_mutants(directory):
    return [Mutant(path) for path in sorted(directory.glob("*.patch"))]


def check(directory):
    """Does every patch say what it is, and apply?"""
    failed = 0
    paths = sorted(directory.glob("*.patch"))
    for path in paths:
        try:
            Mutant(path).changed(ROOT)
        except Trouble as trouble:
            print(f"FAIL {trouble}")
            failed += 1
    print(f"{len(paths) - failed} passed, {failed} failed")
    return failed == 0 and paths != []


# ---- Working copies ----

class Copy:
    """A copy of the tree, in which one bug at a time is built."""

    def __init__(self, base, number):
        self.directory = pathlib.Path(base) / f"tree{number}"
        self.directory.mkdir()
        self.changed = {}
        self.process = None
        for name in COPIED:
            source = ROOT / name
            target = self.directory / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=lambda *_: (
                    "__pycache__", "golden.new"))
            elif source.exists():
                target.parent.mkdir(exist_ok=True)
                shutil.copy2(source, target)
        self.environment = dict(os.environ, CCACHE_NOHASHDIR="1")
        self.environment.pop("MAKEFLAGS", None)
        ccache = pathlib.Path("/usr/lib/ccache")
        if ccache.is_dir():
            self.environment["PATH"] = f"{ccache}:{os.environ['PATH']}"

    def run(self, command):
        """Its status and output; whatever it started ends with it."""
        self.process = subprocess.Popen(
            command, cwd=self.directory, env=self.environment, text=True,
            errors="replace", stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True)
        try:
            output, _ = self.process.communicate(timeout=SECONDS_MAX)
        except subprocess.TimeoutExpired:
            raise Trouble(f"no end within {SECONDS_MAX} s: "
                          f"{' '.join(command)}") from None
        finally:
            self.stop()
        return self.process.returncode, output

    def stop(self):
        """Ends what run() has started."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def put_in(self, mutant):
        for name, text in mutant.changed(self.directory).items():
            path = self.directory / name
            self.changed[path] = path.read_text()
            path.write_text(text)

    def take_out(self):
        for path, text in self.changed.items():
            path.write_text(text)
        self.changed = {}

    def build(self, target):
        status, output = self.run(["make", "--no-print-directory", target])
        if status != 0:
            lines = [line for line in output.splitlines() if "error" in line]
            raise Trouble("does not build: " + (lines or [output])[0])


# ---- Looking for it ----

class Outcome:
    def __init__(self, count):
        self.caught_by = None
        self.count = count  # of seeds, or tests, that were run
        self.message = ""


def reason_of(output):
    """Why a simulated run failed; an assertion says more than a signal."""
    match = re.search(r"^FAILED seed (\d+): (.*)$", output, re.M)
    if match is None:
        return None, None
    said = re.search(r"^(assertion failed|fatal): .*$", output, re.M)
    reason = match.group(2)
    if said is not None:
        reason = said.group(0)
    return int(match.group(1)), reason


def steps_to(last):
    return [step for step in STEPS if step < last] + [last]


def run_seeds(copy, profile, first, last):
    _, output = copy.run(["build/sim", "--seeds", f"{first}..{last}",
                          "--profile", profile])
    return reason_of(output)


def search_by_sim(copy, profiles, seeds_max):
    """Growing ranges of seeds, of all profiles, until the first failure."""
    outcome = Outcome(0)
    first = 1
    for last in steps_to(max(seeds_max // len(profiles), 1)):
        for profile in profiles:
            seed, reason = run_seeds(copy, profile, first, last)
            if seed is not None:
                outcome.count += seed - first + 1
                outcome.caught_by = f"sim {profile}"
                outcome.message = f"seed {seed}: {reason}"
                return outcome
            outcome.count += last - first + 1
        first = last + 1
    return outcome


def search_by_units(copy, suites):
    outcome = Outcome(len(suites))
    status, output = copy.run(["build/unit", *suites])
    if status == 0:
        return outcome
    match = re.search(r"^[^ ]+:\d+:[FE]:[^:]*:(\w+):\d+: (.*)$", output, re.M)
    if match is None:
        raise Trouble(f"build/unit: {output[-300:]}")
    outcome.caught_by = f"unit {match.group(1)}"
    outcome.message = match.group(2)
    return outcome


def search_by_daemons(copy, names):
    outcome = Outcome(0)
    for name in names:
        outcome.count += 1
        status, output = copy.run(["tests/proc/run.py", "-k", name])
        match = re.search(r"^FAIL +(\S+) +[0-9.]+ s +(.*)$", output, re.M)
        if status == 0:
            continue
        if match is None:
            raise Trouble(f"run.py -k {name}: {output[-300:]}")
        outcome.caught_by = f"proc {match.group(1)}"
        outcome.message = match.group(2)
        return outcome
    return outcome


def search(copy, mutant, seeds_max):
    copy.build(MEANS[mutant.means][0])
    if mutant.means == "sim":
        return search_by_sim(copy, mutant.arguments, seeds_max)
    if mutant.means == "unit":
        return search_by_units(copy, mutant.arguments)
    return search_by_daemons(copy, mutant.arguments)


# ---- Results ----

def digest_tree(names):
    digest = hashlib.sha256()
    for name in names:
        path = ROOT / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if not file.is_file() or "__pycache__" in file.parts:
                continue
            digest.update(str(file.relative_to(ROOT)).encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


class Results:
    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.rows = {}
        self.trees = {means: digest_tree(names)
                      for means, (_, names) in MEANS.items()}
        if path.exists():
            for line in path.read_text().splitlines():
                row = json.loads(line)
                self.rows[row["name"]] = row

    def digest(self, means, text):
        return hashlib.sha256(
            (self.trees[means] + text).encode()).hexdigest()[:32]

    def find(self, name, digest, seeds_max):
        row = self.rows.get(name)
        if row is None or row["hash"] != digest:
            return None
        return row if row["passed"] or row["limit"] >= seeds_max else None

    def keep(self, row):
        with self.lock:
            self.rows[row["name"]] = row
            self.path.parent.mkdir(exist_ok=True)
            with self.path.open("a") as file:
                file.write(json.dumps(row) + "\n")


def print_row(row, bug):
    unit = "seeds" if row["means"] == "sim" else "tests"
    verdict = "ok  " if row["passed"] else "FAIL"
    print(f"{verdict} {row['name']:<32} {row['caught_by'] or '-':<44} "
          f"{row['count']:>5} {unit} {row['seconds']:>6.1f} s")
    print(f"       {bug}")
    print(f"    -> {row['message']}", flush=True)


def make_row(name, means, digest, limit):
    return {"name": name, "means": means, "hash": digest, "limit": limit,
            "passed": False, "caught_by": "", "count": 0, "seconds": 0,
            "message": ""}


def test_mutant(copy, mutant, digest, seeds_max):
    row = make_row(mutant.name, mutant.means, digest, seeds_max)
    began = time.monotonic()
    try:
        copy.put_in(mutant)
        outcome = search(copy, mutant, seeds_max)
        row["passed"] = outcome.caught_by is not None
        row["caught_by"] = outcome.caught_by
        row["count"] = outcome.count
        row["message"] = outcome.message or "SURVIVES: nothing finds it"
    except Trouble as trouble:
        row["message"] = str(trouble)
    finally:
        copy.take_out()
    row["seconds"] = round(time.monotonic() - began, 1)
    return row


# ---- Control: what finds the bugs finds nothing where there are none ----

def control_plan(mutants, results):
    """The last seed of each profile, and the tests, that were needed."""
    seeds = {}
    tests = {"unit": set(), "proc": set()}
    for mutant in mutants:
        row = results.rows[mutant.name]
        if mutant.means != "sim":
            tests[mutant.means].update(mutant.arguments)
        elif row["passed"]:
            profile = row["caught_by"].split()[1]
            last = int(re.match(r"seed (\d+)", row["message"]).group(1))
            seeds[profile] = max(seeds.get(profile, 0), last)
    return seeds, {means: sorted(names) for means, names in tests.items()}


def run_control(copy, seeds, tests):
    """What failed, or None."""
    for profile, last in seeds.items():
        copy.build("sim")
        seed, reason = run_seeds(copy, profile, 1, last)
        if seed is not None:
            return f"{profile}, seed {seed}: {reason}"
    for means, look in (("unit", search_by_units), ("proc", search_by_daemons)):
        if not tests[means]:
            continue
        copy.build(MEANS[means][0])
        outcome = look(copy, tests[means])
        if outcome.caught_by is not None:
            return f"{outcome.caught_by}: {outcome.message}"
    return None


def test_control(copy, mutants, results):
    seeds, tests = control_plan(mutants, results)
    plan = json.dumps([seeds, tests], sort_keys=True)
    digest = results.digest("sim", results.digest("unit", results.digest(
        "proc", plan)))
    row = results.find(CONTROL, digest, 0)
    if row is None:
        row = make_row(CONTROL, "sim", digest, 0)
        began = time.monotonic()
        try:
            failure = run_control(copy, seeds, tests)
        except Trouble as trouble:
            failure = str(trouble)
        row["passed"] = failure is None
        row["count"] = sum(seeds.values())
        row["message"] = failure or "nothing fails"
        row["seconds"] = round(time.monotonic() - began, 1)
        results.keep(row)
    print_row(row, "The tree as it is: " + ", ".join(
        [f"{profile} 1..{last}" for profile, last in sorted(seeds.items())] +
        [f"{len(names)} {means}" for means, names in tests.items() if names]))
    return row["passed"]


# ---- All of it ----

class Session:
    """One run of the whole table, over some working copies."""

    def __init__(self, results, arguments, base):
        self.results = results
        self.arguments = arguments
        self.copies = [Copy(base, i) for i in range(arguments.jobs)]
        self.free = queue.Queue()
        for copy in self.copies:
            self.free.put(copy)

    def test(self, mutant):
        seeds_max = self.arguments.seeds
        digest = self.results.digest(mutant.means, mutant.text)
        row = self.results.find(mutant.name, digest, seeds_max)
        if row is None or self.arguments.again:
            copy = self.free.get()
            try:
                row = test_mutant(copy, mutant, digest, seeds_max)
            finally:
                self.free.put(copy)
            self.results.keep(row)
        with self.results.lock:
            print_row(row, mutant.bug)
        return row["passed"]

    def test_all(self, mutants):
        pool = concurrent.futures.ThreadPoolExecutor(self.arguments.jobs)
        try:
            passed = list(pool.map(self.test, mutants))
            passed.append(
                test_control(self.copies[0], mutants, self.results))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for copy in self.copies:
                copy.stop()
            pool.shutdown()
        return passed


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, metavar="J",
                        help="test so many bugs at once (default 2)")
    parser.add_argument("--seeds", type=int, default=2000, metavar="N",
                        help="give up after so many seeds (default 2000)")
    parser.add_argument("--only", action="append", metavar="NAME",
                        help="this one alone; may be given several times")
    parser.add_argument("--again", action="store_true",
                        help="also what was found before")
    parser.add_argument("--list", action="store_true",
                        help="name all bugs and end")
    parser.add_argument("--check", action="store_true",
                        help="see whether all patches apply and end")
    parser.add_argument("--patches", type=pathlib.Path, metavar="DIRECTORY",
                        default=pathlib.Path(__file__).resolve().parent,
                        help="other patches than those beside this file")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    if arguments.check:
        return 0 if check(arguments.patches) else 1
    try:
        mutants = load_mutants(arguments.patches)
    except Trouble as trouble:
        sys.exit(f"mutants: {trouble}")
    if arguments.only:
        unknown = set(arguments.only) - {mutant.name for mutant in mutants}
        if unknown:
            sys.exit(f"mutants: no such bug: {' '.join(sorted(unknown))}")
        mutants = [mutant for mutant in mutants
                   if mutant.name in arguments.only]
    if arguments.list:
        for mutant in mutants:
            print(f"{mutant.name}: {mutant.bug}")
        return 0
    os.nice(10)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    with tempfile.TemporaryDirectory(prefix="luminous-mutants-") as base:
        session = Session(Results(RESULTS), arguments, base)
        passed = session.test_all(mutants)
    print(f"{passed.count(True)} passed, {passed.count(False)} failed")
    return 0 if mutants and all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
