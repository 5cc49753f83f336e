"""What outlives a power cut: content and names that the disk has when these return."""

import os
from pathlib import Path
from typing import IO


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
