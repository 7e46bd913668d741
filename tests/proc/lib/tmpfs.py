"""A small file system in memory, to be filled."""

import os
import subprocess

from lib.testing import Skip


class Tmpfs:
    def __init__(self, test, path, mib):
        self.path = path
        path.mkdir()
        self._mount(f"size={mib}m,mode=0700")
        test.defer(self._unmount)

    def _mount(self, options):
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)],
            capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Skip(f"no tmpfs can be mounted: {done.stderr.strip()}")

    def _unmount(self):
        # Lazily: whatever still uses it must not keep the test from ending.
        subprocess.run(["umount", "-l", str(self.path)], check=False)

    def free_bytes(self):
        info = os.statvfs(self.path)
        return info.f_bavail * info.f_frsize

    def fill(self, left=0):
        """Takes all space but so many bytes with a file of its own."""
        size = self.free_bytes() - left
        with open(self.path / "ballast", "wb", buffering=0) as file:
            while size > 0:
                part = min(size, 1 << 20)
                try:
                    file.write(b"\0" * part)
                except OSError:
                    break
                size -= part

    def empty(self):
        """Gives the space back."""
        (self.path / "ballast").unlink()
