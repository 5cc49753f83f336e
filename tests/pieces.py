"""Pieces of work for the tests of clusters; in a module of their own, for the nodes import them."""

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge.core.errors import RetrainError


def lived(item, tell):
    """Live a simulated home as `evaluate alarms` does; tell a file who began it."""
    from trainer.evaluate import alarms  # here: half of the processes need no torch

    mark(item)
    return alarms.home({"number": item["number"], "wanted": item["wanted"]}, tell)


def drawn(item, tell):
    """Draw and multiply."""
    tell("drawing", 0, 1)
    mark(item)
    time.sleep(item.get("seconds", 0.0))
    rng = np.random.default_rng(item["number"])
    square = rng.normal(size=(300, 300))
    return {"sum": float((square @ square).sum()), "first": square[0, :3].tolist(), "nothing": None}


def compressed(item, tell):
    """Compress a home; where it is said to, die the first time."""
    if mark(item) == 1 and item.get("dies"):
        os.kill(os.getpid(), signal.SIGKILL)
    from trainer.sppc import homes

    found = homes.home(item, tell)
    del found["scores"]["seconds"]
    return found


def refused(item, tell):
    """Fail, as a home does that cannot be learned."""
    raise RetrainError(f"home {item['number']} cannot be learned")


class Begun(NamedTuple):
    """A piece that was begun: by which process, under which node's group of processes."""

    number: int
    process: int
    node: int


def mark(item):
    """Write down that a piece was begun; return how often it was by now."""
    with Path(item["log"]).open("a", encoding="utf-8") as file:
        file.write(f"{item['number']} {os.getpid()} {os.getpgid(os.getppid())}\n")
    return len([each for each in begun(item["log"]) if each.number == item["number"]])


def begun(log):
    """Return every piece that was begun, in order."""
    lines = Path(log).read_text(encoding="utf-8").splitlines() if Path(log).is_file() else []
    return [Begun(*map(int, line.split())) for line in lines]
