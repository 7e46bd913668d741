"""Copies of a data directory, and old ones that were put back."""

import shutil

from lib.cluster import EXIT_CONFIG, Cluster
from lib.load import Load
from lib.testing import expect, expect_equal, expect_in, wait_for

OLD_COPY = "is an old copy"


def copy_of(node, directory):
    """Its data directory, of a node that is stopped."""
    shutil.copytree(node.data, directory)
    return directory


def put_back(node, directory):
    node.wipe()
    shutil.copytree(directory, node.data)


def expect_fenced(node):
    """It says so, takes no part, and does not start again."""
    wait_for(f"{node.name} finds that it is outdated",
             lambda: node.get_cluster()["state"] == "outdated")
    answer = node.fetch("GET", "/readyz")
    expect_equal((answer.status, answer.code), (503, "not_ready"), "/readyz")
    expect_in("old copy", answer.json()["detail"], "/readyz")
    answer = node.fetch("GET", "/kv/key?consistency=stale")
    expect_equal((answer.status, answer.code), (503, "outdated"), "a read")
    expect_in(OLD_COPY, node.read_log(), "its log")
    node.stop()
    node.start()
    expect_equal(node.wait_end(), EXIT_CONFIG, "status at its restart")
    expect_in("/cluster/replace?old=" + node.name, node.read_log(), "its log")


def test_backup_of_one_member_is_refused(test):
    """The others go on; the newest directory is taken back."""
    cluster = Cluster(test).start()
    node = cluster.followers()[0]
    others = [other for other in cluster if other is not node]
    cluster.leader().put("key", b"1")
    node.stop()
    backup = copy_of(node, test.directory / "backup")
    node.restart()
    node.wait_ready()
    load = Load(others).start()
    load.wait_acked(100)
    node.stop()
    newest = copy_of(node, test.directory / "newest")
    put_back(node, backup)
    node.restart()
    expect_fenced(node)
    load.wait_acked(100)
    put_back(node, newest)
    node.restart()
    node.wait_ready()
    load.stop()
    cluster.wait_converged()
    load.check(node)
    test.note(f"{load.count()} writes")


def test_copy_beside_its_original(test):
    """One of the two takes part, and the others do not notice."""
    cluster = Cluster(test).start()
    node = cluster.followers()[0]
    others = [other for other in cluster if other is not node]
    node.stop()
    directory = copy_of(node, test.directory / "copy")
    node.restart()
    node.wait_ready()
    load = Load(others).start()
    load.wait_acked(50)
    # Under the same name, at another address.
    copy = cluster.add_node(node.name, "wait")
    copy.data = directory
    copy.log = test.directory / "copy.log"
    copy.config = test.directory / "copy.conf"
    copy.join = None
    cluster.nodes.remove(copy)
    cluster.write_config(copy)
    test.defer(copy.kill)
    copy.restart()
    expect_fenced(copy)
    load.wait_acked(100)
    load.stop()
    expect(node.is_ready(), "the original is ready")
    cluster.wait_converged()
    load.check(node)


def test_cluster_is_put_back_as_a_whole(test):
    """All directories of one time know nothing that is newer."""
    cluster = Cluster(test).start()
    cluster.leader().put("key", b"old")
    for node in cluster:
        node.stop()
    backups = [copy_of(node, test.directory / f"{node.name}.backup")
               for node in cluster]
    cluster.restart_all()
    cluster.leader().put("key", b"new")
    cluster.kill_all()
    for node, backup in zip(cluster, backups):
        put_back(node, backup)
    cluster.restart_all()
    for node in cluster:
        expect_equal(node.get("key"), b"old", f"the value on {node.name}")
    cluster.leader().put("key", b"newer")
