"""SIGSTOP, and what a node without a quorum answers."""

import signal
import time

from lib import http
from lib.cluster import Cluster
from lib.load import Load
from lib.testing import expect, expect_equal, expect_in, wait_for


def stale_leader(test, options=None, is_cut=False):
    """
    The leader is stopped for three seconds; others write. A read that waited
    at its socket is answered as it wakes up: with what the others wrote, or
    not at all. `is_cut`: it hears nothing of the others when it wakes up.
    """
    cluster = Cluster(test, options={"http.request-timeout": "1s",
                                     **(options or {})}, switched=is_cut)
    cluster.start()
    old = cluster.leader()
    others = [node for node in cluster if node is not old]
    old.put("key", b"before")
    if is_cut:
        cluster.switch.part(cluster.numbers(old), cluster.numbers(*others))
    with http.Client(old.address) as reader, \
            http.Client(old.address) as writer:
        reader.connect()
        writer.connect()
        old.pause()
        wake = time.monotonic() + 3.0
        new = cluster.leader(others)
        new.put("key", b"after")
        reader.send(http.encode("GET", "/kv/key"))
        writer.send(http.encode("PUT", "/kv/other", b"value"))
        wait_for("three seconds have passed",
                 lambda: time.monotonic() >= wake)
        old.resume()
        answer = reader.receive()
        expect(answer.status == 503 or answer.body == b"after",
               f"a stale read: {answer!r}")
        written = writer.receive()
    if is_cut:
        cluster.switch.heal()
    cluster.wait_ready()
    expect_equal(cluster.leader().get("key"), b"after", "the value")
    if written.status == 201:
        expect_equal(new.get("other"), b"value", "what was acknowledged")
    else:
        expect_in(written.status, (503, 504), "the write")
    test.note(f"read {answer.status}, write {written.status}")


def test_P4_resumed_leader_reads(test):
    stale_leader(test)


def test_P4_resumed_leader_reads_with_leases(test):
    stale_leader(test, {"raft.lease-reads": "yes"})


def test_P4_resumed_leader_that_is_cut_off(test):
    stale_leader(test, is_cut=True)


def test_P4_resumed_leader_that_is_cut_off_with_leases(test):
    stale_leader(test, {"raft.lease-reads": "yes"}, is_cut=True)


def test_P4_pauses_under_load(test):
    """Each node in turn is stopped for a while; reads stay up to date."""
    cluster = Cluster(test).start()
    load = Load(cluster, checks_reads=True, timeout=1.0).start()
    for node in (*cluster, cluster.leader()):
        node.pause()
        load.wait_acked(50)
        node.resume()
        node.wait_ready()
        load.wait_acked(20)
    load.stop()
    load.check(cluster.leader())
    test.note(f"{load.count()} writes")


def lose_quorum(cluster, end):
    """Takes two of three away from the leader; returns it and them."""
    leader = cluster.leader()
    others = [node for node in cluster if node is not leader]
    for node in others:
        end(node)
    return leader, others


def wait_leaderless(node):
    def knows_none():
        status = node.get_cluster()
        return status is not None and status["leader"] == ""
    wait_for(f"{node.name} knows no leader", knows_none)


def test_no_leader_is_503_in_time(test):
    """Surely not done, with Retry-After, within request-timeout."""
    cluster = Cluster(test, options={"http.request-timeout": "1s"}).start()
    cluster["n1"].put("key", b"value")
    node, others = lose_quorum(cluster, lambda other: other.kill())
    wait_leaderless(node)
    for method, body in (("PUT", b"other"), ("DELETE", None), ("GET", None)):
        began = time.monotonic()
        answer = node.fetch(method, "/kv/key", body)
        took = time.monotonic() - began
        expect_equal((answer.status, answer.code), (503, "no_leader"), method)
        expect_equal(answer.header("Retry-After"), "1", "Retry-After")
        expect(0.8 < took < 4.5, f"{method} took {took:.2f} s, not 1 s")
    quickest = 1.0
    for _ in range(5):
        began = time.monotonic()
        node.fetch("PUT", "/kv/key?timeout=200ms", b"other")
        quickest = min(quickest, time.monotonic() - began)
    expect(quickest < 0.8, f"timeout=200ms took {quickest:.2f} s")
    expect_equal(node.fetch("GET", "/readyz").status, 503, "/readyz")
    expect_equal(node.fetch("GET", "/leader").status, 503, "/leader")
    expect_equal(node.fetch("GET", "/livez").status, 200, "/livez")
    for other in others:
        other.start()
    cluster.wait_ready()
    expect_equal(node.get("key"), b"value", "the value after all of it")


def test_a_held_request_is_served_by_the_next_leader(test):
    """An election in progress is no error: the request waits for it."""
    cluster = Cluster(test).start()
    node, others = lose_quorum(cluster, lambda other: other.kill())
    wait_leaderless(node)
    with http.Client(node.address) as client:
        client.send(http.encode("PUT", "/kv/key", b"value"))
        others[0].start()
        expect_equal(client.receive().status, 201, "the held PUT")
    others[1].start()
    cluster.wait_ready()
    expect_equal(others[1].get("key"), b"value", "the value")


def test_lost_quorum_with_a_write_in_flight_is_504(test):
    """Nobody knows what becomes of it, and that is what the answer says."""
    cluster = Cluster(test, options={"http.request-timeout": "1s"}).start()
    node, others = lose_quorum(cluster, lambda other: other.pause())
    answer = node.fetch("PUT", "/kv/key", b"value")
    expect_equal((answer.status, answer.code), (504, "outcome_unknown"),
                 "the write")
    expect_equal(answer.header("Retry-After"), None, "Retry-After")
    for other in others:
        other.resume()
    cluster.wait_ready()
    cluster.wait_converged()
    values = {each.get("key") for each in cluster}
    expect(len(values) == 1 and values <= {b"value", None},
           f"the nodes hold {values}")


def test_stale_reads_need_no_quorum(test):
    cluster = Cluster(test).start()
    revision = cluster["n1"].put("key", b"value")["revision"]
    cluster.wait_converged()
    node, others = lose_quorum(cluster, lambda other: other.kill())
    wait_leaderless(node)
    answer = node.fetch("GET", "/kv/key?consistency=stale")
    expect_equal((answer.status, answer.body), (200, b"value"), "stale GET")
    expect_equal(answer.header("Luminous-Revision"), str(revision),
                 "Luminous-Revision")
    expect(int(answer.header("Luminous-Applied")) > 0, "Luminous-Applied")
    answer = node.fetch("GET", "/kv/none?consistency=stale")
    expect_equal((answer.status, answer.code), (404, "key_not_found"),
                 "a stale GET of no key")
    for other in others:
        other.start()
    cluster.wait_ready()


def test_P4_all_paused_together(test):
    """As when a machine sleeps: afterwards it goes on."""
    cluster = Cluster(test).start()
    load = Load(cluster).start()
    load.wait_acked(50)
    for node in cluster:
        node.signal(signal.SIGSTOP)
    wake = time.monotonic() + 1.0
    wait_for("a second has passed", lambda: time.monotonic() >= wake)
    for node in cluster:
        node.signal(signal.SIGCONT)
    load.wait_acked(100)
    load.stop()
    load.check(cluster.leader())
