"""Members that cannot hear each other, while clients reach all of them."""

import time

from lib import http
from lib.cluster import Cluster
from lib.load import Load
from lib.testing import expect, expect_equal, expect_in, wait_for


def wait_seconds(seconds):
    end = time.monotonic() + seconds
    wait_for("the time has passed", lambda: time.monotonic() >= end,
             timeout=seconds + 5)


def get_term(node):
    return node.get_cluster()["term"]


def isolate_leader(test, options=None):
    """
    N6: the leader is cut from the others, in the middle of a client's reads.
    It answers none that others have overtaken, and no write.
    """
    cluster = Cluster(test, switched=True, options={
        "http.request-timeout": "1s", **(options or {})}).start()
    old = cluster.leader()
    others = [node for node in cluster if node is not old]
    old.put("key", b"before")
    cluster.switch.part(cluster.numbers(old), cluster.numbers(*others))
    with http.Client(old.address) as reader:
        new = wait_for("others elect one of them",
                       lambda: cluster.find_leader(others))
        new.put("key", b"after")
        answer = reader.request("GET", "/kv/key")
        expect_equal((answer.status, answer.code), (503, "no_leader"),
                     "a read of the isolated leader")
    answer = old.fetch("PUT", "/kv/key", b"lost")
    expect_in(answer.status, (503, 504), "a write to it")
    expect_equal(old.fetch("GET", "/readyz").status, 503, "/readyz of it")
    expect_equal(old.get("key", "?consistency=stale"), b"before",
                 "a stale read of it")
    cluster.switch.heal()
    cluster.wait_ready()
    # The write had no quorum, and must not come back from the dead.
    expect_in(old.get("key"), (b"after", b"lost") if answer.status == 504
              else (b"after",), "the value")
    cluster.expect_same_items(["key"])


def test_N6_isolated_leader(test):
    isolate_leader(test)


def test_N6_isolated_leader_with_leases(test):
    isolate_leader(test, {"raft.lease-reads": "yes"})


def overtaken_reads(test, options=None):
    """
    N6: from before the cut until long after, one client writes through the
    majority while another reads from the isolated leader. No read may return
    less than what was acknowledged before it began.
    """
    cluster = Cluster(test, switched=True, options={
        "http.request-timeout": "200ms", **(options or {})}).start()
    old = cluster.leader()
    others = [node for node in cluster if node is not old]
    old.put("key", b"0")
    cluster.switch.part(cluster.numbers(old), cluster.numbers(*others))
    acked = 0
    reads = 0
    until = time.monotonic() + 3.0
    with http.Client(old.address) as reader, \
            http.Client(others[0].address) as writer:
        while time.monotonic() < until:
            answer = reader.request("GET", "/kv/key")
            if answer.status == 200:
                reads += 1
                expect(int(answer.body) >= acked, f"read {answer.body!r}, "
                       f"but {acked} was acknowledged")
            answer = writer.request("PUT", "/kv/key", f"{acked + 1}".encode())
            if answer.status == 200:
                acked += 1
    expect(acked > 0, "the majority took no write")
    cluster.switch.heal()
    cluster.wait_ready()
    expect(int(cluster.leader().get("key")) >= acked,
           "an acknowledged write is lost")
    test.note(f"{reads} reads before it stopped, {acked} writes")


def test_N6_reads_of_an_isolated_leader(test):
    overtaken_reads(test)


def test_N6_reads_of_an_isolated_leader_with_leases(test):
    overtaken_reads(test, {"raft.lease-reads": "yes"})


def test_N6_minority_under_load(test):
    """Each node in turn is cut off, while clients write to all of them."""
    cluster = Cluster(test, switched=True,
                      options={"http.request-timeout": "500ms"}).start()
    load = Load(cluster, checks_reads=True).start()
    for node in (*cluster, cluster.leader()):
        others = [other for other in cluster if other is not node]
        cluster.switch.part(cluster.numbers(node), cluster.numbers(*others))
        load.wait_acked(30)
        cluster.switch.heal()
        cluster.wait_ready()
        load.wait_acked(20)
    load.stop()
    for node in cluster:
        load.check(node)
    cluster.expect_same_items(sorted({write.key for write in load.writes}))
    test.note(f"{load.count()} writes, {load.count('unknown')} unknown")


