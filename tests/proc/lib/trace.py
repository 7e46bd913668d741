"""The trace of a daemon's files: how it is recorded, and what is in it. See
tests/cut/trace.h for its form."""

import os
import struct

from lib.cluster import REPOSITORY

HEAD = struct.Struct("=IIQQII")
KINDS = ("", "create", "mkdir", "remove", "rename", "write", "truncate",
         "sync", "map", "send", "odd")
DURABLE = 1


def recorder_path():
    return REPOSITORY / "build" / "record.so"


def environment(trace, root):
    """For a daemon whose files below `root` are to be recorded."""
    return {"LD_PRELOAD": str(recorder_path()), "LUMINOUS_TRACE": str(trace),
            "LUMINOUS_TRACE_ROOT": str(root)}


class Record:
    def __init__(self, head, path, data):
        kind, self.flags, self.file, self.offset, _, _ = head
        self.kind = KINDS[kind]
        self.path = path
        self.data = data

    def __repr__(self):
        return f"{self.kind} {self.path} {self.offset}+{len(self.data)}"


def read(path):
    """All records, in their order."""
    with open(path, "rb") as file:
        data = file.read()
    records = []
    at = 0
    while at < len(data):
        head = HEAD.unpack_from(data, at)
        at += HEAD.size
        path_end = at + head[4]
        end = path_end + head[5]
        records.append(Record(head, os.fsdecode(data[at:path_end]),
                              data[path_end:end]))
        at = end
    return records


def append_write(path, file, name, offset, data):
    """A write that the daemon did not make, behind all that it did."""
    with open(path, "ab") as out:
        out.write(HEAD.pack(KINDS.index("write"), DURABLE, file, offset,
                            len(name), len(data)) + name.encode() + data)


def count_syncs(records, path):
    """The numbers, from 1 on, of the syncs of that file or directory."""
    syncs = [record for record in records if record.kind == "sync"]
    return [number for number, record in enumerate(syncs, 1)
            if record.path == path]
