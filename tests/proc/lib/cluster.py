"""Real luminousd processes: their configuration, their life and their logs."""

import os
import pathlib
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess

from lib import http
from lib.switch import Switch
from lib.testing import Failure, expect, expect_equal, wait_for

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
EXIT_STOPPED = 70  # damage, or a disk that is broken
EXIT_FULL = 75  # a disk that is full: to be started again
EXIT_CONFIG = 78  # a wrong configuration, or the wrong directory for it
# Where elections are not the point, they should not take the time.
QUICK = {"raft.election-timeout": "300ms", "raft.heartbeat-interval": "50ms"}


def daemon_path():
    """$LUMINOUSD, or what make builds."""
    return os.path.abspath(
        os.environ.get("LUMINOUSD", REPOSITORY / "build" / "luminousd"))


def _local_port_range():
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        return tuple(int(word) for word in file.read().split())


def free_ports(count):
    """
    Ports that nobody listens on. They lie outside the range from which the
    kernel takes the ports of outgoing connections: while a node is down, a
    client or another node could get its port as its own.
    """
    low, high = _local_port_range()
    candidates = [port for port in range(10000, 65000)
                  if not low <= port <= high]
    ports = []
    held = []
    while len(ports) < count:
        port = random.choice(candidates)
        listener = socket.socket()
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        held.append(listener)
        ports.append(port)
    for listener in held:
        listener.close()
    return ports


