"""Watches on real clusters: through deaths and changes of leaders, by slow
readers, by many, and with curl as people use it."""

import json
import select
import subprocess
import threading
import time

from lib.cluster import Cluster
from lib.load import Load
from lib.testing import expect, expect_equal, wait_for
from lib.watch import Ended, Stream, Watcher, read_history

WATCHERS = 1000


def expect_same_events(watcher, node, what):
    """It has seen all that history has, once and in order."""
    history = read_history(node, watcher.query)
    expect(watcher.events == history,
           f"{what}: {len(watcher.events)} events, but history has "
           f"{len(history)}")
    return len(history)


class Reader(threading.Thread):
    """Reads a watcher's stream until it is told to stop, or it ends."""

    def __init__(self, watcher):
        super().__init__(daemon=True)
        self.watcher = watcher
        self.ended = None
        self.longest_gap = 0.0
        self._stop_at = None
        self.start()

    def run(self):
        last = time.monotonic()
        try:
            while self._stop_at is None or self.watcher.since < self._stop_at:
                if self.watcher.read(0.1) is not None:
                    now = time.monotonic()
                    self.longest_gap = max(self.longest_gap, now - last)
                    last = now
        except Ended as end:
            self.ended = end

    def stop_at(self, revision):
        self._stop_at = revision
        self.join(30)
        expect(not self.is_alive(),
               f"it is at {self.watcher.since}, not at {revision}")


def test_stream_through_leader_changes(test):
    """A stream of a node that follows does not notice who leads."""
    cluster = Cluster(test).start()
    load = Load(cluster, timeout=3.0).start()
    load.wait_acked(50)
    watched = cluster.followers()[0]
    watcher = Watcher()
    watcher.connect(watched)
    reader = Reader(watcher)
    for _ in range(2):
        killed = cluster.leader()
        if killed is watched:  # it follows again, and its stream stays
            target = next(node for node in cluster if node is not watched)
            killed.fetch("POST", f"/cluster/leader?to={target.name}")
            killed = cluster.leader()
        killed.kill()
        load.wait_acked(50)
        killed.restart()
        cluster.wait_ready()
    load.wait_acked(50)
    load.stop()
    reader.stop_at(cluster.wait_converged())
    expect_equal(reader.ended, None, "the end of the stream")
    count = expect_same_events(watcher, watched, "the stream")
    for node in cluster:
        expect_equal(len(read_history(node)), count, f"at {node.name}")
    test.note(f"{count} events, longest gap {reader.longest_gap:.2f} s")


def test_resume_at_another_node(test):
    """SIGKILL of the node that serves: nothing is missed, or seen twice."""
    cluster = Cluster(test).start()
    load = Load(cluster, timeout=3.0).start()
    watcher = Watcher("prefix=w1/&")
    cuts = 0
    for place in (0, 1, 2, 0):
        node = cluster.nodes[place]
        watcher.connect(node)
        reader = Reader(watcher)
        load.wait_acked(50)
        node.kill()
        reader.join(10)
        expect(reader.ended is not None, "the stream of a killed node goes on")
        cuts += 1
        watcher.connect(cluster.nodes[(place + 1) % 3])
        load.wait_acked(20)
        node.restart()
        cluster.wait_ready()
    load.stop()
    watcher.read_until(cluster.leader().put("w1/last", b"")["revision"])
    count = expect_same_events(watcher, cluster.leader(), "the watcher")
    test.note(f"{count} events, {cuts} cuts")


def test_slow_reader_is_cut_and_goes_on(test):
    """It gets whole revisions and where to go on; writers do not wait."""
    cluster = Cluster(test).start()
    node = cluster.followers()[0]
    slow = Watcher()
    slow.connect(node)
    value = b"v" * 100000
    slowest = 0.0
    written = 0
    while node.get_metrics()["luminous_watch_overflows_total"] == 0:
        for _ in range(5):
            began = time.monotonic()
            node.put(f"large/{written % 7}", value)
            slowest = max(slowest, time.monotonic() - began)
            written += 1
        expect(written < 1000, "it is never cut")
    expect_equal(node.get_metrics()["luminous_watchers"], 0, "watchers")
    try:
        while True:
            last = slow.read()
    except Ended as end:
        expect(end.in_order, "the stream is cut")
    expect_equal(last["type"], "overflow", "the last line")
    got = len(slow.events)
    expect_equal(last["resume"], got, "where to go on")
    expect(got < written, "it has got all")
    slow.connect(node)
    slow.read_until(written)
    expect_same_events(slow, node, "the slow reader")
    expect(slowest < 10.0, f"a put took {slowest:.2f} s")
    test.note(f"cut after {got} of {written} values, slowest put "
              f"{slowest * 1000:.0f} ms")


def test_SIGTERM_tells_where_to_go_on(test):
    cluster = Cluster(test).start()
    node = cluster.followers()[0]
    node.put("key", b"value")
    cluster.wait_converged()
    stream = Stream(node, "/watch")
    node.terminate()
    expect_equal(stream.read(), {"type": "closing", "resume": 1},
                 "the last line")
    try:
        stream.read()
    except Ended as end:
        expect(end.in_order, "the stream is cut")
    expect_equal(node.wait_end(), 0, "exit status")


def open_all(node, targets):
    streams = [Stream(node, target, waits=False) for target in targets]
    for stream in streams:
        stream.wait_begin()
    return streams


