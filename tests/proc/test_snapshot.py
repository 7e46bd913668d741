"""Members that lack more than the log has, and get all data instead."""

import os

from lib import http
from lib.cluster import Cluster
from lib.load import Load
from lib.testing import expect, expect_equal, wait_for

# So that little is much.
SMALL = {"raft.trailing-bytes": "64KiB", "raft.checkpoint-bytes": "64KiB",
         "raft.checkpoint-interval": "100ms"}
MIB = 1 << 20


def generation(node):
    """Which of its data directories a node uses: each install makes one."""
    return {path.name for path in node.data.glob("data*")}


def put_many(node, count, size, prefix="big"):
    """Values that do not compress; {key: value}."""
    values = {f"{prefix}/{number:05}": os.urandom(size)
              for number in range(count)}
    with http.Client(node.address) as client:
        for key, value in values.items():
            answer = client.request("PUT", http.quote(key), value)
            expect(answer.status in (200, 201), f"PUT {key}: {answer!r}")
    return values


def expect_values(node, values):
    """As the node itself has them."""
    answers = http.get_many(node.address, [
        http.quote(key) + "?consistency=stale" for key in values], batch=8)
    for (key, value), answer in zip(values.items(), answers):
        expect(answer.body == value, f"{key} on {node.name}: {answer.status}")


def sent_bytes(leader, name):
    """Of the snapshot that is on its way to this member; 0: none is."""
    status = leader.get_cluster()
    for member in status["members"] if status else []:
        if member["name"] == name:
            return member.get("snapshot", {}).get("bytes", 0)
    return 0


def cut_off(cluster, follower):
    """A leader that has no more what the stopped follower lacks."""
    follower.stop()
    leader = cluster.leader()
    wanted = leader.get_metrics()["luminous_raft_applied_index"]
    values = put_many(leader, 600, 5000)

    def is_compacted():
        """Later commits trim the log on disk, many entries at a time."""
        leader.put("tick", b"tock")
        metrics = leader.get_metrics()
        first = (metrics["luminous_raft_applied_index"] -
                 metrics["luminous_raft_log_entries"])
        return first > wanted

    wait_for("the log is compacted", is_compacted)
    return leader, values


def test_follower_stopped_past_compaction(test):
    """It comes back through a snapshot, while writes go on."""
    cluster = Cluster(test, options=SMALL).start()
    cluster.leader().put("key", b"value")
    follower = cluster.followers()[0]
    before = generation(follower)
    _, values = cut_off(cluster, follower)
    load = Load([node for node in cluster if node is not follower]).start()
    load.wait_acked(20)
    follower.restart()
    follower.wait_ready()
    load.wait_acked(50)
    load.stop()
    cluster.wait_converged()
    expect(generation(follower) != before, "it came back without a snapshot")
    expect_equal(len(generation(follower)), 1, "data directories")
    expect_values(follower, values)
    load.check(follower, "?consistency=stale")
    test.note(f"{load.count()} writes")


def test_kill_of_all_after_an_install(test):
    cluster = Cluster(test, options=SMALL).start()
    follower = cluster.followers()[0]
    _, values = cut_off(cluster, follower)
    follower.restart()
    follower.wait_ready()
    late = put_many(cluster.leader(), 5, 1000, "late")
    cluster.kill_all()
    cluster.restart_all()
    cluster.wait_converged()
    for node in cluster:
        expect_values(node, {**values, **late})


def test_empty_node_joins_a_large_store(test):
    """Tens of MB, under load; the longest gap in writes is in the report."""
    cluster = Cluster(test, options=SMALL).start()
    values = put_many(cluster.leader(), 80, MIB // 2)
    load = Load(cluster).start()
    load.wait_acked(50)
    node = cluster.add_node("n4", cluster.leader())
    began = min(write.ended for write in load.writes)
    node.restart()
    cluster.wait_voters(["n1", "n2", "n3", "n4"])
    gap = load.longest_gap(began)
    load.stop()
    cluster.wait_converged()
    expect_values(node, values)
    load.check(node, "?consistency=stale")
    test.note(f"gap {gap:.2f} s, {load.count()} writes")
    expect(gap < 3.0, f"no write for {gap:.2f} s")


def test_receiver_killed_in_the_middle(test):
    """What it has by then counts for nothing, and the next one is whole."""
    cluster = Cluster(test, options={
        **SMALL, "raft.snapshot-rate": "4MiB"}).start()
    values = put_many(cluster.leader(), 24, MIB // 2)
    leader = cluster.leader()
    node = cluster.add_node("n4", leader)
    node.restart()
    for part in (2 * MIB, 4 * MIB):
        wait_for(f"{part} bytes were sent",
                 lambda: sent_bytes(leader, "n4") >= part)
        node.kill()
        node.restart()
    cluster.wait_voters(["n1", "n2", "n3", "n4"])
    cluster.wait_converged()
    expect_values(node, values)
    expect_equal(len(generation(node)), 1, "data directories")


def test_sender_killed_in_the_middle(test):
    """The next leader begins anew, and finishes."""
    cluster = Cluster(test, options={
        **SMALL, "raft.snapshot-rate": "4MiB"}).start()
    values = put_many(cluster.leader(), 24, MIB // 2)
    leader = cluster.leader()
    node = cluster.add_node("n4", cluster.followers()[0])
    node.restart()
    wait_for("some of it was sent",
             lambda: sent_bytes(leader, "n4") >= 2 * MIB)
    leader.kill()
    cluster.leader([each for each in cluster if each not in (leader, node)])
    leader.restart()
    cluster.wait_voters(["n1", "n2", "n3", "n4"])
    cluster.wait_converged()
    expect_values(node, values)
