"""What outlives a power cut: content and names that the disk has when these return; and why a disk refused."""

import errno
import os
from pathlib import Path
from typing import IO

_MENDS = {
    errno.ENOSPC: "make room on its disk",
    errno.EDQUOT: "make room: the quota of the user that the agent runs as is spent",
    errno.EFBIG: "its disk, or a limit of this process, takes no larger file",
    errno.EROFS: "mount its disk for writing; a card that fails is mounted for reading only: copy what is on it first",
    errno.EIO: "its disk fails: copy what is on it, and replace it",
}


def why(error: OSError) -> str:
    """Say why a disk refused, with what mends it where anything does."""
    mend = _MENDS.get(error.errno or 0, "")
    return f"{error.strerror}: {mend}" if mend else str(error.strerror)


def flush(file: IO[bytes]) -> None:
    """Wait until the disk has all that was written to an open file."""
    file.flush()
    os.fsync(file.fileno())


def write(path: Path, content: bytes) -> None:
    """Write a file and wait until the disk has it; its name is the directory's to keep (`settle`)."""
    with path.open("wb") as file:
        file.write(content)
        flush(file)


def settle(directory: Path) -> None:
    """Wait until the disk has a directory's entries."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
