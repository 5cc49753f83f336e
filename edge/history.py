"""The store's record to what the slow loop works on: a home, its dictionary and its sequences."""

from collections.abc import Collection, Iterable, Iterator
from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from itertools import compress
from typing import Any, Protocol

from edge.core import recalibration
from edge.core.admission import UNCLEARED, Admission, Unusual, admit
from edge.core.behaviors import Behavior
from edge.core.chronology import believed, lived_days
from edge.core.devices import Device
from edge.core.dictionary import Dictionary
from edge.core.sequences import Sequence, split
from edge.core.verdicts import FINE, WRONG
from edge.synthesis import Home

RECENT = 20_000  # behaviors looked at at most: about three months of a lively home
STRIDE = 5_000  # and the oldest leave so many at a time, so that a night's split is the night's before
BEFORE = 8 * 86400.0  # seconds read before what is asked for: durations longer than a week are all alike
_STATES = (*UNCLEARED, FINE, WRONG)


class Records(Protocol):
    """What of the store is read here (edge/store.py)."""

    def behaviors_with_ids(
        self, since: float = ..., until: float = ..., after: int = ...
    ) -> Iterable[tuple[int, Behavior]]:
        """Return behaviors with their row ids, in order of arrival."""
        ...

    def alerts(self, since: float = ..., states: Collection[str] = ...) -> Iterable[Any]:
        """Return the alerts in some states: the row of the behavior that raised each, and what became of it."""
        ...

    def newest(self) -> int:
        """Return the row of the newest behavior."""
        ...

    def devices(self) -> list[Device]:
        """Return the devices heard of."""
        ...


@dataclass(frozen=True)
class Lived:
    """Sequences as they were lived, what is known of each one's own steps (edge/core/recalibration.py), and its day."""

    sequences: tuple[Sequence, ...]
    known: tuple[tuple[int, ...], ...]
    days: tuple[int, ...]


def gather(records: Records, zone: tzinfo, known: Dictionary, turned: float = float("-inf")) -> Home:
    """Return the home as it was lived, with what is `known` to exist there though nobody has used it yet.

    `turned`: since when the home is in its scene (seconds since the epoch). What was unusual is no training data unless
    it is admitted: score and learn are two verbs.
    """
    rows = _in_time(records.behaviors_with_ids(after=anchor(records.newest())))
    behaviors = [behavior for _, behavior in rows]
    described = {device.id: device for device in (*records.devices(), *known.devices.values())}
    lived = [(each.device, each.control) for each in behaviors]
    dictionary = Dictionary.of([*lived, *known.controls], described.values())
    admission = admitted(records, rows, zone, dictionary)
    sequences = split(behaviors, zone)
    placed = _rows_of(sequences, [row for row, _ in rows])
    kept = [
        (tuple(step for step, row in zip(each, at, strict=True) if row not in admission.out), at)
        for each, at in zip(sequences, placed, strict=True)
    ]
    kept = [(steps, at) for steps, at in kept if not all(step.carried for step in steps)]
    time = {row: behavior.time for row, behavior in rows}
    before = sum(time[at[0]] < turned for _, at in kept)
    weeks = lived_days([each.time for each in behaviors]) / 7
    found = tuple(steps for steps, _ in kept)
    place = {row: number for number, (_, at) in enumerate(kept) for row in reversed(at)}
    cleared = tuple((place[row], each) for row, each in _until(sequences, placed, admission.fine))
    anomalies = tuple(each for _, each in _until(sequences, placed, admission.wrong))
    calm = _calm([at for _, at in kept], admission.out)
    return Home(dictionary, found, weeks, slots_of(found), cleared, anomalies, before, admission, calm)


