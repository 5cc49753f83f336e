"""What binds a child to its parent: it dies with it, however that dies, in the middle of whatever it does."""

import ctypes
import os
import signal

_PARENT_DEATH = 1  # prctl's PR_SET_PDEATHSIG: the signal that this process gets when its parent has ended (Linux)


def bind(parent: int) -> None:
    """Be killed when the process with that id, which started this one, ends; at once where it has ended already."""
    ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel knew
        os.kill(os.getpid(), signal.SIGKILL)
