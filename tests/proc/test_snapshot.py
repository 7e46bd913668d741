"""Members that lack more than the log has, and get all data instead."""

import os
import re

from lib import http
from lib.cluster import Cluster
from lib.load import Load
from lib.testing import expect, expect_equal, expect_in, wait_for
from lib.tmpfs import Tmpfs

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
    expect(gap < 10.0, f"no write for {gap:.2f} s")


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


PIECE_BYTES = 512 << 10


def test_G22_link_that_breaks_again_and_again(test):
    """
    G22: each connection breaks at four fifths of what is left. What the receiver
    has by then stays: all together is sent not much more than once.
    """
    cluster = Cluster(test, options=SMALL, switched=True).start()
    whole = 24 * MIB
    follower = cluster.followers()[0]
    follower.stop()
    leader = cluster.leader()
    values = put_many(leader, whole // (MIB // 4), MIB // 4)
    left = whole

    def limit():
        """Of less than a piece and an offer nothing would arrive."""
        nonlocal left
        part = max(left * 4 // 5, 2 * PIECE_BYTES)
        left -= part // PIECE_BYTES * PIECE_BYTES
        return part if left > 0 else None

    cluster.switch.break_after("snapshot", limit)
    before = generation(follower)
    follower.restart()
    follower.wait_ready(30)
    cluster.wait_converged()
    expect(generation(follower) != before, "it came back without a snapshot")
    expect_values(follower, values)
    broken = cluster.switch.broken
    test.note(f"broke after {[f'{count / MIB:.1f}' for count in broken]} MiB")
    expect(len(broken) >= 2, f"{len(broken)} connections broke")
    sent = cluster.switch.count_bytes("snapshot")
    test.note(f"{sent / MIB:.1f} MiB were sent")
    # Lost is of each connection what came behind its last whole piece.
    allowed = whole + (len(broken) + 1) * 2 * PIECE_BYTES
    expect(sent <= allowed, f"{sent} bytes were sent of {whole}")


def checkpoints(node):
    """How many it has made since it started."""
    return sum(count for name, count in node.get_metrics().items()
               if re.match(r"luminous_fsync_.*_count{.*data", name))


def test_D1_full_disk_of_the_receiver(test):
    """
    It stays a member with its old state, and is asked ever less often until
    there is space.
    """
    cluster = Cluster(test, options={**SMALL, "storage.min-free-disk": "0"})
    disk = Tmpfs(test, test.directory / "disk", 48)
    follower = cluster["n1"]
    follower.data = disk.path / "n1"
    cluster.write_config(follower)
    cluster.start()
    old = put_many(cluster.leader(), 1, 1000, "old")
    cluster.wait_converged()
    made = checkpoints(follower)

    def is_checkpointed():
        cluster.leader().put("tick", b"tock")
        return checkpoints(follower) > made

    wait_for("they are in a checkpoint", is_checkpointed)
    follower.stop()
    leader = cluster.leader()
    values = put_many(leader, 24, MIB // 2)
    disk.fill(left=6 * MIB)
    before = generation(follower)
    load = Load([node for node in cluster if node is not follower]).start()
    # A checkpoint of its own that finds no space would stop it, as any does.
    cluster.write_config(follower, raft__checkpoint_interval="60s",
                         raft__checkpoint_bytes="64MiB")
    follower.restart()

    def refused():
        """Why, as the leader says."""
        return [member["snapshot_refused"]
                for member in leader.get_cluster()["members"]
                if member["name"] == "n1" and "snapshot_refused" in member]

    reasons = wait_for("the full disk has refused it", refused)
    expect("space" in reasons[0], f"refused: {reasons}")
    expect_in("it refuses a snapshot: no space left", leader.fetch(
        "GET", "/cluster", headers=[("Accept", "text/plain")]).body.decode(),
        "the table")
    follower.wait_log("a snapshot was refused: no space left")
    load.wait_acked(300)
    expect(follower.is_running(), "it has ended")
    expect(before <= generation(follower), "its data has gone")
    expect_values(follower, old)
    disk.empty()
    wait_for("it has got the state",
             lambda: not before & generation(follower), 70)
    wait_for("nothing is refused any more", lambda: not refused())
    load.stop()
    cluster.wait_converged(30)
    expect_values(follower, values)
    load.check(follower, "?consistency=stale")
