"""scripts/up.sh and scripts/cluster.sh, in a copy of the tree."""

import shutil

from lib.scratch import Scratch
from lib.testing import expect, expect_equal, expect_in, wait_for


def test_up_twice_and_cluster(test):
    tree = Scratch(test)
    for time in ("first", "second"):
        output = tree.run("scripts/up.sh")
        expect_in("hello from", output, f"the {time} up.sh")
        expect_in("To try next", output, f"the {time} up.sh")
        status = tree.run("scripts/cluster.sh", "status").splitlines()
        expect_equal(len(status), 3, "lines of status")
        expect_equal(sum("leader, term" in line for line in status), 1,
                     f"leaders in {status}")
    tree.run("scripts/cluster.sh", "kill", "n2")
    code, output = tree.try_run("scripts/cluster.sh", "status")
    expect(code != 0, "status without n2 exits with 0")
    expect_in("not running", output, "status without n2")
    data = tree.directory / "run" / "n2"
    data.rename(data.with_name("former"))
    output = tree.run("scripts/cluster.sh", "restart", "n2")
    expect("stopped" not in output and "not running" not in output,
           f"restart of a killed node: {output}")
    wait_for("status says that n2 is wiped", lambda: "wiped" in tree.run(
        "scripts/cluster.sh", "status").splitlines()[1])
    tree.run("scripts/cluster.sh", "kill", "n2")
    shutil.rmtree(data)
    data.with_name("former").rename(data)
    tree.run("scripts/cluster.sh", "restart", "n2")
    expect_in("n2 stopped\nn2 runs on",
              tree.run("scripts/cluster.sh", "restart", "n2"), "restart")
    tree.run("scripts/cluster.sh", "status")
    expect_in("n2 listens on 127.0.0.1:5865",
              tree.run("scripts/cluster.sh", "logs", "n2"), "logs n2")
    mode = (tree.directory / "run" / "cluster.secret").stat().st_mode
    expect_equal(mode & 0o777, 0o600, "mode of the secret")
    tree.run("scripts/cluster.sh", "stop")
    code, output = tree.try_run("scripts/cluster.sh", "status")
    expect_equal((code != 0, output.count("not running")), (True, 3),
                 "status of a stopped cluster")
    tree.run("scripts/cluster.sh", "stop")
    expect_in("hello from", tree.run("scripts/up.sh"), "up.sh after a stop")
    tree.run("scripts/cluster.sh", "stop")


def test_cluster_says_what_is_wrong_with_its_arguments(test):
    tree = Scratch(test)
    for arguments in ((), ("nope",), ("kill",), ("kill", "n4"),
                      ("start", "n1"), ("stop", "now")):
        code, output = tree.try_run("scripts/cluster.sh", *arguments)
        expect_equal(code, 2, f"status of cluster.sh {arguments}")
        expect_in("usage", output, f"output of cluster.sh {arguments}")
    code, output = tree.try_run("scripts/cluster.sh", "kill", "n1")
    expect(code != 0, "a kill of nothing exits with 0")
    expect_in("n1 is not running", output, "output")
