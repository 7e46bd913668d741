"""A majority is lost for good: one directory becomes a new cluster."""

import os
import re
import shutil
import subprocess

from lib.cluster import EXIT_CONFIG, Cluster, daemon_path
from lib.load import Load
from lib.testing import expect, expect_equal, expect_in, wait_for

EXIT_FAILED = 1  # such as a directory that is in use


def recover(node, *arguments):
    """luminousd --recover on the directory of a node: status and output."""
    done = subprocess.run(
        [daemon_path(), "-c", node.config, "--recover", *arguments],
        cwd=node.cluster.directory, capture_output=True, text=True,
        timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def last_entry(node):
    """What to give as --seen on another node."""
    status, output = recover(node)
    expect_equal(status, 0, f"status of --recover: {output}")
    return re.search(r"as --seen (\S+)\)", output).group(1)


def expect_refused(node, arguments, text, status=EXIT_CONFIG):
    got, output = recover(node, *arguments)
    expect_equal(got, status, f"status of {arguments}: {output}")
    expect_in(text, output, f"what {arguments} says")


def force(node, *arguments):
    status, output = recover(node, "--force-new-cluster", *arguments)
    expect_equal(status, 0, f"--force-new-cluster: {output}")
    return output


def grow(cluster, names, via):
    for name in names:
        node = cluster.add_node(name, via)
        node.restart()
    cluster.wait_voters([node.name for node in cluster])
    cluster.wait_ready()


def test_majority_is_lost_for_good(test):
    """Two of three directories go; the third has all that was acknowledged
    once it was the newest, and an old member is not listened to."""
    cluster = Cluster(test).start()
    load = Load(cluster).start()
    load.wait_acked(100)
    load.stop()
    cluster.wait_converged()
    cluster.kill_all()
    first, old, last = cluster.nodes
    saved = test.directory / "saved"
    shutil.copytree(old.data, saved)
    for node in (first, old):
        node.wipe()
    output = force(last, "--accept-loss")
    expect_in("may be lost", output, "what it says")
    expect_refused(last, ["--force-new-cluster", "--accept-loss"],
                   "sole voter of cluster proc already")
    cluster.nodes.remove(first)
    cluster.nodes.remove(old)
    last.restart()
    last.wait_ready()
    expect_in("made anew by force", last.read_log(), "log of its start")
    expect_equal(last.get_cluster()["generation"], 2, "generation")
    load.check(last)
    term = last.get_cluster()["term"]

    # A member of before comes back, at its address, and calls for elections.
    shutil.copytree(saved, old.data)
    cluster.nodes.append(old)
    old.restart()
    old.wait_log("cluster proc was made anew by force")
    expect_equal(old.fetch("GET", "/readyz").status, 503, "its /readyz")
    expect_equal(last.get_cluster()["term"], term, "the new cluster's term")
    old.kill()
    cluster.nodes.remove(old)

    more = Load([last], prefix="x").start()
    grow(cluster, ["n4", "n5"], last)
    more.wait_acked(100)
    more.stop()
    cluster.wait_converged()
    for node in cluster:
        expect_equal(node.get_cluster()["generation"], 2,
                     f"generation on {node.name}")
        load.check(node)
        more.check(node)
    last.kill()
    cluster.leader()
    cluster["n4"].put("key", b"after")
    test.note(f"{load.count()} writes before, {more.count()} after")


def test_the_newest_is_asked_for(test):
    """Each refusal says what to do and changes nothing."""
    cluster = Cluster(test).start()
    behind = cluster.followers()[0]
    behind.kill()
    others = [node for node in cluster if node is not behind]
    cluster.leader(others).put("key", b"value")
    expect_refused(others[0], [], "another luminousd runs on this directory",
                   EXIT_FAILED)
    cluster.wait_ready(others)
    for node in others:
        node.stop()
    seen = {node.name: last_entry(node) for node in cluster}
    ours = [f"--seen={seen[node.name]}" for node in others]
    zero = f"--seen={others[0].name}=1:1"
    for arguments, text in [
            ([], f"nothing is said of {others[0].name}"),
            (ours[:1], f"recover on {others[0].name} instead"),
            ([*ours, "--accept-loss"], f"recover on {others[0].name} instead"),
            ([zero], f"nothing is said of {others[1].name}"),
            ([zero, zero], "is given twice"),
            (["--seen=n9=1:1"], "no member is called so"),
            ([f"--seen={behind.name}=1:1"], "this is that node itself")]:
        expect_refused(behind, ["--force-new-cluster", *arguments], text)
    expect_equal(last_entry(behind), seen[behind.name], "its last entry")
    expect_refused(behind, ["--name", others[0].name, "--listen",
                            others[0].address], "belongs to node")
    winner = next(node for node in others
                  if all(key_of(seen[node.name]) >= key_of(other)
                         for other in seen.values()))
    output = force(winner, *(f"--seen={seen[node.name]}" for node in cluster
                             if node is not winner))
    expect_in("no acknowledged write is lost", output, "what it says")
    cluster.nodes = [winner]
    winner.restart()
    winner.wait_ready()
    expect_equal(winner.get("key"), b"value", "the value")


def key_of(seen):
    """Of "NAME=TERM:INDEX", what is compared."""
    return tuple(map(int, seen.split("=")[1].split(":")))


def test_another_user_is_refused(test):
    """Root's files in a directory of another would stop that one's node."""
    if os.geteuid() != 0:
        return
    node = Cluster(test, 1).start()["n1"]
    node.stop()
    os.chown(node.data, 1, 1)
    before = sorted(path.name for path in node.data.iterdir())
    expect_refused(node, [], "runuser -u daemon")
    expect_equal(sorted(path.name for path in node.data.iterdir()), before,
                 "files")


def test_what_holds_nothing_is_refused(test):
    cluster = Cluster(test, size=1)
    node = cluster["n1"]
    expect_refused(node, [], "no log of a node")
    node.data.mkdir()
    expect_refused(node, [], "no log of a node")
    cluster.start()
    node.stop()
    status, output = recover(node)
    expect_equal(status, 0, output)
    expect_in("only member", output, "what it says")
    for arguments in (["--seen=n1"], ["--accept-loss", "--force"]):
        done = subprocess.run([daemon_path(), "-c", node.config, *arguments],
                              capture_output=True, text=True, check=False)
        expect_equal(done.returncode, EXIT_CONFIG, f"{done.stderr}")
    shutil.rmtree(node.data / "data")
    expect_refused(node, [], "is not there", 70)
    waiting = cluster.add_node("n2", "wait")
    waiting.restart()
    wait_for("it waits", waiting.is_listening)
    waiting.stop()
    expect_refused(waiting, [], "waits to be added")
    expect(not (node.data / "data").exists(), "a data store was created")
