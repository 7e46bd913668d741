"""The turn as system calls, and that nothing happens when nothing is to be
done."""

import re
import time

from lib import http, strace
from lib.cluster import Cluster
from lib.testing import Failure, expect, expect_equal, wait_for


def find_call(lines, pattern, start=0):
    """The place of the first line from `start` on that matches."""
    for place in range(start, len(lines)):
        if re.search(pattern, lines[place]):
            return place
    raise Failure(f"no system call {pattern!r} behind {start}: "
                  f"{[line[:120] for line in lines[start:start + 30]]}")


def trace_put(test, node, client_node, what):
    """The system calls of `node` while `client_node` takes one PUT."""
    output = test.directory / f"{what}.strace"
    with strace.attached(node, "-yy", "-s", "2000", "-e",
                         "trace=recvfrom,sendto,pwrite64,pwritev,fdatasync",
                         output=output):
        client_node.put("turn", b"value")
        node.cluster.wait_converged()
    return output.read_text().splitlines()


SYNC = r"fdatasync\(.*/log/journal>"
ENTRIES = r'sendto\(.*POST /raft/append.*entries\\":\[\\"'


def test_leader_sends_before_its_own_sync(test):
    """
    Append to both followers, own sync, answer: the followers' disks work
    while the leader's does, and nobody is answered before either.
    """
    cluster = Cluster(test, options={"raft.checkpoint-interval": "1h"})
    cluster.start()
    leader = cluster.leader()
    leader.put("turn", b"first")
    lines = trace_put(test, leader, leader, "leader")
    put = find_call(lines, r"recvfrom\(.*PUT /kv/turn")
    first = find_call(lines, ENTRIES, put)
    second = find_call(lines, ENTRIES, first + 1)
    sync = find_call(lines, SYNC, put)
    answer = find_call(lines, r"sendto\(.*HTTP/1\.1 200 OK.*ETag", put)
    expect(put < first < second < sync < answer,
           f"received {put}, sent {first} and {second}, synced {sync}, "
           f"answered {answer}")
    peers = {re.search(r"->([0-9.:]+)\]", lines[place]).group(1)
             for place in (first, second)}
    expect_equal(peers, {node.address for node in cluster.followers()},
                 "whom the appends went to")
    syncs = [line for line in lines[put:answer] if re.search(SYNC, line)]
    expect_equal(len(syncs), 1, "syncs of one turn")


def test_follower_syncs_before_it_acknowledges(test):
    cluster = Cluster(test, options={"raft.checkpoint-interval": "1h"})
    cluster.start()
    leader = cluster.leader()
    follower = cluster.followers()[0]
    leader.put("turn", b"first")
    cluster.wait_converged()
    lines = trace_put(test, follower, leader, "follower")
    received = find_call(lines, r'recvfrom\(.*entries\\":\[\\"')
    sync = find_call(lines, SYNC, received)
    # A heartbeat that came with it is answered at once, and says less.
    before = int(re.search(r'prev_index\\":(\d+)', lines[received]).group(1))
    answer = find_call(lines, r'sendto\(.*append_response.*'
                       rf'match_index\\":{before + 1},', received)
    expect(received < sync < answer, f"received {received}, synced {sync}, "
           f"acknowledged {answer}")
    calls = [match.group(1) for line in lines[received:answer]
             if (match := re.search(r"(pwrite64|pwritev|fdatasync)\(", line))]
    # The last is the block's seal, which goes to the page cache.
    expect_equal(calls, ["pwrite64", "fdatasync", "pwrite64"],
                 "what a follower asks of its disk for a write")


def test_one_sync_serves_many_writes(test):
    """What arrives while the disk works is gathered into the next commit."""
    cluster = Cluster(test, size=1, options={
        "raft.checkpoint-interval": "1h"}).start()
    node = cluster["n1"]
    clients = [http.Client(node.address) for _ in range(50)]
    for client in clients:
        client.request("GET", "/livez")
    output = test.directory / "batch.strace"
    with strace.attached(node, "-e", "trace=fdatasync", "-e",
                         "inject=fdatasync:delay_enter=200ms",
                         output=output):
        for number, client in enumerate(clients):
            client.send(http.encode("PUT", f"/kv/{number}", b"value"))
        for client in clients:
            expect_equal(client.receive().status, 201, "a PUT")
            client.close()
    syncs = output.read_text().count("fdatasync(")
    test.note(f"{syncs} syncs for 50 writes")
    expect(syncs <= 5, f"{syncs} syncs for 50 writes")


def syncs_so_far(node):
    return sum(value for name, value in node.get_metrics().items()
               if name.startswith("luminous_fsync_duration_seconds_count"))


def wait_quiet(cluster):
    """Waits until what follows a write is over: no sync for so long."""
    seen = {"count": None, "since": 0.0}

    def is_quiet():
        count = [syncs_so_far(node) for node in cluster]
        if count != seen["count"]:
            seen.update(count=count, since=time.monotonic())
        return time.monotonic() - seen["since"] > 1.5
    wait_for("nothing is synced any more", is_quiet, every=0.1)


def test_an_idle_cluster_rests(test):
    """No sync, no write to the disk, and under 1 % of a core a node."""
    cluster = Cluster(test, options={
        "raft.election-timeout": None, "raft.heartbeat-interval": None})
    cluster.start()
    cluster["n1"].put("key", b"value")
    wait_quiet(cluster)
    before = [node.get_cpu_seconds() for node in cluster]
    began = time.monotonic()
    wait_for("five seconds have passed",
             lambda: time.monotonic() - began >= 5.0, every=0.5)
    seconds = time.monotonic() - began
    used = [100 * (node.get_cpu_seconds() - earlier) / seconds
            for node, earlier in zip(cluster, before)]
    test.note("CPU " + ", ".join(f"{percent:.1f} %" for percent in used))
    expect(max(used) < 5.0, f"an idle node uses {max(used):.1f} % of a core")
    output = test.directory / "idle.strace"
    with strace.attached(
            cluster.leader(), "-e",
            "trace=fdatasync,fsync,msync,pwrite64,pwritev,writev,ftruncate",
            output=output):
        began = time.monotonic()
        wait_for("five seconds have passed",
                 lambda: time.monotonic() - began >= 5.0, every=0.5)
    calls = [line for line in output.read_text().splitlines() if "(" in line]
    expect_equal(calls, [], "system calls of an idle leader to its disk")


def test_a_resting_node_needs_no_journal(test):
    """A second after a commit it is in the log store proper as well."""
    cluster = Cluster(test, size=1, options={
        "raft.checkpoint-interval": "1h"}).start()
    node = cluster["n1"]
    node.put("key", b"value")
    wait_quiet(cluster)
    node.kill()
    journal = node.data / "log" / "journal"
    kept = journal.read_bytes()
    journal.write_bytes(kept[:4096].ljust(len(kept), b"\0"))
    node.restart()
    node.wait_ready()
    expect_equal(node.get("key"), b"value", "the value")
