"""The history of a run: one JSON object a line, as check_history.h says."""

import json
import threading
import time


def now():
    """The clock of all times in a history, in nanoseconds."""
    return time.monotonic_ns()


class History:
    """A file that many threads append to. Lines are whole, in any order."""

    def __init__(self, path, header):
        self.path = str(path)
        self.counts = {}
        self._lock = threading.Lock()
        self._file = open(path, "w", encoding="utf-8")
        self._write({"history": 1, **header})

    def _write(self, record):
        text = json.dumps(record, separators=(",", ":"))
        with self._lock:
            self._file.write(text + "\n")

    def add(self, record):
        self._write(record)
        with self._lock:
            name = (record["op"], record["status"])
            self.counts[name] = self.counts.get(name, 0) + 1

    def count(self, *statuses):
        """Operations with these outcomes; those of watches aside."""
        with self._lock:
            return sum(count for (op, status), count in self.counts.items()
                       if status in statuses and op != "watch")

    def close(self, **end):
        """Without its last line a history is one that was cut."""
        self._write({"end": True, **end})
        self._file.close()
        return self.path
