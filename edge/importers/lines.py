"""Text files line by line: in bounded memory whatever the file holds, and taken up again where a reading stopped."""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from edge.core.errors import MessageError, SettingsError
from edge.core.events import MAX_PAYLOAD
from edge.importers.past import Gone, Page, Reported, digest

PAGE = 10_000  # lines
SAMPLE = 65_536  # bytes looked at to tell what a file is
_MARK = 4096  # bytes by which a file is known again, at its start and before the place where a reading stopped
_BLOCK = 1 << 20  # bytes of a line without end that are skipped at once
_BOM = b"\xef\xbb\xbf"
Read = Callable[[str], Reported | Gone | None]  # None: tells nothing by design; MessageError: the reason


def sample(path: Path) -> bytes:
    """Return the start of a file; raises SettingsError where it cannot be read twice, or is no text in UTF-8."""
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SettingsError(f"{path}: is a stream, and it is read more than once: save it to a file")
            head = file.read(SAMPLE)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SettingsError(f"{path}: is written in UTF-16; save it as UTF-8")
    return head.removeprefix(_BOM)


class Lines:
    """A text file as a source: every line read by `read`, what it cannot read counted by its reason.

    `skip`: lines at the start that are no data. `form`: what names the way it is read, part of its identity.
    """

    def __init__(self, path: Path, read: Read, *, form: str, skip: int = 0) -> None:
        """Open the file; raises SettingsError."""
        self._head = sample(path)
        self._path = path
        self._read = read
        self._form = form
        self._skip = skip
        self._size = path.stat().st_size

    def identity(self) -> str:
        """Return a digest of how it is read and of its first bytes: a file that was moved is the same one."""
        return digest(self._form, self._head[:_MARK])

    def close(self) -> None:
        """Nothing is held open between two pages' readings."""

    def pages(self, position: Any) -> Iterator[Page]:
        """Yield the lines behind a position; from the start where the file was written anew since."""
        try:
            yield from self._pages(position)
        except OSError as error:
            raise SettingsError(f"{self._path}: cannot be read: {error.strerror}") from error

    def _pages(self, position: Any) -> Iterator[Page]:
        with self._path.open("rb") as file:
            if not self._found(file, position):
                file.seek(0)
                for _ in range(self._skip):
                    _line(file)
            while True:
                start, items, left_out, rows = file.tell(), [], Counter[str](), 0
                while rows < PAGE and (raw := _line(file)) != b"":
                    unfinished = raw is not None and not raw.endswith(b"\n")
                    rows += 1
                    try:
                        if (told := self._told(raw)) is not None:
                            items.append(told)
                    except MessageError as error:
                        left_out[error.reason] += 1
                    if not unfinished:
                        start = file.tell()  # a line that is still being written is read again the next time
                if not rows:
                    return
                place = {"offset": start, "mark": self._mark(file, start)}
                yield Page(tuple(items), rows, left_out, place, min(1.0, file.tell() / max(self._size, 1)))

    def _told(self, raw: bytes | None) -> Reported | Gone | None:
        if raw is None:
            raise MessageError("too long")
        try:
            said = raw.removeprefix(_BOM).decode("utf-8").strip("\r\n")
        except UnicodeDecodeError as error:
            raise MessageError("not utf-8") from error
        return self._read(said) if said.strip() else None

    def _found(self, file: BinaryIO, position: Any) -> bool:
        """Go to a position; False where it is none of this file."""
        try:
            offset, mark = int(position["offset"]), str(position["mark"])
        except (TypeError, KeyError, ValueError, OverflowError):
            return False
        if not 0 < offset <= self._size or self._mark(file, offset) != mark:
            return False
        file.seek(offset)
        return True

    def _mark(self, file: BinaryIO, offset: int) -> str:
        """Return a digest of what stands before an offset; the file stays where it is."""
        here = file.tell()
        file.seek(max(0, offset - _MARK))
        found = digest(file.read(min(_MARK, offset)))
        file.seek(here)
        return found


def _line(file: BinaryIO) -> bytes | None:
    """Return the next line with its end, None for one longer than any report, b"" at the end of the file."""
    raw = file.readline(MAX_PAYLOAD)
    if len(raw) < MAX_PAYLOAD or raw.endswith(b"\n"):
        return raw
    while block := file.read(_BLOCK):
        if (end := block.find(b"\n")) >= 0:
            file.seek(end + 1 - len(block), os.SEEK_CUR)
            break
    return None
