"""The log beside a record, as a crash leaves it: which of its frames are whole.

SQLite reads a log up to the first frame that is damaged, and drops the rest without a word. Each frame carries a
checksum that goes on from the one before it, so what lies behind a damaged one can still be told to be whole.
Source: https://sqlite.org/fileformat2.html#walformat.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from edge.core.errors import StoreError
from edge.database import PAGE
from edge.durable import why

_HEADER, _HEAD = 32, 24  # bytes before the frames, and of each before its page
_LITTLE = 0x377F0682  # how a log begins whose checksums are of little-endian numbers
_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Log:
    """The whole frames up to the last that ends a transaction, as (page number, page); `broken`: others lie between."""

    frames: tuple[tuple[int, bytes], ...] = ()
    broken: bool = False


def read(path: Path) -> Log:
    """Read a log, an empty one where there is none; raises StoreError."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Log()
    except OSError as error:
        raise StoreError(f"{path}: {why(error)}") from error
    if len(content) < _HEADER + _HEAD + PAGE:
        return Log()
    order = "<" if int.from_bytes(content[:4], "big") == _LITTLE else ">"
    salts, before = content[16:24], content[24:32]
    bad = _checksum(order, bytes(8), content[:24]) != before
    if bad:  # then the frames tell themselves whose they are
        order, salts = "<", content[_HEADER + 8 : _HEADER + 16]
    whole: list[tuple[int, bytes]] = []
    last, broken = 0, False
    for start in range(_HEADER, len(content) - _HEAD - PAGE + 1, _HEAD + PAGE):
        head, page = content[start : start + _HEAD], content[start + _HEAD : start + _HEAD + PAGE]
        good = head[8:16] == salts and _checksum(order, before, head[:8] + page) == head[16:]
        before = head[16:]
        bad, broken = bad or not good, broken or (bad and good)
        if good:
            whole.append((int.from_bytes(head[:4], "big"), page))
            last = len(whole) if any(head[4:8]) else last
    return Log(tuple(whole[:last]), broken)


def _checksum(order: str, before: bytes, content: bytes) -> bytes:
    first, second = struct.unpack(">II", before)
    for one, two in struct.iter_unpack(f"{order}II", content):
        first = (first + one + second) & _MASK
        second = (second + two + first) & _MASK
    return struct.pack(">II", first, second)