def test_N7_deaf_follower_disturbs_nobody(test):
    """It hears nothing but can send: pre-vote keeps the term where it is."""
    cluster = Cluster(test, switched=True).start()
    leader = cluster.leader()
    deaf = cluster.followers()[0]
    term = get_term(leader)
    cluster.switch.cut(cluster.numbers(*cluster), cluster.numbers(deaf))
    wait_for("it has lost its leader",
             lambda: deaf.get_cluster()["leader"] == "")
    wait_seconds(2.0)
    leader.put("key", b"value")
    cluster.switch.heal()
    cluster.wait_ready()
    expect_equal((get_term(leader), cluster.leader()), (term, leader),
                 "term and leader")


def test_N7_mute_leader_is_replaced(test):
    """It hears everything but nobody hears it."""
    cluster = Cluster(test, switched=True,
                      options={"http.request-timeout": "1s"}).start()
    mute = cluster.leader()
    others = [node for node in cluster if node is not mute]
    cluster.switch.cut(cluster.numbers(mute), cluster.numbers(*others))
    new = wait_for("others elect one of them",
                   lambda: cluster.find_leader(others))
    new.put("key", b"value")
    wait_for("the old one does not lead",
             lambda: mute.get_cluster()["leader"] != mute.name)
    cluster.switch.heal()
    cluster.wait_ready()
    expect_equal(mute.get("key"), b"value", "the value")


def test_N8_two_of_three_cannot_talk(test):
    """Both see the third: somebody leads, and goes on leading."""
    cluster = Cluster(test, switched=True).start()
    leader = cluster.leader()
    follower, other = cluster.followers()
    load = Load(cluster, timeout=2.0).start()
    for pair in ((leader, follower), (follower, other)):
        cluster.switch.part(cluster.numbers(pair[0]),
                            cluster.numbers(pair[1]))
        load.wait_acked(50)
        before = get_term(cluster.leader())
        wait_seconds(1.5)
        load.wait_acked(50)
        after = max(get_term(node) for node in cluster)
        expect(after - before <= 3, f"term {before} became {after}")
        cluster.switch.heal()
        cluster.wait_ready()
    load.stop()
    load.check(cluster.leader())


def test_N9_flapping(test):
    """Cuts and heals at random, many times a second."""
    cluster = Cluster(test, switched=True,
                      options={"http.request-timeout": "500ms"}).start()
    load = Load(cluster, timeout=1.0, checks_reads=True).start()
    before = get_term(cluster.leader())
    for _ in range(20):
        some, *others = test.random.sample(list(cluster), 3)
        some = cluster.numbers(some)
        others = cluster.numbers(*others[:test.random.randint(1, 2)])
        change = test.random.choice((cluster.switch.cut, cluster.switch.part))
        change(*test.random.sample((some, others), 2))
        wait_seconds(test.random.uniform(0.01, 0.6))
        cluster.switch.heal()
        wait_seconds(test.random.uniform(0.01, 0.1))
    cluster.wait_ready()
    load.wait_acked(100)
    load.stop()
    load.check(cluster.leader())
    cluster.expect_same_items(sorted({write.key for write in load.writes}))
    term = get_term(cluster.leader())
    test.note(f"term {before} to {term}, {load.count()} writes")


def test_N11_follower_that_vanishes(test):
    """No end of a connection is seen: it is noticed by silence, and said."""
    cluster = Cluster(test, switched=True).start()
    leader = cluster.leader()
    gone = cluster.followers()[0]
    others = [node for node in cluster if node is not gone]
    cluster.switch.part(cluster.numbers(gone), cluster.numbers(*others))
    gone.kill()

    def is_noticed():
        members = leader.get_cluster()["members"]
        return any(member["name"] == gone.name and
                   member["state"] == "unreachable" for member in members)
    wait_for("the leader notices", is_noticed, timeout=3.0)
    leader.put("key", b"value")
    cluster.switch.heal()
    gone.restart()
    cluster.wait_ready()
    expect_equal(gone.get("key"), b"value", "the value")
