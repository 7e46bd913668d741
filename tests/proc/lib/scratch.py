"""A copy of the tree, for scripts that write into it."""

import os
import shutil
import signal
import socket
import subprocess

from lib.cluster import REPOSITORY
from lib.testing import Failure, Skip

# Of conf/n1.conf, conf/n2.conf and conf/n3.conf.
PORTS = (5864, 5865, 5866)
# Other builds and what is not of the tree.
LEFT_OUT = shutil.ignore_patterns(
    ".git", "run", "san", "clang", "fuzz", "__pycache__")


class Scratch:
    """With the objects of the build, so that make has nothing to do."""

    def __init__(self, test):
        for port in PORTS:
            with socket.socket() as listener:
                listener.setsockopt(socket.SOL_SOCKET,
                                    socket.SO_REUSEADDR, 1)
                try:
                    listener.bind(("127.0.0.1", port))
                except OSError:
                    raise Skip(f"port {port} is taken") from None
        self.directory = test.directory / "tree"
        shutil.copytree(REPOSITORY, self.directory, ignore=LEFT_OUT)
        test.defer(self._kill_all)

    def _kill_all(self):
        for name in ("n1", "n2", "n3"):
            subprocess.run(["scripts/cluster.sh", "kill", name],
                           cwd=self.directory, capture_output=True,
                           check=False)
        self._kill_added()

    def _kill_added(self):
        """Those that a block of the README started by itself."""
        for path in (self.directory / "run").glob("n[4-9].pid"):
            try:
                os.kill(int(path.read_text()), signal.SIGKILL)
            except (ProcessLookupError, ValueError):
                pass

    def try_run(self, *command, seconds=100):
        """Exit status, and stdout with stderr."""
        with subprocess.Popen(
                command, cwd=self.directory, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True) as process:
            try:
                output, _ = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                raise Failure(f"{command} hangs") from None
        return process.returncode, output

    def run(self, *command):
        """The output of a command that must succeed."""
        status, output = self.try_run(*command)
        if status != 0:
            raise Failure(f"{' '.join(command)}: status {status}: "
                          f"{output.strip()[-500:]}")
        return output
