"""What lives for a time, and history, with real clocks and real kills."""

import time

from lib.cluster import QUICK, Cluster
from lib.testing import expect, expect_equal, wait_for

MARK_SECONDS = 5  # how late a change of leaders may make an expiry
SLACK = 8.0  # seconds, for a machine that is busy


def put(node, target, body=b"x"):
    answer = node.fetch("PUT", target, body)
    expect(answer.status in (200, 201), answer)


def has(node, key):
    answer = node.fetch("GET", f"/kv/{key}?consistency=stale")
    expect(answer.status in (200, 404), answer)
    return answer.status == 200


def metric(node, name):
    return node.get_metrics()[name]


def test_key_expires_in_time(test):
    """Not before its TTL, on no node, and soon after."""
    cluster = Cluster(test, options=QUICK).start()
    began = time.monotonic()
    put(cluster.followers()[0], "/kv/a?ttl=2s")
    wait_for("there everywhere",
             lambda: all(has(node, "a") for node in cluster), 2)
    while all(has(node, "a") for node in cluster):
        expect(time.monotonic() - began < 2 + SLACK, "lives on")
        time.sleep(0.02)
    took = time.monotonic() - began
    expect(took >= 2, f"gone after {took:.3f} s of 2")
    for node in cluster:
        wait_for("gone everywhere", lambda: not has(node, "a"), SLACK)
        wait_for("counted", lambda:
                 metric(node, "luminous_expired_keys_total") == 1, SLACK)


def test_leader_change_makes_nothing_early(test):
    """Late by a mark and the election at most, and never early."""
    cluster = Cluster(test, options=QUICK).start()
    leader = cluster.leader()
    ttl = 8
    began = time.monotonic()
    put(leader, f"/kv/a?ttl={ttl}s")
    time.sleep(3)
    killed = time.monotonic()
    leader.kill()
    rest = [node for node in cluster if node is not leader]
    cluster.leader(rest)
    expect(all(has(node, "a") for node in rest), "gone with its leader")
    without_leader = time.monotonic() - killed
    latest = ttl + MARK_SECONDS + without_leader + SLACK
    while all(has(node, "a") for node in rest):
        expect(time.monotonic() - began < latest, "lives on")
        time.sleep(0.02)
    took = time.monotonic() - began
    expect(took >= ttl, f"gone after {took:.3f} s of {ttl}")
    leader.start()
    leader.wait_listening()
    wait_for("gone on the one that was away",
             lambda: not has(leader, "a"), 15)


def test_idle_cluster_marks_only_what_needs_it(test):
    """Marks while something has a deadline, and then not an entry more."""
    cluster = Cluster(test, options=QUICK).start()
    leader = cluster.leader()
    put(leader, "/kv/a?ttl=1h")
    before = metric(leader, "luminous_raft_applied_index")
    time.sleep(2 * MARK_SECONDS + 1)
    marks = metric(leader, "luminous_raft_applied_index") - before
    expect_equal(marks, 2, "marks")
    expect_equal(leader.fetch("DELETE", "/kv/a").status, 200, "delete")
    before = metric(leader, "luminous_raft_applied_index")
    time.sleep(MARK_SECONDS + 1)
    expect_equal(metric(leader, "luminous_raft_applied_index"), before,
                 "entries of an idle cluster")


def test_history_keeps_to_its_size(test):
    """And what is left of it is told."""
    options = dict(QUICK, **{"history.max-size": "64KiB"})
    cluster = Cluster(test, options=options).start()
    leader = cluster.leader()
    for number in range(1000):
        leader.put(f"k{number % 10}", b"v" * 500)
    most = 64 * 1024 * 9 / 8 + 10000
    for node in cluster:
        wait_for("history is compacted", lambda:
                 metric(node, "luminous_history_bytes") < most, SLACK)
    window = leader.get_cluster()["history"]
    expect(window["oldest"] > 800, window)
    expect(50 < window["events"] < 200, window)
    expect(32 * 1024 < window["bytes"] < most, window)
    cluster.expect_same_items([f"k{number}" for number in range(10)])


def test_history_keeps_to_its_age(test):
    """An idle cluster has none in the end."""
    options = dict(QUICK, **{"history.max-age": "4s"})
    cluster = Cluster(test, options=options).start()
    leader = cluster.leader()
    for number in range(10):
        leader.put(f"k{number}", b"v")
    expect_equal(leader.get_cluster()["history"]["events"], 10, "events")
    for node in cluster:
        wait_for("no history is left", lambda:
                 node.get_cluster()["history"]["events"] == 0,
                 4 * 9 / 8 + SLACK)
    expect_equal(leader.get_cluster()["history"]["oldest"], 10, "oldest")
