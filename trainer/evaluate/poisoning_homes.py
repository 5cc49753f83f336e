"""A home that somebody poisons: days learned before, days he may act on, clean days to judge by.

A simulated home lives real days. The recorded ones are undated: their sequences are dated as the demo does, and a day
is so many of them in a row.
"""

from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from pathlib import Path

import numpy as np

from edge.core import gate
from edge.core.admission import GUARDED
from edge.core.behaviors import Behavior
from edge.core.devices import kind_of
from edge.core.errors import SettingsError
from edge.core.prompts import Pair
from edge.core.sequences import Sequence, Step, split
from edge.demo.recorded import START
from edge.demo.recorded import timeline as dated
from trainer.evaluate.injections import Injection, Injector
from trainer.evaluate.past import Past, local
from trainer.evaluate.shifts import SIMULATED, recorded
from trainer.homes import timeline
from trainer.homes.noise import SENSING

BEFORE, WATCHED, JUDGED = 28, 28, 28  # days
MOST = 900  # sequences of a recorded home that are lived: more would only take longer
BEGUN = date(2024, 1, 8)
NIGHT = 3  # the hour of what is odd because nobody does it then
STEP = 20.0  # seconds between two behaviors where nobody knows


@dataclass(frozen=True)
class Ground:
    """Where poison is planted. `days` are watched by a model of what came `before`; `begins` of each, and their end.

    `normal`: the sequences of the judged days; `odd`: anomalies injected into them, each of the four kinds; `lived` and
    `injected`: the judged days, and anomalies of six kinds to be put into them (none where hours are all that is
    known). `targets`: by name, what is done at NIGHT only by who poisons, and once on each judged day.
    """

    name: str
    zone: tzinfo
    before: tuple[Behavior, ...]
    days: tuple[tuple[Behavior, ...], ...]
    begins: tuple[float, ...]
    lived: tuple[Behavior, ...]
    normal: tuple[Sequence, ...]
    odd: tuple[Sequence, ...]
    injected: tuple[Injection, ...]
    targets: dict[str, tuple[Injection, ...]]
    slot_hours: int

    @property
    def clean(self) -> list[Sequence]:
        """The sequences lived before."""
        return split(self.before, self.zone)

    def day(self, number: int) -> tuple[float, float]:
        """Return when a watched day begins and ends, seconds since the epoch."""
        return self.begins[number], self.begins[number + 1]


def opened(name: str, data: Path, seed: int) -> Ground:
    """Return a recorded home by its folder, or the simulated one of a number: simulated:3. Raises SettingsError."""
    if name.startswith(SIMULATED):
        number = name.removeprefix(SIMULATED)
        if not number.isdecimal():
            raise SettingsError(f"{name}: a whole number stands behind {SIMULATED}")
        return _simulated(name, int(number), seed)
    return _recorded(name, data, seed)


def _simulated(name: str, number: int, seed: int) -> Ground:
    days = BEFORE + WATCHED + JUDGED
    lived = timeline.behaviors(timeline.Wanted(number, days, BEGUN, motion=0.0, bought=1.0))
    clock = timeline.lively(number).clock
    midnights = [
        datetime.combine(BEGUN + timedelta(days=day), datetime.min.time(), clock).timestamp() for day in range(days + 1)
    ]
    return _cut(name, clock, lived, midnights, (seed, 1))


def _recorded(name: str, data: Path, seed: int) -> Ground:
    sequences = recorded(data, name, "spring")[0].home.sequences[:MOST]
    days = BEFORE + WATCHED + JUDGED
    each = len(sequences) // days
    if not each:
        raise SettingsError(f"{data}, {name}: fewer than {days} sequences")
    lived = dated(list(sequences[: each * days]), START)
    ends = np.cumsum([len(sequence) for sequence in sequences[: each * days]])[each - 1 :: each]
    begins = [lived[0].time, *(lived[place].time for place in ends[:-1].tolist()), lived[-1].time + 1.0]
    return _cut(name, UTC, lived, begins, (seed, 3))


