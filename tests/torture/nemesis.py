"""
The faults. Each is begun and ended; while it lasts it may do more, in a thread
of its own. Several last at once: whatever they share (links, nodes that are
down or paused) counts who wants what, see Network and TortureNode.
"""

import subprocess
import threading

from network import between, one_way

DAY = 86400


class Fault:
    """begin() tells whom it struck."""

    def __init__(self, run, random):
        self.run = run
        self.cluster = run.cluster
        self.network = run.network
        self.random = random

    def leader(self):
        return self.cluster.some_leader()

    def follower(self):
        """One that runs, if any does."""
        leader = self.leader()
        others = [node for node in self.cluster.members()
                  if node is not leader]
        return self.random.choice(
            [node for node in others if node.is_active()] or others)

    def leader_or_follower(self):
        return self.leader() if self.random.random() < 0.5 else self.follower()

    def some(self, count):
        return self.random.sample(self.cluster.members(), count)

    def names(self):
        return [node.name for node in self.cluster.members()]

    def lay(self, rules):
        self.network.lay(self, rules)

    def end(self):
        self.network.lift(self)


class Busy(Fault):
    """Acts again and again in a thread, until it ends."""

    pause = (0.3, 1.0)  # seconds, between two acts

    def begin(self):
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()
        return "all"

    def work(self):
        while not self.stop.is_set():
            self.act()
            self.stop.wait(self.random.uniform(*self.pause))

    def end(self):
        self.stop.set()
        self.thread.join()
        super().end()


# ---- Processes ----

class Down(Fault):
    """SIGKILL, and no restart until the end."""

    def __init__(self, run, random, choose):
        super().__init__(run, random)
        self.choose = choose

    def begin(self):
        self.nodes = self.choose(self)
        for node in self.nodes:
            node.hold_down(self)
        return " ".join(node.name for node in self.nodes)

    def end(self):
        for node in self.nodes:
            node.let_up(self)


class Paused(Fault):
    """SIGSTOP; `seconds`: SIGCONT after so long, and again and again."""

    def __init__(self, run, random, choose, seconds=None):
        super().__init__(run, random)
        self.choose = choose
        self.seconds = seconds
        self.stop = threading.Event()
        self.thread = None

    def begin(self):
        self.nodes = self.choose(self)
        for node in self.nodes:
            node.hold_paused(self)
        if self.seconds is not None:
            self.thread = threading.Thread(target=self.work, daemon=True)
            self.thread.start()
        return " ".join(node.name for node in self.nodes)

    def work(self):
        while not self.stop.wait(self.seconds):
            for node in self.nodes:
                node.let_on(self)
            self.stop.wait(self.seconds)
            for node in self.nodes:
                node.hold_paused(self)

    def end(self):
        self.stop.set()
        if self.thread is not None:
            self.thread.join()
        for node in self.nodes:
            node.let_on(self)


class Crashes(Busy):
    """Several at a moment, up again soon, and again."""

    pause = (1.0, 2.0)

    def __init__(self, run, random, choose):
        super().__init__(run, random)
        self.choose = choose

    def act(self):
        nodes = self.choose(self)
        for node in nodes:
            node.hold_down(self)
        self.stop.wait(self.random.uniform(0.05, 0.8))
        for node in nodes:
            node.let_up(self)


class RestartLoop(Busy):
    """One after the other is killed and started again."""

    pause = (0.1, 0.8)
    place = 0

    def act(self):
        nodes = self.cluster.members()
        node = nodes[self.place % len(nodes)]
        self.place += 1
        node.hold_down(self)
        node.let_up(self)


# ---- Network: the links between members, unless it says more ----

class Links(Fault):
    """What every link between members does."""

    def __init__(self, run, random, **ranges):
        super().__init__(run, random)
        self.settings = {name: random.randint(*limits)
                         for name, limits in ranges.items()}

    def begin(self):
        names = self.names()
        self.lay(one_way(names, names, **self.settings))
        return " ".join(f"{name}={value}"
                        for name, value in self.settings.items())


class ClientLinks(Links):
    """The same on the way to and from clients. Nothing there finds other
    bytes under a right checksum: no `mangle` here."""

    def begin(self):
        super().begin()
        self.lay(between(self.run.clients, self.names(), **self.settings))
        return "clients"


class Cut(Fault):
    """`choose` gives rules, and what to call them."""

    def __init__(self, run, random, choose):
        super().__init__(run, random)
        self.choose = choose

    def begin(self):
        rules, whom = self.choose(self)
        self.lay(rules)
        return whom


