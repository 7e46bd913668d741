"""Which bytes of an LMDB file mean something: an oracle of its own, by the file
format alone, of 4-KiB pages on a 64-bit little-endian machine."""

import struct

PAGE = 4096
HEADER = 16
BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8
BIG, SUB = 1, 2
NONE = (1 << 64) - 1


class Pages:
    """kind_of(offset): what lies there; None if nothing needs it."""

    def __init__(self, path):
        self.content = path.read_bytes()
        self.live = {}  # page -> [(begin, end, kind)]
        self._walk_metas()

    def _note(self, page, begin, size, kind):
        self.live.setdefault(page, []).append((begin, begin + size, kind))

    def _walk_metas(self):
        metas = []
        for page in (0, 1):
            at = page * PAGE
            magic, version = struct.unpack_from("<II", self.content, at + 16)
            txn = struct.unpack_from("<Q", self.content, at + 16 + 128)[0]
            if magic == 0xBEEFC0DE and version == 1:
                metas.append((txn, page))
        _, page = max(metas)
        self.meta = page
        self._note(page, 16, 136, "meta")
        for which, name in ((0, "free list"), (1, "main")):
            at = page * PAGE + 16 + 24 + which * 48
            self._walk_tree(struct.unpack_from("<Q", self.content, at + 40)[0],
                            name)

    def _walk_tree(self, root, name):
        if root == NONE or (root + 1) * PAGE > len(self.content):
            return
        at = root * PAGE
        flags, lower, upper = struct.unpack_from("<HHH", self.content, at + 10)
        if not flags & (BRANCH | LEAF):
            return
        self._note(root, 0, 8, f"{name}: page number")
        self._note(root, 10, 6, f"{name}: page head")
        self._note(root, HEADER, lower - HEADER, f"{name}: pointers")
        for place in range(HEADER, lower, 2):
            self._walk_node(root, flags, struct.unpack_from(
                "<H", self.content, at + place)[0], name)

    def _walk_node(self, page, page_flags, offset, name):
        at = page * PAGE + offset
        low, high, flags, key_size = struct.unpack_from(
            "<HHHH", self.content, at)
        key = self.content[at + 8:at + 8 + key_size]
        data = at + 8 + key_size
        if page_flags & BRANCH:
            self._note(page, offset, 8 + key_size, f"{name}: branch")
            self._walk_tree(low | high << 16 | flags << 32, name)
            return
        size = low | high << 16
        if flags & BIG:
            self._note(page, offset, 8 + key_size + 8,
                       f"{name}: record {key.hex()}")
            self._walk_overflow(
                struct.unpack_from("<Q", self.content, data)[0], size, name)
            return
        self._note(page, offset, 8 + key_size + size,
                   f"{name}: record {key.hex()}")
        if flags & SUB:
            self._walk_tree(struct.unpack_from(
                "<Q", self.content, data + 40)[0],
                key.decode(errors="replace"))

    def _walk_overflow(self, page, size, name):
        self._note(page, 0, 8, f"{name}: page number")
        self._note(page, 10, 6, f"{name}: page head")
        at = HEADER
        while size > 0:
            part = min(size, PAGE - at)
            self._note(page, at, part, f"{name}: large record")
            size -= part
            page += 1
            at = 0

    def kind_of(self, offset):
        page, at = divmod(offset, PAGE)
        for begin, end, kind in self.live.get(page, ()):
            if begin <= at < end:
                return kind
        return None


def journal_deletes(path):
    """The keys of the log's entries that the blocks in log/journal delete."""
    content = path.read_bytes()
    keys = set()
    at = PAGE
    expected = (None, 1)
    while at + 44 <= len(content):
        magic, _, _, generation, sequence, size = struct.unpack_from(
            ">IIQQQI", content, at)
        if magic != 0x4C756D4A or expected not in (
                (None, sequence), (generation, sequence)):
            break
        keys |= _block_deletes(content[at + 44:at + 44 + size])
        at += (44 + size + PAGE - 1) // PAGE * PAGE
        expected = (generation, sequence + 1)
    return keys


def _block_deletes(changes):
    keys = set()
    at = 0
    while at < len(changes):
        what, table, size = struct.unpack_from(">BBI", changes, at)
        key = changes[at + 6:at + 6 + size]
        at += 6 + size
        if what == 3:
            if table == 2:
                keys.add(key.hex())
            continue
        at += 4 + struct.unpack_from(">I", changes, at)[0]
    return keys
