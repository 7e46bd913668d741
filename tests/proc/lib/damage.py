"""Bytes of a stopped node's files, turned over."""

import os

PAGE = 4096


def flip(path, offset, mask=0xff):
    """Turns bits of one byte over."""
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ mask]))


def find_all(path, pattern):
    """Offsets of the pattern in the file."""
    content = path.read_bytes()
    places = []
    at = content.find(pattern)
    while at >= 0:
        places.append(at)
        at = content.find(pattern, at + 1)
    return places


def flip_behind(path, pattern, distance):
    """A byte behind each place of the pattern; how many there were."""
    places = find_all(path, pattern) if path.exists() else []
    for place in places:
        flip(path, place + len(pattern) + distance)
    return len(places)


def allocated(path):
    """(offset, size) of the parts of a file that are no holes."""
    parts = []
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        at = 0
        while at < size:
            try:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            parts.append((start, at - start))
    return parts
