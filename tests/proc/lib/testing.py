"""What every test uses: failures, expectations, waiting, the test's own
directory and what has to be undone at its end."""

import pathlib
import random
import shutil
import tempfile
import time


class Failure(Exception):
    """The test failed; the text says what was found and what was wanted."""


class Skip(Exception):
    """This machine cannot run the test; the text says why."""


def expect(condition, message):
    if not condition:
        raise Failure(message)


def expect_equal(got, wanted, what):
    if got != wanted:
        raise Failure(f"{what}: {got!r}, wanted {wanted!r}")


def expect_in(part, whole, what):
    if part not in whole:
        raise Failure(f"{what}: {part!r} is not in {whole!r}")


def wait_for(what, condition, timeout=10.0, every=0.01):
    """Polls until condition() is true and returns what it gave."""
    deadline = time.monotonic() + timeout
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() >= deadline:
            raise Failure(f"not within {timeout:g} s: {what}")
        time.sleep(every)


class Test:
    """One run of one test function, which gets it as its argument."""

    def __init__(self, name, seed):
        self.name = name
        self.random = random.Random(f"{seed} {name}")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="luminous-"))
        self.notes = []
        self._undo = []

    def note(self, text):
        """Shows a figure in the test's line of the report."""
        self.notes.append(text)

    def defer(self, function, *arguments):
        """Has it called at the end, whatever happens, last one first."""
        self._undo.append((function, arguments))

    def close(self, failed):
        """Undoes everything; the directory with the logs stays if asked."""
        problem = None
        while self._undo:
            function, arguments = self._undo.pop()
            try:
                function(*arguments)
            except Exception as error:  # the rest must be undone all the same
                problem = problem or error
        if not failed and problem is None:
            shutil.rmtree(self.directory, ignore_errors=True)
        if problem is not None and not failed:
            raise problem
