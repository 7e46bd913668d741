"""
The commands of README.md. A block behind a line <!-- test: NAME --> is run as
it stands, and what it prints contains, in this order, each '# -> TEXT'.
"""

import re

from lib.cluster import REPOSITORY
from lib.scratch import Scratch
from lib.testing import Failure, expect, wait_for

BLOCK = re.compile(r"^<!-- test: (\S+) -->\n```sh\n(.*?)^```$", re.M | re.S)


def find_blocks():
    text = (REPOSITORY / "README.md").read_text()
    return BLOCK.findall(text)


def check_output(name, block, output):
    rest = output
    for wanted in re.findall(r"^# -> (.*)$", block, re.M):
        place = rest.find(wanted)
        if place < 0:
            raise Failure(f"block {name} does not print {wanted!r}: "
                          f"{output.strip()[-500:]}")
        rest = rest[place + len(wanted):]


def test_the_tour(test):
    """Against a running cluster, all blocks one after another."""
    blocks = find_blocks()
    expect(blocks, "README.md has no block that is marked as a test")
    tree = Scratch(test)
    tree.run("make", "all")
    tree.run("scripts/cluster.sh", "start")

    def is_ready():
        return tree.try_run("curl", "-fs", "localhost:5864/readyz")[0] == 0

    wait_for("the cluster is ready", is_ready)
    for name, block in blocks:
        status, output = tree.try_run("bash", "-e", "-o", "pipefail", "-c",
                                      block)
        expect(status == 0,
               f"block {name}: status {status}: {output.strip()[-500:]}")
        check_output(name, block, output)
    tree.run("scripts/cluster.sh", "stop")
    test.note(f"{len(blocks)} blocks")


def test_paths_in_the_readme_exist(test):
    """The tour of the source names what is there."""
    text = (REPOSITORY / "README.md").read_text()
    paths = set(re.findall(
        r"`((?:server|common|conf|tests|scripts)/[\w./*@-]+)`", text))
    expect(paths, "README.md names no files")
    missing = [path for path in sorted(paths)
               if not list(REPOSITORY.glob(path.rstrip("/")))]
    expect(not missing, f"not there: {missing}")
    test.note(f"{len(paths)} paths")


def names_of(pattern, *paths):
    """What the pattern finds in files of the tree."""
    return {name for path in paths
            for file in REPOSITORY.glob(path)
            for name in re.findall(pattern, file.read_text(), re.M)}


def known_names():
    """What tests/README.md may name, by the kind that it writes before."""
    processes = {f"{file.stem[5:]}.{name}"
                 for file in (REPOSITORY / "tests/proc").glob("test_*.py")
                 for name in re.findall(r"^def test_(\w+)", file.read_text(),
                                        re.M)}
    return {
        "": processes,
        "unit": names_of(r"^SUITE\((\w+)\)", "tests/unit/suites.h"),
        "sim": names_of(r"\((\w+)\)", "tests/sim/sim_counters.h") |
        names_of(r'"(\w+)"', "tests/sim/sim_config.c"),
        "torture": names_of(r'^    "([a-z-]+)": \(', "tests/torture/nemesis.py"),
        "fuzz": {path.name for path in
                 (REPOSITORY / "tests/fuzz/corpus").iterdir()},
        "mutant": {path.stem for path in
                   (REPOSITORY / "tests/mutants").glob("*.patch")},
    }


def test_what_the_page_of_tests_names(test):
    """Each test that tests/README.md names is there."""
    text = (REPOSITORY / "tests/README.md").read_text()
    known = known_names()
    kinds = "|".join(kind for kind in known if kind)
    named = re.findall(rf"`(?:({kinds}) )?([a-z]\w*\.\w+|(?<= )[a-z][\w-]*)`",
                       text)
    expect(len(named) > 200, f"it names {len(named)} tests only")
    placeholders = {"NAME"}
    missing = [f"{kind} {name}".strip() for kind, name in named
               if name not in known[kind] and name not in placeholders]
    expect(not missing, f"not there: {missing}")
    paths = set(re.findall(r"`((?:tests|scripts)/[\w./*@-]+)`", text))
    missing = [path for path in sorted(paths)
               if not list(REPOSITORY.glob(path.rstrip("/")))]
    expect(not missing, f"not there: {missing}")
    test.note(f"{len(named)} tests")