def lived_since(records: Records, zone: tzinfo, since: float, dictionary: Dictionary) -> Lived:
    """Return the sequences all of whose own behaviors came after `since` (seconds since the epoch), as they were."""
    rows = _in_time(records.behaviors_with_ids(since - BEFORE))[-RECENT:]
    admission = admitted(records, rows, zone, dictionary)
    time = {row: behavior.time for row, behavior in rows}
    sequences = split([behavior for _, behavior in rows], zone)
    found: list[tuple[Sequence, tuple[int, ...], int]] = []
    for sequence, at in zip(sequences, _rows_of(sequences, [row for row, _ in rows]), strict=True):
        own = [row for row, step in zip(at, sequence, strict=True) if not step.carried]
        if min(time[row] for row in own) > since:
            day = datetime.fromtimestamp(time[own[0]], zone).toordinal()
            found.append((sequence, tuple(_known(row, admission) for row in own), day))
    return Lived(*(tuple(each) for each in zip(*found, strict=True))) if found else Lived((), (), ())


def admitted(records: Records, rows: Items[tuple[int, Behavior]], zone: tzinfo, dictionary: Dictionary) -> Admission:
    """Decide on the unusual behaviors among `rows`."""
    if not rows:
        return Admission()
    behaviors = dict(rows)
    alerts = records.alerts(min(each.time for each in behaviors.values()), _STATES)
    found = [
        Unusual(each.behavior, behaviors[each.behavior], each.state) for each in alerts if each.behavior in behaviors
    ]
    return admit(found, zone, dictionary.kind)


def lived(records: Records) -> float:
    """Return how many days of a home's life are recorded, as far as they are looked at."""
    rows = _in_time(records.behaviors_with_ids(after=anchor(records.newest())))
    return lived_days([behavior.time for _, behavior in rows])


def anchor(newest: int) -> int:
    """Return the row after which the record is looked at, up to the `newest`: it moves seldom, a STRIDE at a time."""
    return -(-max(0, newest - RECENT) // STRIDE) * STRIDE


def _in_time(rows: Iterable[tuple[int, Behavior]]) -> list[tuple[int, Behavior]]:
    """Return what a clock that was right has stamped, in order of time."""
    arrived = list(rows)
    right = believed([behavior.time for _, behavior in arrived])
    return sorted(compress(arrived, right), key=lambda each: each[1].time)


def _rows_of(sequences: Items[Sequence], rows: Items[int]) -> list[list[int]]:
    """Return the row of every step: a carried one's is that of the step it repeats."""
    out: list[list[int]] = []
    fresh = iter(rows)
    for sequence in sequences:
        carried = sum(step.carried for step in sequence)
        out.append([*(out[-1][-carried:] if carried else []), *(next(fresh) for _ in range(len(sequence) - carried))])
    return out


def _calm(placed: Iterable[Items[int]], out: Collection[int]) -> dict[int, int]:
    """Return of each sequence that alerted, by its place, how many steps came before that: it alerts only once."""
    first = ((number, [place for place, row in enumerate(at) if row in out]) for number, at in enumerate(placed))
    return {number: places[0] for number, places in first if places}


def _until(
    sequences: Items[Sequence], placed: Items[Items[int]], said: Collection[int]
) -> Iterator[tuple[int, Sequence]]:
    """Yield the row of each behavior something was said of, and what was lived up to it, its only own step."""
    for sequence, at in zip(sequences, placed, strict=True):
        for place, (step, row) in enumerate(zip(sequence, at, strict=True)):
            if row in said and not step.carried:
                yield row, (*(replace(each, carried=True) for each in sequence[:place]), step)


def _known(row: int, admission: Admission) -> int:
    if row in admission.wrong:
        return recalibration.WRONG
    return recalibration.UNCLEARED if row in admission.out else recalibration.NORMAL


def slots_of(sequences: Iterable[Sequence]) -> int:
    """Return how many times of day a home tells apart: 8 where every behavior lies on a three-hour slot, else 24."""
    hours = {step.hour for sequence in sequences for step in sequence}
    return 8 if hours and all(hour % 3 == 0 for hour in hours) else 24
