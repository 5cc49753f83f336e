"""Files of language models whose beginning is anything at all, opened by llama.cpp.

An input is the first bytes of a GGUF; what follows is the shipped model's. llama.cpp may end its process over one, so
each is opened in a child, as the hub does; what may not happen is that it takes long, or much memory, or tells a
file's needs in numbers that are none.
"""

import math
import os
import resource
import tempfile
import time
import traceback
from pathlib import Path

from edge.slots import shipped
from edge.workers.engine import Unusable
from edge.workers.needs import of_file

SECONDS = 20  # of the processor, of the child
WALL = 200.0  # seconds after which a child counts as endless, however busy the machine is
MEGABYTES = 1500
_FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-weights-"))
_SHIPPED = min(shipped("behavior-lm").glob("*.gguf")).read_bytes()
_REFUSED = 3


def weights(data: bytes) -> None:
    """Open a model file; hold what it told, or that it was refused."""
    path = _FOLDER / "model.gguf"
    path.write_bytes(data + _SHIPPED[len(data) :])
    began = time.monotonic()
    child = os.fork()
    if not child:
        _opened(path)
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - began > WALL:
            os.kill(child, 9)
            os.waitpid(child, 0)
            raise AssertionError(f"it does not end within {WALL:.0f} s")
        time.sleep(0.0005)
    assert usage.ru_utime + usage.ru_stime < SECONDS, f"it took {SECONDS} s of the processor or more"
    assert usage.ru_maxrss < 1024 * MEGABYTES, f"it took {usage.ru_maxrss >> 10} MB"
    code = os.waitstatus_to_exitcode(status)
    assert code in {0, _REFUSED} or code < 0, f"the child ended with {code}"


def _opened(path: Path) -> None:
    """Open the file and end: 0 where it was read, 3 where it was refused, 1 where an error is none of ours."""
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS + 1, SECONDS + 1))  # ends it: the parent sees what it took
        told = of_file(path)
        code = 0 if all(math.isfinite(value) and value > 0 for value in told.values()) else 1
    except Unusable:
        code = _REFUSED
    except BaseException:  # noqa: BLE001 - told, and the code says the rest
        traceback.print_exc()
    finally:
        os._exit(code)
