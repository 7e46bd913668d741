"""SIGKILL: of one, of all, at each step of a commit."""

import itertools
import time

from lib import strace
from lib.cluster import EXIT_STOPPED, Cluster
from lib.load import Load
from lib.testing import expect, expect_equal, expect_in, wait_for

# How long a change of the leader may stop writes: about ten times the usual,
# for a machine that does other things as well. The figure is in the report.
GAP_SECONDS_MAX = 5.0


def kill_under_load(test, choose):
    cluster = Cluster(test).start()
    load = Load(cluster, checks_reads=True).start()
    load.wait_acked(100)
    node = choose(cluster)
    killed = time.monotonic()
    node.kill()
    load.wait_acked(200)
    gap = load.longest_gap(killed)
    node.restart()
    cluster.wait_ready()
    load.wait_acked(100)
    load.stop()
    for each in cluster:
        load.check(each)
    cluster.expect_same_items(sorted({write.key for write in load.writes}))
    test.note(f"gap {gap:.2f} s, {load.count()} writes")
    expect(gap < GAP_SECONDS_MAX, f"no write for {gap:.2f} s")


def test_P1_kill_leader_under_load(test):
    kill_under_load(test, Cluster.leader)


def test_P1_kill_follower_under_load(test):
    kill_under_load(test, lambda cluster: cluster.followers()[0])


def test_P5_kill_each_in_turn(test):
    """Somebody is always away, and it always goes on."""
    cluster = Cluster(test).start()
    load = Load(cluster, checks_reads=True).start()
    for _ in range(3):
        for node in cluster:
            node.kill()
            load.wait_acked(30)
            node.restart()
            node.wait_ready()
            load.wait_acked(30)
    load.stop()
    load.check(cluster.leader())
    term = cluster.leader().get_cluster()["term"]
    test.note(f"term {term}, {load.count()} writes")
    expect(term < 60, f"nine kills led to term {term}")


def test_P6_kill_all_restart_in_each_order(test):
    """Every acknowledged write is back, whoever comes first."""
    cluster = Cluster(test).start()
    loads = []
    for number, order in enumerate(itertools.permutations(cluster.nodes)):
        load = Load(cluster, prefix=f"r{number}.").start()
        load.wait_acked(150)
        cluster.kill_all()
        load.stop()
        for node in order:
            node.restart()
        cluster.wait_ready()
        loads.append(load)
        for earlier in loads:
            earlier.check(order[0])
    test.note(f"{sum(load.count() for load in loads)} writes")


def killed_at(call, count):
    return strace.wrapper(f"{call}:signal=KILL:when={count}")


def kill_at_each(test, call, counts):
    """
    One node dies as it enters its N-th such call, from the first start on:
    whatever it leaves behind, it starts from, and nothing acknowledged is
    lost.
    """
    for count in counts:
        cluster = Cluster(test, size=1, directory=test.directory / str(count))
        node = cluster["n1"]
        node.start(wrapper=killed_at(call, count))
        load = Load(cluster, writers=2).start()
        expect_equal(node.wait_end(), -9, f"status, killed at {call} {count}")
        load.stop()
        node.restart()
        node.wait_ready()
        load.check(node)
        node.stop()


def test_P2_kill_at_each_sync(test):
    kill_at_each(test, "fdatasync", range(1, 21))


def test_P2_kill_at_each_write(test):
    kill_at_each(test, "pwrite64", range(1, 21))


def test_P2_kill_at_each_step_of_the_first_start(test):
    """Directories and the journal's file are synced with the other call."""
    kill_at_each(test, "fsync", range(1, 13))


def test_P2_kill_at_each_sync_of_three(test):
    """The same to one of three that goes on being written to."""
    cluster = Cluster(test).start()
    load = Load(cluster).start()
    load.wait_acked(50)
    for count in range(1, 21):
        node = test.random.choice(cluster.nodes)
        node.kill()
        node.start(wrapper=killed_at("fdatasync", count))
        wait_for(f"{node.name} is killed at sync {count}",
                 lambda: not node.is_running())
        expect_equal(node.wait_end(), -9, f"status of {node.name}")
        node.restart()
        node.wait_ready()
    load.stop()
    load.check(cluster.leader())
    cluster.expect_same_items(sorted({write.key for write in load.writes}))
    test.note(f"{load.count()} writes")


def test_journal_that_is_lost(test):
    """It matters after a kill, which is said, and not after a clean stop."""
    cluster = Cluster(test, size=1).start()
    node = cluster["n1"]
    journal = node.data / "log" / "journal"
    node.put("key", b"one")
    node.kill()
    kept = journal.read_bytes()
    journal.unlink()
    node.start()
    expect_equal(node.wait_end(), EXIT_STOPPED, "status")
    expect_in("the file journal is missing", node.read_log(), "log")
    journal.write_bytes(kept)
    node.restart()
    node.wait_ready()
    expect_equal(node.get("key"), b"one", "the value")
    node.put("key", b"two")
    node.stop()
    journal.unlink()
    node.restart()
    node.wait_ready()
    expect_equal(node.get("key"), b"two", "the value")
