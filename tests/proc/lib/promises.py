"""What a daemon said, by its trace, and what its writers were answered: the
file that build/power-cut holds its images against (tests/cut/promises.h)."""

import re

from lib.testing import expect

# What is held of a connection until it is a whole message.
STREAM_SIZE_MAX = 40000
SAID = re.compile(
    rb'\{"kind":"(vote_response|vote_request|append_response)"[^{}]*\}'
    rb'|"directory":"([0-9a-f]{32})"'
    rb'|"revision":(\d+)')
INCARNATION = re.compile(rb'"incarnation":(\d+)')


class History:
    """What each revision changed, as far as it was answered."""

    def __init__(self):
        self.changes = []  # (revision, key, value or None)

    def put(self, revision, key, value):
        self.changes.append((revision, key, value))

    def delete(self, revision, key):
        self.changes.append((revision, key, None))

    def lines(self):
        for revision, key, value in sorted(
                self.changes, key=lambda change: change[0]):
            if value is None:
                yield f"delete {revision} {key}"
            else:
                yield f"put {revision} {key} {value}"

    def state(self, revision):
        """The keys as they were then, with their values."""
        state = {}
        for changed, key, value in sorted(
                self.changes, key=lambda change: change[0]):
            if changed > revision:
                break
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
        return state

    def check_whole(self):
        """Each revision from 1 on: so that all states are known."""
        revisions = {revision for revision, _, _ in self.changes}
        expect(revisions == set(range(1, len(revisions) + 1)),
               f"{len(revisions)} revisions up to {max(revisions, default=0)}")


def _number(message, name):
    found = re.search(rb'"%s":(\d+)' % name, message)
    return int(found.group(1)) if found else None


def _vote_in(kind, message):
    """Whom its sender has surely voted for in its term; 0: not told."""
    if kind == b"vote_request":
        return _number(message, b"from")
    if kind == b"vote_response" and b'"granted":true' in message:
        return _number(message, b"to")
    return 0


class _Listener:
    """Follows what is sent, connection by connection."""

    def __init__(self, clients):
        self.clients = clients
        self.streams = {}
        self.revision = 0
        self.vote = (0, 0)
        self.entries = 0
        self.life = 0
        self.position = 0
        self.lines = []

    def hear(self, position, file, data):
        self.position = position
        stream = (self.streams.get(file, b"") + data)[-STREAM_SIZE_MAX:]
        end = 0
        for match in SAID.finditer(stream):
            end = match.end()
            if match.group(1):
                self._message(match.group(1), match.group(0))
            elif match.group(2):
                self._hello(match, stream)
            elif self.clients:
                self._answer(int(match.group(3)))
        self.streams[file] = stream[end:]

    def _add(self, line):
        self.lines.append(f"said {self.position} {line}")

    def _message(self, kind, message):
        vote = (_number(message, b"term"), _vote_in(kind, message))
        if vote > self.vote:
            self.vote = vote
            self._add(f"vote {vote[0]} {vote[1]}")
        if kind == b"append_response" and b'"success":true' in message:
            index = _number(message, b"match_index")
            if index > self.entries:
                self.entries = index
                self._add(f"entries {index}")

    def _answer(self, revision):
        if revision > self.revision:
            self.revision = revision
            self._add(f"revision {revision}")

    def _hello(self, match, stream):
        """The count stands before it in a hello, and in that alone."""
        counts = INCARNATION.findall(stream, 0, match.start())
        if counts and int(counts[-1]) > self.life:
            self.life = int(counts[-1])
            self._add(f"life {match.group(2).decode()} {self.life}")


def said(records, clients, damaged_at=None):
    """
    The lines for what was sent. `clients`: an answer to a client is a promise of
    this node alone, as it is all of the cluster. `damaged_at`: from that record
    on it may be another, which has said nothing yet.
    """
    listener = _Listener(clients)
    lines = []
    for position, record in enumerate(records):
        if position == damaged_at:
            # Before it, as a cut may come in the middle of that record.
            lines = [*listener.lines, f"said {position - 1} nothing 0"]
            listener = _Listener(clients)
        if record.kind == "send":
            listener.hear(position, record.file, record.data)
    return lines + listener.lines


def write(path, history, lines):
    path.write_text("".join(
        line + "\n" for line in [*history.lines(), *lines]))