class Node:
    """One daemon: started and ended many times on one directory."""

    def __init__(self, cluster, name, port):
        self.cluster = cluster
        self.name = name
        self.address = f"127.0.0.1:{port}"
        self.member_address = self.address  # where other members find it
        self.config = cluster.directory / f"{name}.conf"
        self.data = cluster.directory / name
        self.log = cluster.directory / f"{name}.log"
        self.join = None  # node.join of one that is added later
        self.process = None
        self.end_is_expected = False

    # ---- Life ----

    def start(self, wrapper=(), arguments=(), environment=None):
        """
        Runs the daemon, and does not wait for it. `wrapper` is a command that
        executes it as its last arguments, as the same process.
        """
        expect(not self.is_running(), f"{self.name} runs already")
        command = [*wrapper, daemon_path(), "-c", str(self.config), *arguments]
        with open(self.log, "ab") as log:
            log.write(f"-- {' '.join(command)}\n".encode())
            log.flush()  # before what the daemon writes
            self.log_start = log.tell()
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.cluster.directory, start_new_session=True,
                env={**os.environ, **(environment or {})})
        self.end_is_expected = False

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        os.kill(self.process.pid, number)

    def kill(self):
        """SIGKILL to the daemon and to whatever traces it."""
        if self.process is None:
            return
        self.end_is_expected = True
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def terminate(self):
        self.end_is_expected = True
        self.signal(signal.SIGTERM)

    def wait_end(self, timeout=15.0):
        """Waits until the daemon has ended; its exit status."""
        self.end_is_expected = True
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(
                f"{self.name} still runs after {timeout:g} s") from None

    def stop(self, timeout=15.0):
        """SIGTERM, and an exit status of 0."""
        self.terminate()
        expect_equal(self.wait_end(timeout), 0, f"exit status of {self.name}")

    def restart(self, **how):
        self.start(**how)
        self.wait_listening()

    def wipe(self):
        """Removes the data directory."""
        shutil.rmtree(self.data)

    # ---- Looking ----

    def read_log(self):
        """What was logged since the last start."""
        with open(self.log, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def wait_log(self, text, timeout=10.0):
        wait_for(f"{self.name} logs {text!r}",
                 lambda: text in self.read_log(), timeout)

    def fetch(self, method, target, body=None, headers=(), timeout=15.0):
        """One request on a connection of its own."""
        return http.fetch(self.address, method, target, body, headers, timeout)

    def _answers(self, target, timeout):
        """The status, or None if there was no answer."""
        try:
            return self.fetch("GET", target, timeout=timeout).status
        except http.Broken:
            return None

    def is_listening(self):
        return self._answers("/livez", 2.0) == 200

    def wait_listening(self, timeout=15.0):
        def listens():
            if not self.is_running():
                raise Failure(f"{self.name} ended with status "
                              f"{self.process.returncode}: "
                              f"{self.read_log().strip()[-500:]}")
            return self.is_listening()
        wait_for(f"{self.name} listens", listens, timeout)

    def is_ready(self):
        return self._answers("/readyz", 2.0) == 200

    def wait_ready(self, timeout=15.0):
        wait_for(f"{self.name} is ready", self.is_ready, timeout)

    def get_cluster(self):
        """What /cluster says, or None if there was no answer."""
        try:
            return self.fetch("GET", "/cluster", timeout=2.0).json()
        except http.Broken:
            return None

    def get_metrics(self):
        """Samples of /metrics by name with labels, as text there."""
        text = self.fetch("GET", "/metrics").body.decode()
        return {name: float(value) for name, value in
                re.findall(r"^([a-z_]+(?:\{.*\})?) (\S+)$", text, re.M)}

    def get_cpu_seconds(self):
        """Processor time used so far, of user and system."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        ticks = int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    # ---- Keys ----

    def put(self, key, value, timeout=15.0):
        """A put that must succeed; the answer's JSON."""
        response = self.fetch("PUT", http.quote(key), value, timeout=timeout)
        expect(response.status in (200, 201), f"PUT {key!r}: {response!r}")
        return response.json()

    def get(self, key, query=""):
        """The value; None if there is no such key."""
        response = self.fetch("GET", http.quote(key) + query)
        if response.status == 404:
            return None
        expect_equal(response.status, 200, f"GET {key!r}: {response!r}")
        return response.body

    def get_items(self, keys, query=""):
        """All that a read tells of each key; None where there is none."""
        separator = "&" if query else "?"
        answers = http.get_many(
            self.address,
            [http.quote(key) + query + separator + "json" for key in keys])
        items = {}
        for key, answer in zip(keys, answers):
            expect(answer.status in (200, 404), f"GET {key!r}: {answer!r}")
            items[key] = answer.json() if answer.status == 200 else None
        return items


class Cluster:
    """
    `size` nodes n1, n2, ... with configuration files in the test's directory.
    `options` are lines of the file by "section.option"; None leaves out what
    would be there. `switched`: the members reach each other through
    self.switch, and clients reach them directly.
    """

    def __init__(self, test, size=3, options=None, directory=None,
                 switched=False):
        self.test = test
        self.directory = pathlib.Path(directory or test.directory)
        self.directory.mkdir(exist_ok=True)
        self.name = "proc"
        self.size = size
        self.options = {**QUICK, **(options or {})}
        self.secret = self.directory / "secret"
        self.secret.write_text(secrets.token_hex(32) + "\n")
        self.secret.chmod(0o600)
        self.nodes = []
        self.switch = None
        if switched:
            self.switch = Switch(size)
            test.defer(self.switch.close)
        self._choose_ports()
        test.defer(self.close)

    def _choose_ports(self):
        self.nodes = [Node(self, f"n{i + 1}", port)
                      for i, port in enumerate(free_ports(self.size))]
        if self.switch is not None:
            self.switch.set_targets([node.address for node in self.nodes])
            for node, address in zip(self.nodes, self.switch.addresses):
                node.member_address = address
        for node in self.nodes:
            self.write_config(node)

    def write_config(self, node, **changes):
        """Writes the node's file; `changes` as section__option=value."""
        options = {
            "cluster.name": self.name,
            "cluster.secret-file": "secret",
            "node.name": node.name,
            "node.data-dir": str(node.data),
            "node.listen": node.address,
            "node.join": node.join,
            **self.options,
        }
        for name, value in changes.items():
            section, option = name.split("__")
            options[f"{section}.{option.replace('_', '-')}"] = value
        sections = {}
        for name, value in options.items():
            section, option = name.split(".", 1)
            if value is not None:
                sections.setdefault(section, []).append(f"{option} = {value}")
        sections["members"] = [] if node.join else [
            f"{other.name} = {other.member_address}" for other in self.nodes]
        node.config.write_text("".join(
            f"[{section}]\n" + "".join(line + "\n" for line in lines) + "\n"
            for section, lines in sections.items()))

    def add_node(self, name, join, address=None):
        """
        A node that is no member yet. `join` is its node.join: another node,
        through which it asks to be added, or "wait".
        """
        if address is None:
            address = f"127.0.0.1:{free_ports(1)[0]}"
        node = Node(self, name, address.rsplit(":", 1)[1])
        node.join = join if isinstance(join, str) else join.address
        self.nodes.append(node)
        self.write_config(node)
        return node

    def numbers(self, *nodes):
        """As self.switch and the members themselves count them."""
        return {self.nodes.index(node) + 1 for node in nodes}

    def __getitem__(self, name):
        return next(node for node in self.nodes if node.name == name)

    def __iter__(self):
        return iter(self.nodes)

    # ---- Life ----

    def start(self):
        """Starts all for the first time, and waits until all are ready."""
        for _ in range(5):
            for node in self.nodes:
                node.start()
            if not self._has_collision():
                break
            self._begin_anew()
        self.wait_ready()
        return self

    def _has_collision(self):
        """Somebody else took a port since it was looked for."""
        for node in self.nodes:
            wait_for(f"{node.name} listens or ends",
                     lambda: not node.is_running() or node.is_listening())
        return any(not node.is_running() and "in use" in node.read_log()
                   for node in self.nodes)

    def _begin_anew(self):
        for node in self.nodes:
            node.kill()
            node.wipe()
        self._choose_ports()

    def running(self):
        return [node for node in self.nodes if node.is_running()]

    def wait_ready(self, nodes=None, timeout=15.0):
        for node in nodes or self.nodes:
            node.wait_ready(timeout)

    def restart_all(self):
        for node in self.nodes:
            node.start()
        self.wait_ready()

    def kill_all(self):
        """SIGKILL to all, as close together as it goes."""
        for node in self.nodes:
            if node.is_running():
                node.signal(signal.SIGKILL)
        for node in self.nodes:
            node.kill()

    def close(self):
        """Ends everything. A daemon that ended by itself is a failure."""
        ended = [node for node in self.nodes
                 if node.process is not None and not node.is_running()
                 and not node.end_is_expected]
        statuses = [(node.name, node.process.returncode) for node in ended]
        for node in self.nodes:
            node.kill()
        expect(not statuses, f"ended by themselves: {statuses}")

    # ---- Looking ----

    def find_leader(self, nodes=None):
        """The node that says it leads in the highest term, or None."""
        best = None
        for node in nodes or self.running():
            status = node.get_cluster()
            if status is None or status["leader"] != node.name:
                continue
            if best is None or status["term"] > best[0]:
                best = (status["term"], node)
        return None if best is None else best[1]

    def leader(self, nodes=None, timeout=15.0):
        """Waits until one leads and can prove it."""
        def confirmed():
            node = self.find_leader(nodes)
            return node if node is not None and node.is_ready() else None
        return wait_for("there is a leader", confirmed, timeout)

    def followers(self):
        leader = self.leader()
        return [node for node in self.nodes if node is not leader]

    def wait_voters(self, names, timeout=30.0):
        """Waits until the leader has exactly these members, all voters."""
        wanted = {name: "voter" for name in names}
        seen = None

        def settled():
            nonlocal seen
            leader = self.find_leader()
            seen = status = leader and leader.get_cluster()
            return (status and status["change_in_progress"] is None and
                    {member["name"]: member["role"]
                     for member in status["members"]} == wanted)

        try:
            wait_for("", settled, timeout)
        except Failure:
            raise Failure(f"the voters are not {sorted(names)} within "
                          f"{timeout:g} s: {seen}") from None

    def wait_converged(self, timeout=10.0):
        """Waits until all have applied the same; the common revision."""
        def revision():
            seen = {status and status["revision"]
                    for status in map(Node.get_cluster, self.running())}
            return seen if len(seen) == 1 and None not in seen else None
        return wait_for("all nodes are at one revision", revision,
                        timeout).pop()

    def expect_same_items(self, keys):
        """Every node by itself holds the same values and revisions."""
        self.wait_converged()
        first, *others = self.running()
        wanted = first.get_items(keys, "?consistency=stale")
        for node in others:
            got = node.get_items(keys, "?consistency=stale")
            for key in keys:
                expect_equal(got[key], wanted[key],
                             f"{key!r} on {node.name} and {first.name}")
        return wanted
