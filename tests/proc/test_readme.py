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
