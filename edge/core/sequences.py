"""Behaviors to sequences, and sequences to the arrays the networks read.

A step is a behavior placed in the week. Sequences split after more than 9 h of silence and at 24 h in
all (SmartSense, CIKM 2022), and are cut to the window of ten behaviors of the field's data sets.
"""

from collections.abc import Iterable
from collections.abc import Sequence as Steps
from dataclasses import dataclass
from datetime import datetime, tzinfo

import numpy as np
from numpy.typing import NDArray

from edge.core.behaviors import Behavior
from edge.core.vocabulary import PAD, Vocabulary

LENGTH = 10  # behaviors in a window
MAX_GAP = 9 * 3600.0  # seconds between two behaviors of one sequence
MAX_SPAN = 24 * 3600.0  # seconds from a sequence's first behavior to its last
DAYS = 7
FORWARD = 6 * 24  # hours to a next behavior at most: farther ahead in the week means behind, as an earlier hour is
FIELDS = ("day", "time", "device", "control", "gap")
FIRST_GAP = 7  # the id that says: nothing came before
PAD_DAY, PAD_GAP = DAYS, 8
GAPS = 9
_GAP_EDGES = (1, 2, 3, 6, 9, 24)  # hours; ids 0..6 lie between them


@dataclass(frozen=True, slots=True)
class Step:
    """One behavior of a sequence: `day` 0 (Monday) to 6, `hour` 0-23 local time, stable device id, control."""

    day: int
    hour: int
    device: str
    control: str


Sequence = tuple[Step, ...]


def step_of(behavior: Behavior, zone: tzinfo) -> Step:
    """Place a behavior in the home's local week."""
    local = datetime.fromtimestamp(behavior.time, zone)
    return Step(local.weekday(), local.hour, behavior.device, behavior.control)


def belongs(first: float, last: float, time: float) -> bool:
    """Tell whether a behavior at `time` continues the sequence that began at `first` and was last heard at `last`."""
    return time - last <= MAX_GAP and time - first <= MAX_SPAN


def split(behaviors: Iterable[Behavior], zone: tzinfo) -> list[Sequence]:
    """Split behaviors, in order of time, into sequences of at most LENGTH steps."""
    sequences: list[list[Step]] = []
    first = last = float("-inf")
    for behavior in behaviors:
        if not sequences or not belongs(first, last, behavior.time) or len(sequences[-1]) == LENGTH:
            sequences.append([])
            first = behavior.time
        last = behavior.time
        sequences[-1].append(step_of(behavior, zone))
    return [tuple(steps) for steps in sequences]


def hours_between(before: Step, after: Step) -> int:
    """Return the hours from one step to the next, forward through the week (0-167)."""
    return ((after.day - before.day) * 24 + after.hour - before.hour) % (DAYS * 24)


def gap_id(before: Step | None, after: Step) -> int:
    """Return the id of the duration since the previous step."""
    if before is None:
        return FIRST_GAP
    return int(np.searchsorted(_GAP_EDGES, hours_between(before, after), side="right"))


def tokens(sequences: Steps[Sequence], vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Return ids (n, LENGTH, 5) in the order of FIELDS, padded behind; names not in the vocabulary are UNKNOWN."""
    out = np.zeros((len(sequences), LENGTH, len(FIELDS)), np.int64)
    out[:] = (PAD_DAY, vocabulary.pad_time, PAD, PAD, PAD_GAP)
    for row, sequence in enumerate(sequences):
        before: Step | None = None
        for place, step in enumerate(sequence[-LENGTH:]):
            out[row, place] = (
                step.day,
                vocabulary.time_id(step.hour),
                vocabulary.device_id(step.device),
                vocabulary.control_id(step.device, step.control),
                gap_id(before, step),
            )
            before = step
    return out