def read_all(streams, timeout=20.0):
    """One line of each, whoever has it first; how long it took."""
    began = time.monotonic()
    lines = {}
    poller = select.poll()
    by_number = {stream.fileno(): stream for stream in streams}
    for number in by_number:
        poller.register(number, select.POLLIN)
    ready = list(by_number)  # the line may have come with the head
    while len(lines) < len(streams):
        for number in ready:
            line = by_number[number].read_line(0)
            if line is not None:
                lines[by_number[number]] = json.loads(line)
                poller.unregister(number)
        expect(time.monotonic() - began < timeout,
               f"{len(streams) - len(lines)} of {len(streams)} have no line")
        ready = [number for number, _ in poller.poll(100)]
    return lines, time.monotonic() - began


def test_a_thousand_watchers(test):
    """Half of them of one prefix, the others of a key each; all resume."""
    cluster = Cluster(test).start()
    node, other = cluster.followers()
    keys = [f"k/{i}" for i in range(WATCHERS // 2)]
    targets = [f"/watch/{key}" for key in keys] + [
        "/watch?prefix=k/"] * (WATCHERS // 2)
    streams = open_all(node, targets)
    test.defer(lambda: [stream.close() for stream in streams])
    expect_equal(node.get_metrics()["luminous_watchers"], WATCHERS,
                 "watchers")
    revision = cluster.leader().put("k/7", b"value")["revision"]
    told = [streams[7], *streams[len(keys):]]
    lines, took = read_all(told)
    for line in lines.values():
        expect_equal((line["key"], line["revision"]), ("k/7", revision),
                     "the event")
    node.kill()
    began = time.monotonic()
    streams[:] = open_all(other, [
        f"{target}{'&' if '?' in target else '?'}since={revision - 1}"
        for target in targets])
    lines, _ = read_all([streams[7], *streams[len(keys):]])
    resumed = time.monotonic() - began
    for line in lines.values():
        expect_equal(line["revision"], revision, "the event after resuming")
    expect(not any(stream.has_input() for stream in streams[:len(keys)]
                   if stream is not streams[7]),
           "watchers of other keys are told")
    test.note(f"{len(told)} told in {took * 1000:.0f} ms, "
              f"all resumed in {resumed:.2f} s")


# ---- curl ----


def curl(*arguments):
    """A process; its output is read by the test."""
    return subprocess.Popen(["curl", "-sS", *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_curl_follows_a_prefix(test):
    cluster = Cluster(test, size=1).start()
    node = cluster["n1"]
    node.put("app/host", b"db7")
    process = curl("-fN", f"{node.address}/watch?prefix=app/&since=0")
    test.defer(process.kill)
    first = json.loads(process.stdout.readline())
    expect_equal((first["type"], first["value"]), ("put", "db7"), "history")
    node.put("app/host", b"db8")
    second = json.loads(process.stdout.readline())
    expect_equal((second["value"], second["revision"]), ("db8", 2), "live")
    node.stop()
    last = json.loads(process.stdout.readline())
    expect_equal(last, {"type": "closing", "resume": 2}, "the end")
    expect_equal(process.wait(10), 0, "exit status of curl")


def test_curl_reads_server_sent_events(test):
    cluster = Cluster(test, size=1).start()
    node = cluster["n1"]
    node.put("app/host", b"db7")
    process = curl("-fN", "-H", "Accept: text/event-stream",
                   f"{node.address}/watch?prefix=app/&snapshot=1")
    test.defer(process.kill)
    wanted = ["retry: 2000", "event: put", "id: 1",
              'data: {"key":"app/host","value":"db7","revision":1,'
              '"created":1,"version":1}', "id:", "",
              "event: synced", "id: 1", 'data: {"revision":1}', ""]
    for line in wanted:
        expect_equal(process.stdout.readline().decode().rstrip("\n"), line,
                     "a line")


def test_curl_loop_with_etags(test):
    """The two flags that make a loop: it waits whatever the state is."""
    cluster = Cluster(test, size=1).start()
    node = cluster["n1"]
    etag = str(test.directory / "etag")
    output = test.directory / "host"
    url = f"{node.address}/kv/app/host"

    def loop(wait):
        return curl("-f", "--etag-save", etag, "--etag-compare", etag, "-o",
                    str(output), "-w", "%{http_code}", f"{url}?wait={wait}")

    def finish(process, status, code):
        text = process.communicate(timeout=15)[0].decode()
        expect(text.endswith(str(status)), f"{text!r}, wanted {status}")
        expect_equal(process.returncode, code, "exit status of curl")

    def wait_waiting():
        wait_for("curl waits",
                 lambda: node.get_metrics()["luminous_watchers"] == 1)

    finish(loop("60s"), 404, 22)
    process = loop("60s")
    wait_waiting()
    node.put("app/host", b"db7")
    finish(process, 200, 0)
    expect_equal(output.read_bytes(), b"db7", "the value")
    finish(loop("200ms"), 304, 0)
    process = loop("60s")
    wait_waiting()
    node.put("app/host", b"db8")
    finish(process, 200, 0)
    expect_equal(output.read_bytes(), b"db8", "the new value")
    process = loop("60s")
    wait_waiting()
    node.fetch("DELETE", "/kv/app/host")
    finish(process, 404, 22)
