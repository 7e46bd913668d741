"""The bugs that are put back one at a time (make mutants): do they still fit?"""

import pathlib
import subprocess

from lib.testing import expect, expect_equal, expect_in

MUTANTS = pathlib.Path(__file__).resolve().parents[1] / "mutants"
NEEDED = 44

FOREIGN = """Bug: A line is changed that is not there.
Seen: in this test.
Caught by: sim mix

--- a/server/raft/raft.c
+++ b/server/raft/raft.c
@@ -1,2 +1,2 @@
-no such line
+no such line either
"""


def check(directory):
    """Exit status and output of a look at the patches in it."""
    done = subprocess.run(
        [MUTANTS / "mutants.py", "--check", "--patches", directory],
        text=True, capture_output=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_every_patch_applies(test):
    status, output = check(MUTANTS)
    expect_equal(status, 0, f"status of {output}")
    count = len(list(MUTANTS.glob("*.patch")))
    expect(count >= NEEDED, f"{count} bugs, wanted {NEEDED}")
    expect_in(f"{count} passed, 0 failed", output, "the summary")


def test_a_patch_that_does_not_apply_is_found(test):
    (test.directory / "foreign.patch").write_text(FOREIGN)
    status, output = check(test.directory)
    expect_equal(status, 1, f"status of {output}")
    expect_in("foreign: server/raft/raft.c: nothing fits", output,
              "the finding")
    (test.directory / "foreign.patch").unlink()
    status, _ = check(test.directory)
    expect_equal(status, 1, "status where there are no patches")
