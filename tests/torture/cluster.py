"""
Real daemons, each on a host of its own in a Network, and who keeps them
running, as systemd would. Several faults may hold one node down or paused at
once: it goes on when the last of them has ended.
"""

import glob
import signal
import threading
import time

from lib import http
from lib.cluster import EXIT_CONFIG, EXIT_FULL, Cluster, Node
from lib.testing import Failure, expect, wait_for
from lib.tmpfs import Tmpfs
from network import PORT

DISK_MIB = 160
# The time of a restart by systemd, shortened.
RESTART_SECONDS = 0.1
FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"


def find_faketime():
    found = glob.glob(FAKETIME)
    if not found:
        raise Failure("libfaketime is not there: install faketime")
    return found[0]


class TortureNode(Node):
    """Started by its cluster's keeper only; faults say what they want."""

    def __init__(self, cluster, name, address):
        super().__init__(cluster, name, PORT)
        self.address = self.member_address = f"{address}:{PORT}"
        self.host = name
        self.disk = None
        self.lock = threading.RLock()
        self.down_by = set()
        self.paused_by = set()
        self.may_be_full = False  # its disk is, or was a moment ago
        self.may_be_removed = False
        self.is_removed = False  # it says so: not to be started
        self.rate = None  # of its clocks
        self.clock_file = cluster.directory / f"{name}.clock"
        self.ended_at = 0.0

    def _environment(self):
        """Of libfaketime: the wall clock follows the file, or all run fast."""
        if self.rate is None and not self.cluster.has_clocks:
            return {}
        common = {"LD_PRELOAD": find_faketime(), "FAKETIME_DISABLE_SHM": "1"}
        if self.rate is not None:
            return {**common, "FAKETIME": f"+0 x{self.rate}"}
        return {**common, "FAKETIME_TIMESTAMP_FILE": str(self.clock_file),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def set_wall_clock(self, seconds):
        self.clock_file.write_text(f"{seconds:+d}\n")

    def start(self, wrapper=(), arguments=(), environment=None):
        namespace = self.cluster.network.hosts[self.host]
        super().start(["nsenter", f"--net={namespace}", "--", *wrapper],
                      arguments, self._environment())

    def get_cluster(self):
        """One that does not answer at once is paused, or as good as that."""
        try:
            return self.fetch("GET", "/cluster", timeout=0.5).json()
        except http.Broken:
            return None

    def is_active(self):
        return self.is_running() and not self.paused_by

    def hold_down(self, owner):
        with self.lock:
            self.down_by.add(owner)
            self.kill()

    def let_up(self, owner):
        with self.lock:
            self.down_by.discard(owner)
            self.keep()

    def hold_paused(self, owner):
        with self.lock:
            self.paused_by.add(owner)
            if self.is_running():
                self.pause()

    def let_on(self, owner):
        with self.lock:
            self.paused_by.discard(owner)
            if not self.paused_by and self.is_running():
                self.signal(signal.SIGCONT)

    def wipe(self):
        """Empties the data directory, on whatever disk it is."""
        if self.data.exists():
            super().wipe()

    # ---- Its keeper ----

    def keep(self):
        """Starts it if it shall run; what it ended with, if that was odd."""
        with self.lock:
            if self.is_running() or self.down_by or self.is_removed:
                return None
            odd = self._judge_end()
            if not self.is_removed:
                self.start()
            return odd

    def _judge_end(self):
        status = None if self.process is None else self.process.returncode
        if status is None or self.end_is_expected:
            return None
        if status == EXIT_CONFIG and self.may_be_removed:
            self.is_removed = True
            return None
        if status == EXIT_FULL and self.may_be_full:
            time.sleep(RESTART_SECONDS)
            return None
        return (f"{self.name} ended with status {status}: " +
                self.read_log().strip()[-300:])


class TortureCluster(Cluster):
    """`has_clocks`: under libfaketime, so that wall clocks can jump."""

    def __init__(self, test, network, size, options=None, has_clocks=False):
        self.network = network
        self.has_clocks = has_clocks
        self.odd_ends = []
        self._stop = threading.Event()
        self._keeper = None
        self._made = 0
        self._last_leader = None
        super().__init__(test, size, options={
            "node.insecure": "yes",
            "raft.election-timeout": None, "raft.heartbeat-interval": None,
            "storage.min-free-disk": "4MiB",
            **(options or {})})
        self.founders = [node.name for node in self.nodes]
        self.wanted = list(self.founders)  # who shall be members

    def _choose_ports(self):
        self.nodes = []
        for _ in range(self.size):
            self.nodes.append(self._make_node())
        for node in self.nodes:
            self.write_config(node)

    def _make_node(self):
        self._made += 1
        name = f"n{self._made}"
        node = TortureNode(self, name, self.network.add_host(name))
        node.disk = Tmpfs(self.test, self.directory / f"{name}.disk", DISK_MIB)
        node.data = node.disk.path / "data"
        node.set_wall_clock(0)
        return node

    def make_spare(self):
        """A node that waits to be added. Not among `wanted` yet."""
        node = self._make_node()
        node.join = "wait"
        self.write_config(node)
        self.nodes.append(node)
        return node

    def start(self):
        for node in self.nodes:
            node.keep()
        self.wait_ready(timeout=30)
        self._keeper = threading.Thread(target=self._keep_all, daemon=True)
        self._keeper.start()
        return self

    def _keep_all(self):
        while not self._stop.wait(0.05):
            for node in list(self.nodes):
                odd = node.keep()
                if odd is not None:
                    self.odd_ends.append(odd)

    def close(self):
        self._stop.set()
        if self._keeper is not None:
            self._keeper.join()
        for node in self.nodes:
            node.kill()

    def members(self):
        return [node for node in self.nodes if node.name in self.wanted]

    def some_leader(self):
        """Who leads; the one before, or any, if nobody says so."""
        leader = self.find_leader(self.active()) or self._last_leader
        if leader not in self.members():
            leader = self.members()[0]
        self._last_leader = leader
        return leader

    def active(self):
        return [node for node in self.nodes if node.is_active()]

    # ---- Members ----

    def ask(self, method, target):
        """Asks the leader, or any other that answers."""
        for node in [self.some_leader(), *self.active()]:
            if node.is_active() and self.ask_node(node, method, target):
                return

    def ask_node(self, node, method, target):
        """False: there was no answer. A refusal is one."""
        try:
            answer = node.fetch(method, target, timeout=3.0)
        except http.Broken as error:
            answer = error
        with open(self.directory / "operator.log", "a") as log:
            log.write(f"{method} {node.name} {target}: {answer}\n")
        if isinstance(answer, http.Broken):
            return False
        expect(answer.status != 400, f"{method} {target}: {answer!r}")
        return True

    def reconcile(self):
        """One step towards `wanted` as members; True if they are."""
        leader = self.find_leader(self.active())
        # One that was overtaken could take a member for removed.
        if leader is None or not leader.is_ready():
            return False
        status = leader.get_cluster()
        if not status or status["change_in_progress"] is not None:
            return False
        roles = {member["name"]: member["role"]
                 for member in status["members"]}
        if roles == {name: "voter" for name in self.wanted}:
            return True
        for name in self.wanted:
            if name not in roles:
                self._add(leader, self[name])
                return False
        for name in set(roles) - set(self.wanted):
            self[name].may_be_removed = True
            self.ask_node(
                leader, "DELETE", f"/cluster/members/{name}?timeout=2s")
            return False
        return False

    def _add(self, leader, node):
        """Empty, as one that comes back must be."""
        if not node.is_running() and not node.is_removed:
            return
        if node.may_be_removed or node.is_removed:
            node.hold_down("reconcile")
            node.wipe()
            node.join = "wait"
            self.write_config(node)
            node.is_removed = node.may_be_removed = False
            node.let_up("reconcile")
        wait_for(f"{node.name} listens", node.is_listening)
        self.ask_node(leader, "POST", f"/cluster/members?name={node.name}"
                   f"&address={node.address}&wait=1s")

    def settle(self, timeout):
        """Waits until the wanted members are those, whole and ready."""
        wait_for(f"the voters are {self.wanted}", self.reconcile, timeout,
                 every=0.1)
        for node in list(self.nodes):
            if node.name not in self.wanted:
                node.hold_down("settle")
                self.nodes.remove(node)
        self.wait_ready(timeout=timeout)