def _cut(name: str, zone: tzinfo, lived: Items[Behavior], begins: Items[float], drawn: tuple[int, int]) -> Ground:
    """Cut days into what they are for. `drawn`: the seed, and the hours that a time of day is wide."""
    seed, slot_hours = drawn
    places = np.searchsorted([each.time for each in lived], begins).tolist()
    days = [tuple(lived[first:last]) for first, last in pairwise(places)]
    turn, end = BEFORE, BEFORE + WATCHED
    before = tuple(each for day in days[:turn] for each in day)
    judged = tuple(each for day in days[end:] for each in day)
    normal = split(judged, zone)
    pairs = sorted({(each.device, each.control) for each in before})
    known = slot_hours == 1
    odd = [_snapped(each, slot_hours) for each in gate.inject(normal, pairs, seed)]
    begun = begins[end:]
    rng = np.random.default_rng([seed, 31])
    return Ground(
        name, zone, before, tuple(days[turn:end]), tuple(begins[turn : end + 1]), judged, tuple(normal), tuple(odd),
        tuple(Injector(Past.of([*before, *judged], zone), judged, zone, seed).drawn()) if known else (),
        {
            what: tuple(
                Injection(what, tuple(planted([Step(0, NIGHT, *pair)], span, zone, rng, exact=known)), (0,))
                for span in pairwise(begun)
            )
            for what, pair in _targets(lived, zone).items()
        },
        slot_hours,
    )  # fmt: skip


def _targets(lived: Items[Behavior], zone: tzinfo) -> dict[str, Pair]:
    """Return the most usual control that may become a habit, and that of a lock, which may not; neither done at NIGHT.

    A home without a lock has one target.
    """
    past = Past.of(lived, zone)
    odd = sorted(
        (pair for pair in past.hours if past.share(pair, NIGHT, 1) == 0.0 and kind_of(pair[0]) not in SENSING),
        key=lambda pair: (-int(past.hours[pair].sum()), pair),
    )
    found: dict[str, Pair] = {}
    for pair in odd:
        found.setdefault("lock" if kind_of(pair[0]) in GUARDED else "habit", pair)
    return found


def anomalies(ground: Ground, seed: int) -> list[Sequence]:
    """Return anomalies of the four kinds by what was lived before: what somebody may rehearse."""
    pairs = sorted({(each.device, each.control) for each in ground.before})
    drawn = gate.inject(ground.clean, pairs, seed)
    order = np.random.default_rng([seed, 32]).permutation(len(drawn))
    return [_snapped(drawn[at], ground.slot_hours) for at in order]


def planted(
    steps: Items[Step], span: tuple[float, float], zone: tzinfo, rng: np.random.Generator, *, exact: bool
) -> list[Behavior]:
    """Date the steps of a sequence in a span of time: from a moment of their first one's hour on.

    `exact`: seconds between steps are known; else those of one time of day follow at once.
    """
    begin, end = span
    first = local(begin, zone).replace(minute=0, second=0, microsecond=0)
    hours = range(int((end - begin) // 3600) + 1)
    options = [at for at in (first + timedelta(hours=each) for each in hours) if at.hour == steps[0].hour]
    if not options:
        return []
    time = options[int(rng.integers(len(options)))].timestamp() + float(rng.uniform(0.0, 1800.0))
    out = [Behavior(time, steps[0].device, steps[0].control)]
    for before, step in pairwise(steps):
        later = 3600.0 * ((step.hour - before.hour) % 24)
        gap = step.gap if exact and step.gap is not None else later
        time += max(gap, STEP) if step.gap is None or not exact else gap
        out.append(Behavior(time, step.device, step.control))
    return out


def _snapped(sequence: Sequence, slot_hours: int) -> Sequence:
    """Put steps on the times of day that the home tells apart."""
    return tuple(replace(step, hour=step.hour - step.hour % slot_hours) for step in sequence)
