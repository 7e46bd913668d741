"""The packet switch of the torture tests does what it is told to packets."""

import pathlib
import socket
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "torture"))

from cluster import TortureCluster
from lib import http
from lib.testing import Failure, expect, expect_equal, wait_for
from network import Network, between, one_way, run_in

PACKETS = 150  # as many as fit into a socket that nobody reads


class Pair:
    """Two hosts, a and b, and a datagram socket on each."""

    def __init__(self, test):
        self.network = Network(test.random.randrange(1 << 32))
        test.defer(self.network.close)
        self.addresses = {name: self.network.add_host(name) for name in "ab"}
        self.sender, self.receiver = (
            self.make(name, socket.SOCK_DGRAM) for name in "ab")
        test.defer(self.sender.close)
        test.defer(self.receiver.close)
        self.receiver.settimeout(0.3)

    def make(self, name, kind):
        """A socket in that host's namespace, where it stays."""
        sock = run_in(self.network.hosts[name], socket.socket,
                      socket.AF_INET, kind)
        sock.bind((self.addresses[name], 7))
        return sock

    def set(self, **settings):
        self.network.lay("test", one_way("a", "b", **settings))

    def send(self, count=PACKETS):
        """(number, seconds under way) of all that arrives, in that order."""
        target = (self.addresses["b"], 7)
        arrived = []
        for number in range(count):
            text = f"{number} {time.monotonic()} ".ljust(100, "x")
            self.sender.sendto(text.encode(), target)
        try:
            while True:
                number, sent, _ = self.receiver.recv(200).split(b" ")
                arrived.append((int(number), time.monotonic() - float(sent)))
        except TimeoutError:
            return arrived


def test_faults_of_datagrams(test):
    """Each fault alone: what arrives, how often, when, and what is counted."""
    pair = Pair(test)
    everything = list(range(PACKETS))

    def numbers(**settings):
        pair.set(**settings)
        return [number for number, _ in pair.send()]

    expect(numbers() == everything, "a perfect link is none")
    expect_equal(numbers(block=1), [], "a link that is cut")
    got = numbers(loss=300)
    expect(0.5 < len(got) / PACKETS < 0.9, f"of 70 %: {len(got)}")
    got = numbers(duplicate=500)
    expect(1.3 < len(got) / PACKETS < 1.7, f"of 150 %: {len(got)}")
    expect_equal(sorted(set(got)), everything, "without the copies")
    got = numbers(reorder=200)
    expect_equal(sorted(got), everything, "all, reordered")
    expect(got != everything, "nothing was reordered")
    got = numbers(corrupt=500)
    expect(0.3 < len(got) / PACKETS < 0.7, f"of 50 %: {len(got)}")
    got = numbers(rate=100000, queue=4096)
    expect(len(got) < PACKETS, "a full queue of a slow link took all")
    stats = pair.network.stats("a", "b")
    for name in ("blocked", "lost", "duplicated", "reordered", "corrupted",
                 "overflowed"):
        expect(stats[name] > 0, f"{name}: {stats}")


def test_time_on_the_way(test):
    pair = Pair(test)
    pair.set(delay=100, jitter=50)
    arrived = pair.send(50)
    expect_equal([number for number, _ in arrived], list(range(50)),
                 "jitter keeps the order")
    times = [seconds for _, seconds in arrived]
    expect(min(times) >= 0.1, f"too fast: {min(times)}")
    pair.set()
    quick = min(seconds for _, seconds in pair.send(50))
    expect(quick < 0.05, f"slow without a delay: {quick}")
    pair.set(rate=20000)
    # 128 bytes each, with the headers: 50 take 0.32 s.
    slowest = max(seconds for _, seconds in pair.send(50))
    expect(0.28 < slowest, f"faster than its rate: {slowest}")


def test_mangled_streams(test):
    """TCP delivers other bytes than those that were sent."""
    pair = Pair(test)
    listener = pair.make("b", socket.SOCK_STREAM)
    client = pair.make("a", socket.SOCK_STREAM)
    test.defer(listener.close)
    test.defer(client.close)
    listener.listen()
    client.connect((pair.addresses["b"], 7))
    server, _ = listener.accept()
    test.defer(server.close)
    pair.set(mangle=1000)
    sent = b"x" * 500
    client.sendall(sent)
    got = server.recv(len(sent), socket.MSG_WAITALL)
    expect_equal(len(got), len(sent), "bytes")
    damaged = sum(byte != ord("x") for byte in got)
    expect(1 <= damaged <= 4, f"{damaged} bytes are others")


def test_what_is_refused(test):
    network = Network(1)
    test.defer(network.close)
    network.add_host("a")
    for line in ("", "nonsense", "link a", "link a c", "link a a speed 1",
                 "link a a loss 1001", "link a a delay 5", "cut a",
                 "host b nowhere", "stats a"):
        try:
            network.command(line)
        except Failure as failure:
            expect("error" in str(failure), str(failure))
            continue
        raise Failure(f"{line!r} was taken")


def test_nothing_is_left_behind(test):
    """Namespaces have no names: they end with the switch."""
    network = Network(1)
    network.add_host("a")
    path = network.hosts["a"]
    network.close()
    wait_for("the namespace is gone",
             lambda: not pathlib.Path(path).exists())


def wait_for_a_lock(cluster):
    """Through a follower, while the leader's host vanishes."""
    leader = cluster.leader(timeout=30)
    follower = cluster.followers()[0]
    held = follower.fetch("PUT", "/lock/l?ttl=5m", b"first").json()
    with http.Client(follower.address, timeout=30) as client:
        client.send(http.encode("PUT", "/lock/l?ttl=20s&wait=2m", b"second",
                                [("Idempotency-Key", "1")]))
        wait_for("it waits", lambda: leader.fetch(
            "GET", "/lock/l").json()["waiting"] == 1)
        cluster.network.lay("vanished", between(
            [leader.host], [host for host in cluster.network.hosts
                            if host != leader.host], block=1))
        others = [node for node in cluster if node is not leader]
        cluster.leader(others, timeout=30)
        answer = others[1].fetch("DELETE", f"/lock/l?token={held['token']}")
        expect_equal(answer.status, 200, "the lock is released")
        answer = client.receive("PUT")
    expect_equal(answer.status, 201, f"the one who waits: {answer}")


def test_lock_is_waited_for_while_a_host_vanishes(test):
    """No end of a connection is seen, but by probes, within ten seconds."""
    network = Network(test.random.randrange(1 << 32))
    test.defer(network.close)
    network.add_host("control")
    run_in(network.hosts["control"], lambda: wait_for_a_lock(
        TortureCluster(test, network, 3).start()))
