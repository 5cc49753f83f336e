"""The lock of a data directory: who changes a home's whole record, or lives it, is alone with it.

The kernel holds it for a process and lets go when that dies, however it dies: nothing is left to be cleaned up.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.core.errors import StoreError
from edge.durable import why

LOCK = "lock"  # the file's name; what it says is only for people
OWNER = "run this as the user that the agent runs as, for example with `sudo -u sceneshift`"


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Be the only one to hold a data directory, made where there is none; raises StoreError where somebody does."""
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        file = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except PermissionError as error:
        raise StoreError(f"{directory}: {error.strerror}: {OWNER}") from error
    except OSError as error:
        raise StoreError(f"{directory}: {why(error)}") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(file, 32).decode("ascii", "replace").strip()
            raise StoreError(
                f"{directory} is held by process {holder or 'unknown'}: an agent runs there, or something that changes "
                "its record; stop it first (`systemctl stop sceneshift`, or Ctrl-C where it runs)"
            ) from error
        except OSError as error:
            raise StoreError(f"{directory}: it cannot be locked: {error.strerror}") from error
        with suppress(OSError):  # on a full disk it is alone, too
            os.ftruncate(file, 0)
            os.pwrite(file, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(file)
