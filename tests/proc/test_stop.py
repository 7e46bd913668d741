"""SIGTERM, and what systemd is told."""

import os
import signal
import socket
import time

from lib import http, strace
from lib.cluster import Cluster
from lib.load import Load
from lib.testing import Failure, expect, expect_equal, expect_in, wait_for


def test_P7_SIGTERM_finishes_what_is_under_way(test):
    """
    A write waits for its quorum as the signal comes: it is answered, new
    work is refused, and the exit status is 0.
    """
    cluster = Cluster(test, options={
        "raft.election-timeout": "3s", "raft.heartbeat-interval": "100ms"})
    cluster.start()
    leader = cluster.leader()
    others = [node for node in cluster if node is not leader]
    with http.Client(leader.address) as waiting, \
            http.Client(leader.address) as idle, \
            http.Client(leader.address) as late:
        idle.request("GET", "/livez")
        late.request("GET", "/livez")
        for node in others:
            node.pause()
        waiting.send(http.encode("PUT", "/kv/key", b"value"))
        wait_for("the write is under way", lambda: leader.get_metrics()[
            "luminous_http_in_flight"] >= 2)
        leader.terminate()
        leader.wait_log("finishing what is under way")
        # It waits for whoever takes the leadership over, and nobody does.
        answer = late.request("PUT", "/kv/late?timeout=300ms", b"value")
        expect_equal(answer.status, 503, "a write after the signal")
        expect_equal(answer.header("Retry-After"), "1", "Retry-After")
        expect_equal(leader.fetch("GET", "/livez").status, 200, "/livez")
        for node in others:
            node.resume()
        expect_equal(waiting.receive().status, 201, "the write under way")
        expect_equal(leader.wait_end(), 0, "exit status")
        expect(idle.is_closed_by_server(1), "an idle connection stays open")
    cluster.wait_ready(others)
    expect_equal(others[0].get("key"), b"value", "what was acknowledged")
    expect_equal(others[0].get("late"), None, "what was refused")


def test_P7_SIGTERM_to_the_leader_is_a_short_gap(test):
    cluster = Cluster(test).start()
    load = Load(cluster, checks_reads=True).start()
    load.wait_acked(100)
    leader = cluster.leader()
    began = time.monotonic()
    leader.stop()
    load.wait_acked(200)
    gap = load.longest_gap(began)
    leader.restart()
    cluster.wait_ready()
    load.stop()
    load.check(leader)
    unknown = load.count("unknown")
    test.note(f"gap {gap:.2f} s, {unknown} unknown")
    expect(gap < 10.0, f"no write for {gap:.2f} s")


def test_stop_is_quick_without_work(test):
    """Also while the cluster is not even formed, and by SIGINT."""
    cluster = Cluster(test)
    node = cluster["n1"]
    for number in (signal.SIGTERM, signal.SIGINT):
        node.restart()
        node.signal(number)
        expect_equal(node.wait_end(timeout=2), 0, "exit status")


def test_a_write_in_the_sync_is_answered(test):
    """The signal comes while the disk works: the answer still leaves."""
    cluster = Cluster(test, size=1).start()
    node = cluster["n1"]
    with http.Client(node.address) as client:
        with strace.failing(node, "fdatasync:delay_enter=700ms:when=1"):
            client.send(http.encode("PUT", "/kv/key", b"value"))
            strace.wait_held(node)
            node.terminate()
            expect_equal(client.receive().status, 201, "the write")
            expect_equal(node.wait_end(), 0, "exit status")


class NotifySocket:
    """systemd's end of NOTIFY_SOCKET."""

    def __init__(self, test, name):
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name.replace("@", "\0"))
        self.socket.settimeout(0.2)
        self.messages = []
        test.defer(self.socket.close)

    def wait_for(self, beginning, timeout=10.0):
        """The first message, not waited for before, that begins so."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                message = self.socket.recv(4096).decode()
            except TimeoutError:
                continue
            self.messages.append(message)
            if message.startswith(beginning):
                return message
        raise Failure(f"not told {beginning}: {self.messages}")


def test_sd_notify(test):
    """READY when it listens, whatever the others do; then what it is."""
    cluster = Cluster(test)
    node, *others = cluster.nodes
    path = f"{test.directory}/notify"
    told = NotifySocket(test, path)
    node.start(environment={"NOTIFY_SOCKET": path,
                            "WATCHDOG_USEC": "1000000"})
    told.wait_for("READY=1")
    expect(node.is_listening(), "READY=1 before it listens")
    expect_equal(told.wait_for("STATUS="),
                 "STATUS=waiting to form the cluster: heard 1 of 3 members",
                 "status alone")
    told.wait_for("WATCHDOG=1")
    quickest = 10.0
    for _ in range(3):
        began = time.monotonic()
        told.wait_for("WATCHDOG=1")
        quickest = min(quickest, time.monotonic() - began)
    expect(quickest < 1.0, f"the watchdog was fed after {quickest:.2f} s")
    for other in others:
        other.start()
    cluster.wait_ready()
    leader = cluster.leader()
    wanted = ("STATUS=leader, term " if leader is node
              else f"STATUS=follower of {leader.name}, term ")
    if not any(wanted in message for message in told.messages):
        told.wait_for(wanted)
    for other in others:
        other.kill()
    status = told.wait_for("STATUS=")
    while "no leader" not in status:
        status = told.wait_for("STATUS=")
    node.terminate()
    told.wait_for("STOPPING=1")
    expect_equal(node.wait_end(), 0, "exit status")


def test_sd_notify_abstract_socket_and_no_watchdog(test):
    cluster = Cluster(test, size=1)
    node = cluster["n1"]
    name = f"@luminous-{os.getpid()}"
    told = NotifySocket(test, name)
    node.start(environment={"NOTIFY_SOCKET": name})
    told.wait_for("READY=1")
    told.wait_for("STATUS=leader, term 1")
    node.terminate()
    told.wait_for("STOPPING=1")
    expect("WATCHDOG=1" not in told.messages, "a watchdog nobody asked for")


def test_log_for_the_journal(test):
    """With priorities, as journald reads them; one line each."""
    cluster = Cluster(test, size=1, options={"log.format": "journald"})
    node = cluster.start()["n1"]
    node.stop()
    lines = node.read_log().splitlines()
    expect(lines and all(line[:3] in ("<3>", "<4>", "<5>", "<6>")
                         for line in lines), f"log: {lines}")
