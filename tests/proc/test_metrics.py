"""/metrics is what Prometheus reads, and the numbers move."""

import math
import re

from lib.cluster import Cluster
from lib.testing import Failure, expect, expect_equal, wait_for

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*"'
LABELS = rf"\{{{LABEL}(?:,{LABEL})*\}}"
SAMPLE = re.compile(rf"({NAME})({LABELS})? (\S+)")


class Exposition:
    """The text format 0.0.4, read strictly."""

    def __init__(self, text):
        self.types = {}
        self.samples = {}
        self.family = None
        self.closed = set()
        expect(text.endswith("\n"), "the last line has no end")
        for line in text.splitlines():
            self._read(line)
        for name, kind in self.types.items():
            if kind == "histogram":
                self._check_histogram(name)

    def _read(self, line):
        if line.startswith("# "):
            _, word, name, rest = line.split(" ", 3)
            self._enter(name)
            if word == "TYPE":
                expect(name not in self.types, f"two TYPE lines: {name}")
                expect(rest in ("counter", "gauge", "histogram"), line)
                self.types[name] = rest
            else:
                expect_equal(word, "HELP", line)
            return
        match = SAMPLE.fullmatch(line)
        if match is None:
            raise Failure(f"no sample: {line!r}")
        name, labels, value = match.groups()
        self._check_family(name, line)
        expect((name, labels) not in self.samples, f"twice: {line}")
        self.samples[name, labels] = float(value)

    def _enter(self, name):
        """All lines of one metric stand together."""
        if name == self.family:
            return
        expect(name not in self.closed, f"{name} is in two places")
        self.closed.add(self.family)
        self.family = name

    def _check_family(self, name, line):
        kind = self.types.get(self.family)
        if kind == "histogram":
            expect(re.fullmatch(self.family + "_(bucket|sum|count)", name),
                   f"not of {self.family}: {line}")
        else:
            expect_equal(name, self.family, f"metric of {line}")
        if kind == "counter":
            expect(name.endswith("_total"), f"a counter's name: {name}")

    def _check_histogram(self, name):
        series = {}
        for (sample, labels), value in self.samples.items():
            if sample != name + "_bucket":
                continue
            bound = re.search(r'le="([^"]+)"', labels).group(1)
            rest = re.sub(r',?le="[^"]+"', "", labels)
            series.setdefault(rest, []).append((float(bound), value))
        for rest, buckets in series.items():
            values = [value for _, value in buckets]
            expect_equal(buckets, sorted(buckets), f"order of {name}")
            expect_equal(values, sorted(values), f"{name} is cumulative")
            expect(math.isinf(buckets[-1][0]), f"{name} has no +Inf")
            key = (name + "_count", None if rest == "{}" else rest)
            expect_equal(self.samples.get(key), values[-1],
                         f"{name}_count{rest}")


def read(node):
    answer = node.fetch("GET", "/metrics")
    expect_equal(answer.header("Content-Type"),
                 "text/plain; version=0.0.4; charset=utf-8", "Content-Type")
    return Exposition(answer.body.decode())


def test_every_node_speaks_prometheus(test):
    cluster = Cluster(test).start()
    for number in range(10):
        cluster["n1"].put(f"{number}", b"value")
    cluster["n1"].fetch("GET", "/nope\"%22")
    wanted = {
        "luminous_build_info", "luminous_raft_term",
        "luminous_raft_is_leader", "luminous_raft_has_leader",
        "luminous_raft_commit_index", "luminous_raft_applied_index",
        "luminous_repairing",
        "luminous_raft_leader_changes_total", "luminous_keys",
        "luminous_data_bytes", "luminous_data_quota_bytes",
        "luminous_memtable_bytes",
        "luminous_leases", "luminous_expired_keys_total",
        "luminous_history_events", "luminous_history_bytes",
        "luminous_history_compacted_revision",
        "luminous_scrub_bytes_total", "luminous_scrub_passes_total",
        "luminous_fsync_duration_seconds", "luminous_loop_delay_seconds",
        "luminous_http_requests_total",
        "luminous_http_request_duration_seconds", "luminous_http_in_flight",
        "process_resident_memory_bytes", "process_open_fds",
    }
    for node in cluster:
        missing = wanted - set(read(node).types)
        expect(not missing, f"{node.name} lacks {sorted(missing)}")


def test_counters_move(test):
    cluster = Cluster(test).start()
    leader = cluster.leader()
    before = read(leader).samples
    for number in range(7):
        leader.put(f"{number}", b"x" * 100)
    leader.get("0")
    leader.fetch("GET", "/kv/none")
    after = read(leader).samples

    def moved(name, labels=None):
        return after[name, labels] - before.get((name, labels), 0)

    requests = "luminous_http_requests_total"
    expect_equal(moved(requests,
                       '{endpoint="/kv/KEY",method="PUT",code="201"}'), 7,
                 "PUTs")
    expect_equal(moved(requests,
                       '{endpoint="/kv/KEY",method="GET",code="200"}'), 1,
                 "GETs")
    expect_equal(moved(requests,
                       '{endpoint="/kv/KEY",method="GET",code="404"}'), 1,
                 "GETs of no key")
    expect_equal(moved("luminous_keys"), 7, "keys")
    expect_equal(moved("luminous_data_bytes"), 7 * 101, "bytes")
    expect_equal(moved("luminous_history_events"), 7, "events")
    expect(moved("luminous_history_bytes") > 0, "history takes no bytes")
    expect_equal(moved("luminous_raft_applied_index"), 7, "entries")
    expect_equal(after["luminous_raft_is_leader", None], 1, "is_leader")
    syncs = sum(moved(name, labels) for name, labels in after
                if name == "luminous_fsync_duration_seconds_count")
    expect(syncs >= 7, f"{syncs} syncs for seven writes one by one")
    lag = [value for (name, _), value in after.items()
           if name == "luminous_raft_peer_match_lag_entries"]
    expect_equal(len(lag), 2, "peers in the leader's metrics")


def test_cluster_as_text_and_json(test):
    """What people and scripts look at when something is wrong."""
    cluster = Cluster(test).start()
    leader = cluster.leader()
    away = cluster.followers()[0]
    away.kill()

    def member(name):
        return next(member for member in leader.get_cluster()["members"]
                    if member["name"] == name)

    wait_for(f"{away.name} is unreachable, and why", lambda: member(
        away.name).get("error") == "connection refused")
    expect_equal(member(away.name)["state"], "unreachable", "who is away")
    expect_equal(member(leader.name)["state"], "leader", "the leader")
    wait_for("two are healthy", lambda: leader.get_cluster()["healthy"] == 2)
    status = leader.get_cluster()
    expect_equal((status["cluster"], status["quorum"]), ("proc", 2),
                 "cluster and quorum")
    answer = leader.fetch("GET", "/cluster",
                          headers=[("Accept", "text/plain")])
    line = next(line for line in answer.body.decode().splitlines()
                if line.startswith(away.name))
    expect("unreachable" in line and "connection refused" in line,
           f"text: {line}")
