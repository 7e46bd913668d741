"""Recorded lives of a daemon, and power cuts at each moment of them."""

import os
import pathlib
import random
import re
import shutil
import subprocess
import tempfile

from lib import http, promises, trace
from lib.cluster import REPOSITORY, Cluster
from lib.testing import Failure, Skip, expect, expect_equal, wait_for

# Everything happens as often as it can.
BUSY = {"raft.checkpoint-interval": "100ms", "raft.checkpoint-bytes": "64KiB",
        "raft.trailing-bytes": "64KiB", "history.max-size": "64KiB",
        "storage.memtable-size": "64KiB"}
# A write of that much fills the log's journal of 2 MiB in a few dozen.
LARGE_BYTES = 60000


def tool_path():
    return REPOSITORY / "build" / "power-cut"


def _memory_directory(test):
    """For thousands of images: in memory, where there is a place for it."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = pathlib.Path(tempfile.mkdtemp(prefix="luminous-", dir=parent))
    test.defer(shutil.rmtree, path, True)
    return path


class Recording:
    """A cluster of which one node is recorded."""

    def __init__(self, test, size=1, options=None):
        if not tool_path().exists():
            raise Skip("build/power-cut is not there: run make cut")
        self.test = test
        self.memory = _memory_directory(test)
        self.cluster = Cluster(test, size, options={**BUSY, **(options or {})})
        self.node = self.cluster["n1"]
        self.root = self.memory / "disk"
        self.root.mkdir()
        self.node.data = self.root / "n1"
        self.cluster.write_config(self.node)
        self.trace = self.memory / "trace"
        self.history = promises.History()
        self.damaged_at = None  # how many records there were before
        self.random = random.Random(test.random.random())
        self.count = 0
        self.keys = set()

    # ---- Life ----

    def start(self, tracer=()):
        """The recorded node, for the first time or again."""
        # By env, so that a tracer of it is not recorded.
        variables = [f"{name}={value}" for name, value in
                     trace.environment(self.trace, self.root).items()]
        self.node.restart(wrapper=[*tracer, "env", *variables])

    def start_all(self, tracer=()):
        for node in self.cluster:
            if node is not self.node:
                node.start()
        self.start(tracer)
        self.cluster.wait_ready()

    # ---- Writes, one after the other ----

    def _value(self, size):
        self.count += 1
        return f"{self.count}.".ljust(size, "v")

    def _request(self, via, *request):
        """A write that must be done; its answer."""
        answer = via.fetch(*request)
        expect(answer.status in (200, 201), f"{request[:2]}: {answer!r}")
        return answer.json()

    def put(self, via, key, size):
        value = self._value(size)
        answer = self._request(via, "PUT", f"/kv/{key}", value.encode())
        self.history.put(answer["revision"], key, value)
        self.keys.add(key)

    def delete(self, via, key):
        answer = self._request(via, "DELETE", f"/kv/{key}")
        expect_equal(answer["deleted"], 1, f"deleted of {key}")
        self.history.delete(answer["revision"], key)
        self.keys.discard(key)

    def transact(self, via, keys):
        """Puts all of them at once."""
        values = {key: self._value(20) for key in keys}
        puts = ",".join(f'{{"put":"{key}","value":"{value}"}}'
                        for key, value in values.items())
        answer = self._request(via, "POST", "/txn",
                               f'{{"then":[{puts}]}}'.encode(),
                               [("Content-Type", "application/json")])
        for key, value in values.items():
            self.history.put(answer["revision"], key, value)
            self.keys.add(key)

    def write(self, via, count, size_max=200):
        """So many changes, of any kind."""
        for _ in range(count):
            kind = self.random.random()
            key = f"k{self.random.randrange(40)}"
            if kind < 0.15 and self.keys:
                self.delete(via, self.random.choice(sorted(self.keys)))
            elif kind < 0.3:
                self.transact(via, [f"{key}.{i}" for i in range(3)])
            else:
                self.put(via, key, self.random.randrange(10, size_max))

    def damage(self, name, offset):
        """Overwrites bytes of a file of the stopped node."""
        file = self.root / name
        if self.damaged_at is None:
            self.damaged_at = len(self.read_trace())
        with open(file, "r+b") as out:
            out.seek(offset)
            out.write(b"damaged!")
        trace.append_write(self.trace, file.stat().st_ino, name, offset,
                           b"damaged!")

    # ---- Cuts ----

    def read_trace(self):
        return trace.read(self.trace)

    def _write_image_config(self):
        """Of the same node, on an image, at an address that nobody has."""
        address = "127.{}.{}.{}:{}".format(
            *(self.random.randrange(2, 250) for _ in range(3)),
            self.node.address.rsplit(":", 1)[1])
        config = self.cluster.directory / "image.conf"
        kept = self.node.data, self.node.config
        self.node.data = self.memory / "images" / "n1"
        self.node.config = config
        self.cluster.write_config(
            self.node, node__listen=address, log__level="warning")
        self.node.data, self.node.config = kept
        return config

    def write_promises(self):
        path = self.memory / "promises"
        alone = self.cluster.size == 1
        lines = promises.said(
            self.read_trace(), clients=alone, damaged_at=self.damaged_at)
        expect(lines, "the node said nothing")
        self.history.check_whole()
        promises.write(path, self.history, lines)
        return path

    def cut(self, images, *arguments):
        """Runs build/power-cut: its exit status and what it printed."""
        (self.memory / "images").mkdir(exist_ok=True)
        command = [tool_path(), "--trace", self.trace,
                   "--promises", self.write_promises(),
                   "--config", self._write_image_config(),
                   "--images", images,
                   "--seed", self.random.randrange(1 << 32), *arguments]
        if self.cluster.size == 1:
            command.append("--serves")
        done = subprocess.run(
            [str(word) for word in command], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False, errors="replace")
        return done.returncode, done.stdout

    def keep(self):
        """For who looks into a failure: by which files it is repeated."""
        place = self.test.directory / "cut"
        shutil.copytree(self.memory, place, dirs_exist_ok=True)
        return place


# ---- What is recorded ----

def record_first_start(test):
    """The directory is made; a few writes; the process is killed."""
    recording = Recording(test)
    recording.start()
    recording.node.wait_ready()
    recording.write(recording.node, 5)
    recording.node.kill()
    return recording


def record_writes(test):
    """Checkpoints, a kill and a start on what it left, and clean stops."""
    recording = Recording(test)
    for count in (60, 30, 30):
        recording.start()
        recording.node.wait_ready()
        recording.write(recording.node, count)
        if count == 30:
            recording.node.stop()
        else:
            recording.node.kill()
    recording.start()
    recording.node.wait_ready()
    recording.node.kill()
    return recording


def record_compaction(test):
    """The journal is full again and again; log and history are cut."""
    recording = Recording(test)
    recording.start()
    recording.node.wait_ready()
    for _ in range(5):
        recording.write(recording.node, 30, LARGE_BYTES)
        recording.write(recording.node, 10)
    recording.node.stop()
    return recording


def record_votes(test):
    """One of three: leaders change, by its vote and to itself and away."""
    recording = Recording(test, size=3)
    recording.start_all()
    cluster = recording.cluster
    for _ in range(4):
        leader = cluster.leader()
        recording.write(leader, 5)
        answer = leader.fetch("POST", "/cluster/leader")
        expect_equal(answer.status, 200, f"POST /cluster/leader: {answer!r}")
        wait_for("another leads",
                 lambda: cluster.leader() is not leader)
    for _ in range(2):
        leader = cluster.leader()
        if leader is recording.node:
            continue
        leader.kill()
        recording.write(cluster.leader(), 5)
        leader.restart()
        cluster.wait_ready()
    recording.node.stop()
    return recording


def record_snapshot(test):
    """One of three sleeps until the log that it lacks is cut."""
    recording = Recording(test, size=3)
    recording.start_all()
    cluster = recording.cluster
    others = [node for node in cluster if node is not recording.node]
    recording.write(cluster.leader(), 10)
    cluster.wait_converged()
    for _ in range(2):
        recording.node.pause()
        recording.write(cluster.leader(others), 15, LARGE_BYTES)
        _write_until_cut(recording, cluster.leader(others))
        recording.node.resume()
        cluster.wait_converged()
        recording.write(cluster.leader(), 10)
    cluster.wait_converged()
    # Each install makes another directory for the data.
    expect(list(recording.node.data.glob("data.*")), "no snapshot was sent")
    recording.node.kill()
    return recording


def record_damage(test):
    """
    The log of one of three is damaged: it is set aside, the node begins again
    and is put in its former place, and then what was aside is removed.
    """
    recording = Recording(test, size=3)
    recording.start_all()
    cluster = recording.cluster
    recording.write(cluster.leader(), 10)
    cluster.wait_converged()
    recording.node.stop()
    recording.damage("n1/log/data.mdb", 16)
    recording.damage("n1/log/data.mdb", 4096 + 16)
    recording.start()
    aside = recording.node.data / "damaged"
    wait_for("it is whole again", lambda: recording.node.is_ready() and
             not aside.exists(), timeout=30)
    recording.write(cluster.leader(), 10)
    cluster.wait_converged()
    recording.node.kill()
    return recording


def record_late_member(recording, tracer):
    """One of three is stopped until the log that it lacks is cut."""
    recording.start_all(tracer)
    cluster = recording.cluster
    recording.write(cluster.leader(), 10)
    recording.node.stop()
    leader = cluster.leader()
    recording.write(leader, 15, LARGE_BYTES)
    _write_until_cut(recording, leader)
    recording.start(tracer)
    cluster.wait_converged()
    recording.node.stop()


def _write_until_cut(recording, leader):
    """Later commits trim the log on disk, many entries at a time."""
    wanted = leader.get_metrics()["luminous_raft_applied_index"]

    def is_cut():
        recording.write(leader, 5, LARGE_BYTES // 10)
        metrics = leader.get_metrics()
        return (metrics["luminous_raft_applied_index"] -
                metrics["luminous_raft_log_entries"]) > wanted

    wait_for("the log is cut", is_cut, timeout=30)


# Each with its part of the images: it has so many that differ.
WORKLOADS = {
    "first_start": (record_first_start, 1),
    "writes": (record_writes, 4),
    "compaction": (record_compaction, 3),
    "votes": (record_votes, 3),
    "snapshot": (record_snapshot, 2),
    "damage": (record_damage, 2),
}
CHECKED = re.compile(r"^(\d+) images:", re.M)


def run(test, name, images):
    """
    One workload, once: how many images were looked at, and what power-cut
    printed; a Failure if one was bad.
    """
    try:
        recording = WORKLOADS[name][0](test)
    except http.Broken as error:
        raise Failure(f"{name}: the node gave no answer: {error}") from None
    status, output = recording.cut(images)
    if status != 0:
        raise Failure(f"{name}: status {status}, files in "
                      f"{recording.keep()}:\n{output}")
    return int(CHECKED.search(output).group(1)), output
