"""
The network of a run: build/fnet, a namespace for each host, and rules that
several faults lay over the same links at once.
"""

import ctypes
import os
import pathlib
import subprocess
import threading

from lib.testing import Failure

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CLONE_NEWNET = 0x40000000
PORT = 5864

# Two rules on one link: what holds then.
MERGE = {
    "block": max,
    "delay": lambda a, b: a + b,  # milliseconds
    "jitter": lambda a, b: a + b,
    "loss": lambda a, b: a + b - a * b // 1000,  # in thousandths
    "duplicate": max,
    "reorder": max,
    "corrupt": max,
    "mangle": max,
    "rate": min,  # bytes a second
    "queue": min,  # bytes
}
UNITS = {"delay": "ms", "jitter": "ms", "rate": "B", "queue": "B"}


def fnet_path():
    return os.environ.get("FNET", str(REPOSITORY / "build" / "fnet"))


def enter(path):
    """
    From now on this thread, and those that it starts, are in this network
    namespace.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with open(path) as file:
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise Failure(f"setns: {os.strerror(ctypes.get_errno())}")


def run_in(path, function, *arguments):
    """Calls it in a thread of that namespace; what it gives."""
    result = []

    def run():
        try:
            enter(path)
            result.append((function(*arguments), None))
        except Exception as error:  # it belongs to the caller
            result.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = result[0]
    if error is not None:
        raise error
    return value


class Network:
    """
    Hosts by name, each with an address and a namespace. `rules` are those of
    the faults under way, by their owner: (from, to, settings), where from and
    to are names. A link does what all rules about it say together.
    """

    def __init__(self, seed):
        self.hosts = {}  # name -> namespace
        self._rules = {}
        self._set = {}  # (from, to) -> settings, as fnet has them
        self._lock = threading.Lock()
        try:
            self._process = subprocess.Popen(
                [fnet_path(), str(seed)], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True, bufsize=1)
        except OSError as error:
            raise Failure(f"{fnet_path()}: {error}; run make fnet") from None

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def command(self, line):
        """What fnet answers behind the "ok"."""
        with self._lock:
            try:
                self._process.stdin.write(line + "\n")
                answer = self._process.stdout.readline().strip()
            except OSError as error:
                answer = f"error {error}"
        if not answer.startswith("ok"):
            raise Failure(f"fnet: {line}: {answer or 'it has ended'}")
        return answer[3:]

    def add_host(self, name):
        """Makes it; its namespace. Without root or TUN this is a Failure."""
        address = f"10.77.0.{len(self.hosts) + 1}"
        self.hosts[name] = self.command(f"host {name} {address}")
        return address

    def stats(self, source="*", target="*"):
        """Packets by what became of them."""
        words = self.command(f"stats {source} {target}").split()
        return dict(zip(words[::2], map(int, words[1::2])))

    # ---- Rules ----

    def lay(self, owner, rules):
        """Puts them in the place of those that the owner had."""
        self._rules[owner] = list(rules)
        self._apply()

    def lift(self, owner):
        self._rules.pop(owner, None)
        self._apply()

    def _merged(self):
        links = {}
        for rules in list(self._rules.values()):
            for source, target, settings in rules:
                link = links.setdefault((source, target), {})
                for name, value in settings.items():
                    link[name] = (MERGE[name](link[name], value)
                                  if name in link else value)
        return links

    def _apply(self):
        wanted = self._merged()
        for pair in {*self._set, *wanted}:
            settings = wanted.get(pair, {})
            if self._set.get(pair, {}) != settings:
                self._set[pair] = settings
                self.command(" ".join(
                    ["link", *pair] +
                    [f"{name} {value}{UNITS.get(name, '')}"
                     for name, value in settings.items()]))


def pairs(some, others):
    """Every direction from one of some to one of others."""
    return [(a, b) for a in some for b in others if a != b]


def between(some, others, **settings):
    """Rules for both ways between them."""
    return one_way(some, others, **settings) + \
        one_way(others, some, **settings)


def one_way(some, others, **settings):
    return [(a, b, settings) for a, b in pairs(some, others)]
