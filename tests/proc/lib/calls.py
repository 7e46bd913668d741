"""System calls of the daemon that fail, each at each of its occurrences."""

import collections
import re
import time

from lib import http
from lib.cluster import EXIT_CONFIG, EXIT_FULL, EXIT_STOPPED, Cluster
from lib.load import ACKED, REFUSED, UNKNOWN, classify
from lib.testing import Failure, expect, expect_equal, wait_for

SECONDS_MAX = 10.0  # that anything may take
OPTIONS = {"raft.checkpoint-interval": "100ms",
           "raft.checkpoint-bytes": "64KiB", "raft.trailing-bytes": "64KiB",
           "storage.memtable-size": "64KiB",
           "history.max-size": "64KiB", "http.request-timeout": "3s"}
WRITES = 24

# Each call that the daemon makes, and with what it may fail on a machine that
# is in trouble: an error, or a result in strace's words.
ERRORS = {
    "openat": "EIO EACCES EMFILE ENFILE ENOMEM ENOSPC",
    "close": "EIO EINTR",
    "read": "EIO ECONNRESET EAGAIN EINTR",
    "pread64": "EIO ENOMEM",
    "write": "EIO ENOSPC EPIPE EAGAIN EINTR",
    "pwrite64": "EIO ENOSPC EDQUOT",
    "writev": "EIO ENOSPC ECONNRESET EAGAIN EINTR",
    "fsync": "EIO ENOSPC EDQUOT",
    "fdatasync": "EIO ENOSPC EDQUOT",
    "ftruncate": "EIO ENOSPC",
    "lseek": "EIO",
    "fcntl": "ENOLCK EIO",
    "flock": "ENOLCK EINTR",
    "mkdir": "EIO EACCES ENOSPC EROFS",
    "unlink": "EIO EACCES EROFS",
    "unlinkat": "EIO EACCES EROFS",
    "rmdir": "EIO EACCES",
    "access": "EIO EACCES",
    "faccessat2": "EIO EACCES",
    "newfstatat": "EIO EACCES ENOMEM",
    "fstatfs": "EIO ENOSYS",
    "getdents64": "EIO",
    "readlink": "EACCES ENOENT",
    "getcwd": "ENOENT EACCES",
    "mmap": "ENOMEM EAGAIN",
    "mprotect": "ENOMEM",
    "munmap": "ENOMEM",
    "brk": "retval=0",  # it has no errors: what it gives is less than asked
    "getrandom": "EINTR ENOSYS",
    "epoll_create1": "EMFILE ENOMEM",
    "epoll_ctl": "ENOMEM ENOSPC",
    "epoll_wait": "EINTR",
    "pipe2": "EMFILE ENFILE",
    "rt_sigaction": "EINVAL",
    "prlimit64": "EPERM",
    "socket": "EMFILE ENOBUFS EACCES",
    "bind": "EADDRINUSE EADDRNOTAVAIL EACCES",
    "listen": "EADDRINUSE",
    "setsockopt": "ENOPROTOOPT ENOBUFS",
    "getsockopt": "ENOBUFS",
    "getsockname": "ENOBUFS",
    "accept4": "EMFILE ENFILE ECONNABORTED EINTR EAGAIN ENOMEM EPERM",
    "connect": "ECONNREFUSED ENETUNREACH EADDRNOTAVAIL EINTR",
    "shutdown": "ENOTCONN",
    "recvfrom": "ECONNRESET EAGAIN EINTR ENOMEM",
    "recvmsg": "ENOBUFS",
    "sendto": "ECONNRESET EPIPE EAGAIN EINTR ENOBUFS",
}
# These cannot fail or are the end; futex(2) wakes nobody, as there is one thread.
NOT_INJECTED = {
    "umask", "getpid", "getuid", "geteuid", "getgid", "getegid", "uname",
    "exit_group", "rt_sigreturn", "execve", "arch_prctl", "set_tid_address",
    "set_robust_list", "rseq", "rt_sigprocmask", "restart_syscall",
    "madvise", "fadvise64", "sysinfo", "futex",
}
LINE = re.compile(r"^(?:\d+ +)?(\w+)\(")
# What an end by itself has to say.
REASON = re.compile(r" error: \S|^fatal: \S|\.conf:\d+: \S|\.conf: \S", re.M)