def deaf(fault):
    """Hears no other member, but is heard."""
    node = fault.leader_or_follower()
    return one_way(fault.names(), [node.name], block=1), node.name


def mute(fault):
    node = fault.leader_or_follower()
    return one_way([node.name], fault.names(), block=1), node.name


def isolate_leader(fault):
    """From the members; clients reach it."""
    name = fault.leader().name
    return between([name], fault.names(), block=1), name


def vanish_leader(fault):
    """From members and clients alike: as if its cable were pulled."""
    name = fault.leader().name
    others = fault.names() + fault.run.clients
    return between([name], others, block=1), name


def split(fault):
    names = fault.names()
    fault.random.shuffle(names)
    half = (len(names) - 1) // 2
    return (between(names[:half], names[half:], block=1),
            " ".join(names[:half]) + " | " + " ".join(names[half:]))


def bridge(fault):
    """Two halves, which see each other only through one in the middle."""
    names = fault.names()
    fault.random.shuffle(names)
    half = len(names) // 2
    return (between(names[:half], names[half + 1:], block=1),
            f"{names[half]} in the middle")


def ring(fault):
    """Each is heard by a majority, no two by the same (if five)."""
    names = fault.names()
    fault.random.shuffle(names)
    count = len(names)
    reach = max(1, count // 4)
    rules = []
    for i in range(count):
        for j in range(i + 1, count):
            if min(j - i, count - (j - i)) > reach:
                rules += between([names[i]], [names[j]], block=1)
    if count == 3:  # of three, a ring needs one direction of each pair
        rules = one_way([names[0]], [names[1]], block=1) + \
            one_way([names[1]], [names[2]], block=1) + \
            one_way([names[2]], [names[0]], block=1)
    return rules, "-".join(names)


def clients_cut_leader(fault):
    """It goes on leading: the members hear it."""
    name = fault.leader().name
    return between(fault.run.clients, [name], block=1), name


def clients_deaf(fault):
    """Requests arrive at one node, and no answer of it comes back."""
    name = fault.random.choice(fault.names())
    return one_way([name], fault.run.clients, block=1), name


class Flapping(Busy):
    """Cuts of one against the others that come and go."""

    pause = (0.05, 0.7)
    is_cut = False

    def act(self):
        self.is_cut = not self.is_cut
        names = self.names()
        rules = between([self.random.choice(names)], names, block=1)
        self.lay(rules if self.is_cut else [])


# ---- Clocks ----

class ClockJump(Busy):
    """Wall clocks leap, each by itself, by seconds to a year either way."""

    def act(self):
        for node in self.cluster.members():
            reach = self.random.choice((5, 3600, DAY, 365 * DAY))
            node.set_wall_clock(self.random.randint(-reach, reach))

    def end(self):
        super().end()
        for node in self.cluster.members():
            node.set_wall_clock(0)


class ClockRate(Fault):
    """All clocks of one node run fast or slow, monotonic ones as well."""

    def _restart(self, rate):
        self.node.hold_down(self)
        self.node.rate = rate
        self.node.let_up(self)

    def begin(self):
        self.node = self.random.choice(self.cluster.members())
        rate = self.random.choice((0.5, 0.8, 1.25, 2))
        self._restart(rate)
        return f"{self.node.name} x{rate}"

    def end(self):
        self._restart(None)


# ---- Disks ----

class DiskFull(Fault):
    """It is started again and again, until there is room."""

    def begin(self):
        self.node = self.leader_or_follower()
        self.node.may_be_full = True
        self.node.disk.fill()
        return self.node.name

    def end(self):
        self.node.disk.empty()


class SlowDisk(Busy):
    """Every sync of one node takes longer, after its restarts as well."""

    pause = (0.05, 0.1)
    process = None

    def __init__(self, run, random, choose, milliseconds):
        super().__init__(run, random)
        self.choose = choose
        self.delay = random.randint(*milliseconds)

    def begin(self):
        (self.node,) = self.choose(self)
        super().begin()
        return f"{self.node.name} {self.delay} ms"

    def act(self):
        """Attaches; a tracer ends with what it traces."""
        if self.process is not None and self.process.poll() is None or \
                not self.node.is_running():
            return
        self.process = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e",
             "trace=fdatasync", "-e",
             f"inject=fdatasync:delay_enter={self.delay}ms",
             "-p", str(self.node.process.pid)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def end(self):
        super().end()
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


# ---- Members ----

class Change(Fault):
    """Somebody asks for other members, until some node answers. What became
    of it is made sure of by reconcile(): here once, and after all faults."""

    def begin(self):
        self.node = self.leader_or_follower()
        self.node.may_be_removed = True
        method, target, whom = self.plan()
        self.thread = threading.Thread(
            target=self.cluster.ask, args=(method, target), daemon=True)
        self.thread.start()
        return whom

    def end(self):
        self.thread.join()
        self.cluster.wanted = list(self.cluster.founders)
        self.cluster.reconcile()


class RemoveAdd(Change):
    """A member is removed, and comes back with an empty directory."""

    def plan(self):
        name = self.node.name
        return "DELETE", f"/cluster/members/{name}?timeout=1s", name


class Replace(Change):
    """Another takes a member's place, and gives it back at the end."""

    def plan(self):
        old = self.node.name
        new = self.cluster.make_spare()
        new.keep()
        self.cluster.wanted = [new.name if name == old else name
                               for name in self.cluster.wanted]
        return ("POST", f"/cluster/replace?old={old}&new={new.name}"
                f"&address={new.address}&wait=1s", f"{old} by {new.name}")


class Transfer(Busy):
    """The leader hands over, again and again."""

    pause = (0.2, 0.8)

    def act(self):
        target = self.random.choice(self.cluster.members())
        self.cluster.ask_node(
            self.leader(), "POST",
            f"/cluster/leader?to={target.name}&timeout=1s")


# ---- The table ----

def one_leader(fault):
    return [fault.leader()]


def one_follower(fault):
    return [fault.follower()]


def majority(fault):
    return fault.some(len(fault.cluster.members()) // 2 + 1)


def everybody(fault):
    return fault.cluster.members()


# name -> (group, class, what else it gets). Those of one group are not
# combined: together they would leave nothing to run, or do the same twice.
FAULTS = {
    "kill-leader": ("process", Down, {"choose": one_leader}),
    "kill-follower": ("process", Down, {"choose": one_follower}),
    "kill-majority": ("process", Crashes, {"choose": majority}),
    "kill-all": ("process", Crashes, {"choose": everybody}),
    "pause-leader": ("process", Paused, {"choose": one_leader}),
    "pause-leader-short": (
        "process", Paused, {"choose": one_leader, "seconds": 0.4}),
    "pause-follower": ("process", Paused, {"choose": one_follower}),
    "pause-all-short": (
        "process", Paused, {"choose": everybody, "seconds": 0.3}),
    "restart-loop": ("process", RestartLoop, {}),
    "loss": ("links", Links, {"loss": (10, 150)}),
    "delay": ("links", Links, {"delay": (2, 50), "jitter": (2, 50)}),
    "duplicate": ("links", Links, {"duplicate": (100, 500)}),
    "reorder": ("links", Links, {"reorder": (20, 200)}),
    "corrupt": ("links", Links, {"corrupt": (10, 100)}),
    "mangle": ("links", Links, {"mangle": (5, 50)}),
    "slow-link": ("links", Links, {"rate": (8 << 10, 64 << 10)}),
    "bad-client-links": ("links", ClientLinks, {
        "loss": (10, 100), "delay": (1, 30), "duplicate": (50, 300),
        "reorder": (20, 150), "corrupt": (5, 30)}),
    "deaf": ("cut", Cut, {"choose": deaf}),
    "mute": ("cut", Cut, {"choose": mute}),
    "isolate-leader": ("cut", Cut, {"choose": isolate_leader}),
    "vanish-leader": ("cut", Cut, {"choose": vanish_leader}),
    "split": ("cut", Cut, {"choose": split}),
    "bridge": ("cut", Cut, {"choose": bridge}),
    "ring": ("cut", Cut, {"choose": ring}),
    "clients-cut-leader": ("cut", Cut, {"choose": clients_cut_leader}),
    "clients-deaf": ("cut", Cut, {"choose": clients_deaf}),
    "flapping": ("cut", Flapping, {}),
    "clock-jump": ("clock", ClockJump, {}),
    "clock-rate": ("clock", ClockRate, {}),
    "disk-full": ("disk", DiskFull, {}),
    "slow-disk-leader": (
        "disk", SlowDisk, {"choose": one_leader, "milliseconds": (50, 400)}),
    "slow-disk-follower": (
        "disk", SlowDisk, {"choose": one_follower, "milliseconds": (50, 800)}),
    "remove-add": ("members", RemoveAdd, {}),
    "replace": ("members", Replace, {}),
    "transfer": ("members", Transfer, {}),
}
GROUPS = sorted({group for group, _, _ in FAULTS.values()})


def make(name, run, random):
    _, kind, more = FAULTS[name]
    return kind(run, random, **more)
