"""Power cuts of the real daemon, a few of each kind; power_cuts.py has more."""

import pathlib
import re
import shutil

from lib import cuts, trace
from lib.cluster import Cluster
from lib.testing import expect, expect_equal

FIGURES = re.compile(r"^(\d+) images:|^(\d+) behind a promise", re.M)


def expect_good(test, recording, images, *arguments):
    status, output = recording.cut(images, *arguments)
    expect_equal(status, 0, f"status of power-cut:\n{output}")
    checked, promised = (int(first or second) for first, second
                         in FIGURES.findall(output))
    expect(promised >= images // 10, f"too little was tested:\n{output}")
    test.note(f"{checked} images, {promised} behind a promise")


def start_on(test, recording, image, revision):
    cluster = Cluster(test, size=1, directory=test.directory / "real")
    node = cluster.nodes[0]
    shutil.rmtree(node.data, ignore_errors=True)
    if (image / "n1").exists():
        shutil.copytree(image / "n1", node.data)
    node.start()
    node.wait_ready()
    answered = node.get_cluster()["revision"]
    expect(answered >= revision,
           f"{image}: revision {answered}, answered was {revision}")
    items = node.get_items(recording.history.state(answered))
    for key, value in recording.history.state(answered).items():
        expect(items[key] is not None and items[key]["value"] == value,
               f"{image}: {key} is not as at revision {answered}")
    node.stop()


def test_D7_power_cut_at_the_first_start(test):
    """
    Un-synced writes lost in any way, from the very first call on. On some of
    the images the daemon itself is started.
    """
    recording = cuts.record_first_start(test)
    kept = test.directory / "kept"
    kept.mkdir()
    expect_good(test, recording, 150, "--keep", kept, "--keep-count", 6)
    cases = [line.split() for line in
             (kept / "cuts").read_text().splitlines()]
    for number, revision in cases:
        start_on(test, recording, kept / number, int(revision))
    test.note(f"{len(cases)} starts of the daemon")


def test_D7_power_cut_under_writes(test):
    expect_good(test, cuts.record_writes(test), 120)


def test_D7_power_cut_of_one_that_votes(test):
    expect_good(test, cuts.record_votes(test), 60)


def test_sync_that_is_left_out_is_caught(test):
    """What would be found if the daemon forgot one."""
    recording = cuts.record_first_start(test)
    syncs = trace.count_syncs(recording.read_trace(), "n1/log/journal")
    expect(len(syncs) > 5, f"{len(syncs)} syncs of the journal")
    status, output = recording.cut(700, "--drop-sync", syncs[-1])
    expect_equal(status, 1, f"status without sync {syncs[-1]}:\n{output}")
    # By what is behind it in the same file, the hole may even be seen.
    expect("answered was" in output or "stored data is damaged" in output,
           f"what was found:\n{output}")


# ---- The recorder itself ----

CALLS = ("open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,rmdir,unlink,"
         "unlinkat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,"
         "truncate,ftruncate,fallocate,write,writev,pwrite64,pwritev,pwritev2,"
         "fsync,fdatasync,sync,syncfs,sync_file_range,msync,mmap,"
         "copy_file_range,sendfile,splice,io_uring_setup")
# The recorder makes the newer calls for the older ones.
KINDS = {
    "mkdirat": "mkdir", "unlinkat": "remove", "renameat": "rename",
    "ftruncate": "truncate", "write": "write", "writev": "write", "pwrite64": "write",
    "pwritev": "write", "fsync": "sync", "fdatasync": "sync", "mmap": "map",
}
CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (\S+)")
IN_DIRECTORY = re.compile(r'^(?:\d+|AT_FDCWD)<([^>]*)>, "([^"]*)"')
FILE = re.compile(r"\d+<(/[^>]*)>")


def path_in(call, arguments):
    """What the call is about, as strace shows it; None: nothing by name."""
    if KINDS.get(call) in ("mkdir", "remove", "rename"):
        directory, name = IN_DIRECTORY.match(arguments).groups()
        return str(pathlib.PurePosixPath(directory, name))
    match = FILE.search(arguments)
    return match.group(1) if match else None


def changes_seen(lines, root):
    """(kind, path) of each call that changed something below the root."""
    seen = []
    made = set()
    for line in lines:
        match = CALL.match(line)
        if match is None or match.group(3) == "-1":
            continue
        call, arguments, result = match.groups()
        if call in ("open", "openat"):
            path = FILE.match(result)
            path = path.group(1) if path else ""
            kind = "create" if "O_CREAT" in arguments and \
                path not in made else None
        else:
            kind, path = KINDS.get(call, call), path_in(call, arguments)
        if call == "mmap" and not ("MAP_SHARED" in arguments and
                                   "PROT_WRITE" in arguments):
            continue
        if kind is None or path is None or not path.startswith(root):
            continue
        if kind in ("create", "remove"):
            (made.add if kind == "create" else made.discard)(path)
        seen.append((kind, path[len(root):].removesuffix(" (deleted)")))
    return seen


def test_recorder_misses_no_call(test):
    """A member's life with a snapshot in it, by strace and by the recorder."""
    recording = cuts.Recording(test, size=3)
    output = test.directory / "strace"
    cuts.record_late_member(recording, [
        "strace", "-D", "-f", "-qq", "-y", "-A", "-o", str(output),
        "-e", f"trace={CALLS}"])
    root = f"{recording.root}/"
    with open(output, errors="replace") as file:
        wanted = changes_seen(file, root[:-1])
    got = [(record.kind, "/" * bool(record.path) + record.path.split("\0")[0]
            .removesuffix(" (deleted)"))
           for record in recording.read_trace() if record.kind != "send"]
    kinds = {kind for kind, _ in wanted}
    expect(kinds == {"create", "mkdir", "remove", "write", "truncate", "sync",
                     "map"}, f"strace saw {kinds}")
    for number, (one, other) in enumerate(zip(wanted, got)):
        expect_equal(other, one, f"call {number}, as strace saw it")
    expect_equal(len(got), len(wanted), "number of calls")
    test.note(f"{len(got)} calls")
