"""Behaviors to sequences, and sequences to the arrays the networks read.

A step is a behavior placed in the week. Runs of behaviors end after more than 9 h of silence and at 24 h in
all (SmartSense, CIKM 2022); a sequence is the window of ten behaviors of the field's data sets. Time has three
levels (SmartGuard, KDD 2024): the moment of the day, the day of the week, the duration since what came before.
"""

from collections.abc import Iterable
from collections.abc import Sequence as Steps
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

import numpy as np
from numpy.typing import NDArray

from edge.core.behaviors import Behavior
from edge.core.vocabulary import PAD, Vocabulary

LENGTH = 10  # behaviors in a window
CARRIED = 5  # of them, those a sequence that goes on begins with
MAX_GAP = 9 * 3600.0  # seconds between two behaviors of one sequence
MAX_SPAN = 24 * 3600.0  # seconds from a run's first behavior to its last
SET_BACK = 3600.0  # seconds a behavior may lie before the last one: less is two devices' clocks apart
DAYS = 7
FORWARD = 6 * 24  # hours to a next behavior at most: farther ahead in the week means behind, as an earlier hour is
FIELDS = ("day", "time", "device", "control", "gap", "since")
HOUR = 3600.0
_EDGES = (2, 10, 30, 60, 180, 600, 1800, *(hours * HOUR for hours in (1, 2, 3, 6, 9, 24, 72, 168)))
WITHIN_HOUR = len(_EDGES) + 1  # the id of a duration below an hour whose seconds nobody knows
NO_DURATION = WITHIN_HOUR + 1  # nothing came before
PAD_DAY, PAD_DURATION = DAYS, NO_DURATION + 1
DURATIONS = PAD_DURATION + 1


@dataclass(frozen=True, slots=True)
class Step:
    """One behavior of a sequence: `day` 0 (Monday) to 6, `hour` 0-23 local time, stable device id, control.

    `gap`: seconds since the behavior before it, `since`: since this device's own; None where only hours are known.
    `carried`: scored already, in the sequence this one goes on from. What a step is does not hang on these three.
    """

    day: int
    hour: int
    device: str
    control: str
    gap: float | None = field(default=None, compare=False)
    since: float | None = field(default=None, compare=False)
    carried: bool = field(default=False, compare=False)


Sequence = tuple[Step, ...]


def step_of(behavior: Behavior, zone: tzinfo, gap: float | None = None, since: float | None = None) -> Step:
    """Place a behavior in the home's local week."""
    local = datetime.fromtimestamp(behavior.time, zone)
    return Step(local.weekday(), local.hour, behavior.device, behavior.control, gap, since)


def belongs(first: float, last: float, time: float) -> bool:
    """Tell whether a behavior at `time` continues the run that began at `first` and was last heard at `last`."""
    return time - last <= MAX_GAP and time - first <= MAX_SPAN


@dataclass
class Window:
    """The sequence that is being lived: its steps, when its run began and was last heard, and whether it alarmed.

    A run longer than LENGTH goes on in another sequence that begins with the CARRIED last steps of this one, so
    that every behavior has some before it. `seen`: when each device last acted, shared by all windows of a life.
    """

    steps: Sequence = ()
    first: float = float("-inf")
    last: float = float("-inf")
    alarmed: bool = False
    seen: dict[str, float] = field(default_factory=dict)

    def extended(self, behavior: Behavior, zone: tzinfo) -> "Window":
        """Return the window with a behavior in it, or a new one where the behavior does not belong."""
        before = self.seen.get(behavior.device)
        self.seen[behavior.device] = behavior.time
        since = None if before is None else max(0.0, behavior.time - before)
        if behavior.time < self.last - SET_BACK or not belongs(self.first, self.last, behavior.time):
            step = step_of(behavior, zone, None, since)
            return Window((step,), behavior.time, behavior.time, seen=self.seen)
        step = step_of(behavior, zone, max(0.0, behavior.time - self.last), since)
        last = max(self.last, behavior.time)
        if len(self.steps) < LENGTH:
            return Window((*self.steps, step), self.first, last, self.alarmed, self.seen)
        carried = tuple(replace(each, carried=True) for each in self.steps[-CARRIED:])
        return Window((*carried, step), self.first, last, seen=self.seen)

    def begun(self) -> bool:
        """Tell whether its newest step is the first that is its own."""
        return len(self.steps) == 1 or (len(self.steps) == CARRIED + 1 and self.steps[0].carried)


def split(behaviors: Iterable[Behavior], zone: tzinfo) -> list[Sequence]:
    """Split behaviors, in order of time, into the sequences they are lived in: at most LENGTH steps each."""
    sequences: list[Sequence] = []
    window = Window()
    for behavior in behaviors:
        window = window.extended(behavior, zone)
        if window.begun():
            sequences.append(window.steps)
        else:
            sequences[-1] = window.steps
    return sequences


def hours_between(before: Step, after: Step) -> int:
    """Return the hours from one step to the next, forward through the week (0-167)."""
    return ((after.day - before.day) * 24 + after.hour - before.hour) % (DAYS * 24)


def own(sequence: Sequence) -> list[int]:
    """Return the places of the steps that are a sequence's own, not carried, among its last LENGTH."""
    return [place for place, step in enumerate(sequence[-LENGTH:]) if not step.carried]


def duration_id(seconds: float) -> int:
    """Return the id of a duration in seconds: the finer, the shorter."""
    return int(np.searchsorted(_EDGES, seconds, side="right"))


def gap_id(before: Step | None, after: Step, *, exact: bool = True) -> int:
    """Return the id of the duration since the previous step: by its seconds, or by the hours where those are all."""
    if before is None:
        return NO_DURATION
    return duration_id(after.gap) if exact and after.gap is not None else _hours_id(hours_between(before, after))


def _hours_id(hours: int) -> int:
    return duration_id(hours * HOUR) if hours else WITHIN_HOUR


def tokens(sequences: Steps[Sequence], vocabulary: Vocabulary) -> NDArray[np.int64]:
    """Return ids (n, LENGTH, 6) in the order of FIELDS, padded behind; names not in the vocabulary are UNKNOWN.

    Where the vocabulary tells fewer times of day apart than hours, seconds say nothing and are not looked at.
    """
    exact = vocabulary.slots >= 24
    out = np.empty((len(sequences), LENGTH, len(FIELDS)), np.int64)
    out[:] = padding(vocabulary)
    for row, sequence in enumerate(sequences):
        before: Step | None = None
        latest: dict[str, Step] = {}
        for place, step in enumerate(sequence[-LENGTH:]):
            last = latest.get(step.device)
            if exact and step.since is not None:
                since = duration_id(step.since)
            else:
                since = NO_DURATION if last is None else _hours_id(hours_between(last, step))
            out[row, place] = (
                step.day,
                vocabulary.time_id(step.hour),
                vocabulary.device_id(step.device),
                vocabulary.control_id(step.device, step.control),
                gap_id(before, step, exact=exact),
                since,
            )
            before = latest[step.device] = step
    return out


def padding(vocabulary: Vocabulary) -> tuple[int, ...]:
    """Return the ids (6,) of a padded place."""
    return PAD_DAY, vocabulary.pad_time, PAD, PAD, PAD_DURATION, PAD_DURATION
