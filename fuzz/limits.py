"""What one case may cost, whatever it holds: a second of the processor, and memory that does not jump."""

import time
from pathlib import Path

from fuzz.targets import Case

SECONDS = 1.0  # of the processor, so that a busy machine fails no case
MEGABYTES = 128  # by which one case may raise the most that the process ever had
RESIDENT = 1500  # megabytes the whole process may come to have: what is kept from case to case shows here


class CostlyError(Exception):
    """A case took more than it may."""


def watched(case: Case) -> Case:
    """Return the case with its costs measured; raises CostlyError."""

    def measured(data: bytes) -> None:
        began, held = time.process_time(), _most()
        case(data)
        took, grown = time.process_time() - began, _most() - held
        if took > SECONDS:  # once may be Python collecting what thousands of cases left: twice is the case itself
            began = time.process_time()
            case(data)
            took = time.process_time() - began
        if took > SECONDS:
            raise CostlyError(f"it took {took:.1f} s, more than {SECONDS:.0f}")
        if grown > MEGABYTES:
            raise CostlyError(f"it took {grown:.0f} MB of memory, more than {MEGABYTES}")

    return measured


def _most() -> float:
    """Return the most memory that this process ever had, in megabytes.

    Not by getrusage: there a process begins with what the one had that started it.
    """
    with Path("/proc/self/status").open("rb") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(b"VmHWM:")) / 1024
