"""What a process of ours keeps to itself: the files it makes, its memory when it dies, its secrets before children."""

import os
import resource

PREFIX = "SCENESHIFT_"  # of environment variables: settings (`__` between a section and its key) and secrets
_OTHERS = 0o027  # what a file of ours is never: open to others, or writable by the group


def withdraw() -> None:
    """Keep what is written from now on from other users, and this process's memory off the disk when it dies."""
    os.umask(os.umask(_OTHERS) | _OTHERS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def spared() -> dict[str, str]:
    """Return the environment for a child: without our settings, for a password may be among them."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