class Trial:
    """One life of n1 with a fault, a clean one after it, and its checks."""

    def __init__(self, test, size, directory):
        self.cluster = Cluster(test, size, OPTIONS, directory)
        self.node = self.cluster["n1"]
        self.trace = self.cluster.directory / "strace"
        self.writes = []  # (key, value, outcome)

    def run(self, options, kills=False):
        """
        `options` of strace; how the life with them ended. `kills`: by SIGKILL,
        0 as well, so that what the last writes left is read by the next life.
        """
        for node in self.cluster:
            if node is not self.node:
                node.start()
        self.node.start(wrapper=["strace", "-D", "-f", "-qq", "-o",
                                 str(self.trace), *options])
        # Before that, strace itself would be told to end.
        wait_for("strace runs the daemon", lambda: self.trace.exists() or
                 not self.node.is_running())
        self._wait_listening()
        self._load()
        if kills and self.node.is_running():
            self.node.kill()
            return 0
        status = self._stop()
        self._check_end(status)
        return status

    def _wait_listening(self):
        def settled():
            return not self.node.is_running() or self.node.is_listening()
        wait_for("the daemon listens or ends", settled, SECONDS_MAX)

    def _load(self):
        with http.Client(self.node.address, timeout=SECONDS_MAX) as client:
            for number in range(WRITES):
                if not self.node.is_running():
                    return
                # The last ones come behind a checkpoint.
                if number == WRITES * 3 // 4:
                    time.sleep(0.25)
                self._write(client, number)

    def _write(self, client, number):
        key = f"k{number % 10}"
        value = f"{number}.".ljust(20 if number % 5 else 20000, "x")
        began = time.monotonic()
        try:
            answer = client.request("PUT", http.quote(key), value.encode())
            outcome = classify(answer)
            expect(outcome is not None, f"PUT {key}: {answer!r}")
        except http.Broken as error:
            outcome = UNKNOWN if error.sent else REFUSED
        seconds = time.monotonic() - began
        expect(seconds < SECONDS_MAX - 0.5,
               f"PUT {key} took {seconds:.1f} s ({outcome})")
        self.writes.append((key, value, outcome))

    def _terminate(self):
        """
        Once more, if nothing comes of it: that a signal came is told by a write
        as well, into a pipe of libevent's, of which the kernel breaks none.
        """
        self.node.terminate()
        try:
            return self.node.wait_end(SECONDS_MAX / 2)
        except Failure:
            self.node.terminate()
            return self.node.wait_end(SECONDS_MAX / 2)

    def _stop(self):
        """Its exit status."""
        if self.node.is_running():
            return self._terminate()
        status = self.node.wait_end(SECONDS_MAX)
        expect(status != 0, "it ended by itself, with status 0")
        return status

    def _check_end(self, status):
        log = self.node.read_log()
        expect(status in (0, 1, EXIT_STOPPED, EXIT_FULL, EXIT_CONFIG),
               f"exit status {status}: {log[-500:]}")
        expect(status == 0 or REASON.search(log),
               f"status {status} without a reason: {log[-500:]}")

    # ---- The clean life ----

    def check(self):
        self.node.start()
        self.node.wait_listening(SECONDS_MAX)
        self.node.wait_ready(SECONDS_MAX)
        if self.cluster.size > 1:
            self.cluster.wait_ready(timeout=SECONDS_MAX)
        by_key = collections.defaultdict(list)
        for key, value, outcome in self.writes:
            by_key[key].append((value, outcome))
        items = self.node.get_items(list(by_key))
        for key, writes in by_key.items():
            found = items[key] and items[key]["value"]
            expect(found in _possible(writes),
                   f"{key} is {found and found[:10]!r}; "
                   f"{[(value[:10], how) for value, how in writes]}")
        for node in self.cluster:
            node.stop()

    def count(self, outcome):
        return sum(how == outcome for _, _, how in self.writes)


def _possible(writes):
    """The values that a key may have: one writer made them, in their order."""
    last = max((number for number, (_, outcome) in enumerate(writes)
                if outcome == ACKED), default=None)
    possible = {value for number, (value, outcome) in enumerate(writes)
                if outcome == UNKNOWN}
    possible.add(None if last is None else writes[last][0])
    return possible


class Survey:
    """What the daemon calls in a life without faults."""

    def __init__(self, test, size):
        trial = Trial(test, size, test.directory / "survey")
        trial.run([])
        trial.check()
        expect_equal(trial.count(ACKED), WRITES, "writes without a fault")
        self.before_main = collections.Counter()
        self.calls = collections.Counter()
        self.lines = collections.defaultdict(list)  # by call, after that
        began = False
        with open(trial.trace, errors="replace") as file:
            for line in file:
                match = LINE.match(line)
                if match is None:
                    continue
                # Of main, the first that nobody else makes.
                began = began or match.group(1) == "umask"
                counter = self.calls if began else self.before_main
                counter[match.group(1)] += 1
                if began:
                    self.lines[match.group(1)].append(line)

    def check_table(self):
        unknown = set(self.calls) - set(ERRORS) - NOT_INJECTED
        expect(not unknown, f"the table lacks {sorted(unknown)}")


def fault_of(error):
    """In strace's words."""
    return error if "=" in error else f"error={error}"


def run_case(test, survey, size, call, fault, number, kills=False):
    """
    The call fails once, as its `number`-th after main began: for `fault`
    see fault_of. The exit status; None: there were not so many calls. A
    Failure names what was wrong.
    """
    when = survey.before_main[call] + number
    trial = Trial(test, size, test.directory / "trial")
    try:
        status = trial.run([
            "--seccomp-bpf", "-e", f"trace={call}",
            "-e", f"inject={call}:{fault}:when={when}"], kills)
        trial.check()
    except (Failure, http.Broken) as failure:
        for node in trial.cluster:
            node.kill()
        raise Failure(f"{call} {number} {fault}: {failure}") from None
    fired = "(INJECTED)" in trial.trace.read_text(errors="replace")
    return status if fired else None


