"""strace, to see a daemon's system calls and to make them fail."""

import contextlib
import subprocess

from lib.testing import Skip, wait_for


def wrapper(expression, *options):
    """A command that runs the daemon, as the same process, with faults."""
    calls = expression.split(":", 1)[0]
    return ["strace", "-D", "-f", "-qq", "-o", "/dev/null", *options,
            "-e", f"trace={calls}", "-e", f"inject={expression}"]


def _tracer_of(pid):
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("TracerPid:"):
                    return int(line.split()[1])
    except FileNotFoundError:
        pass
    return 0


@contextlib.contextmanager
def attached(node, *options, output="/dev/null"):
    """Traces a running daemon until the end of the block."""
    pid = node.process.pid
    process = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", str(output), *options, "-p", str(pid)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE)
    try:
        wait_for(f"strace holds {node.name}",
                 lambda: process.poll() is not None or _tracer_of(pid))
        if process.poll() not in (None, 0):
            reason = process.stderr.read().decode().strip()
            raise Skip(f"strace cannot attach: {reason}")
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()
        process.stderr.close()


def wait_held(node):
    """Waits until a call is delayed: strace stops it for much longer then."""
    seen = 0

    def is_held():
        nonlocal seen
        with open(f"/proc/{node.process.pid}/stat") as file:
            state = file.read().rsplit(")", 1)[1].split()[0]
        seen = seen + 1 if state == "t" else 0
        return seen == 10

    wait_for(f"a call of {node.name} is delayed", is_held, every=0.005)


def failing(node, expression, *options):
    """From now on the calls that the expression names fail."""
    calls = expression.split(":", 1)[0]
    return attached(node, *options, "-e", f"trace={calls}",
                    "-e", f"inject={expression}")
