"""What a child process has taken of the memory."""

import resource
from pathlib import Path


def peak_rss_mb() -> float:
    """Return this process's largest resident memory, MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would tell the parent's memory, where that was larger before exec
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
