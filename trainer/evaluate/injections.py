"""Anomalies put into days that were lived: each is odd for this home by what it did in training.

The four kinds of SmartGuard (KDD 2024) and two more. Each has its rule, by counts of the training days
(trainer/evaluate/past.py):
SD  one device flickers: its two most usual controls in turn, seconds apart, FLICKERS times or MORE_THAN_EVER times
    more than it ever acted within a minute, at an hour usual for it.
MD  several devices in an order never seen: IN_A_ROW behaviors seconds apart, each usual at this hour, each never right
    after the one before it, though by chance that would have been seen at least BY_CHANCE times.
DM  the right behavior at the wrong moment: under RARE of the control's occurrences lie within two hours of it.
DD  the wrong duration: a device is put on at a usual hour and off after LONGER times the longest it ever was on, or
    the longest that fits in MOST_ON, at least twice as long as ever. Only the end is odd, and only it is looked for.
door    a door, window or lock opens at night, where that control is as rare as in DM.
unused  a device acts at an hour at which, an hour more or less, it never did.
What was lived stays as it was; no lived behavior falls into an anomaly that is a matter of seconds.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence as Items
from dataclasses import dataclass
from datetime import timedelta, tzinfo

import numpy as np

from edge.core.behaviors import Behavior
from edge.core.devices import kind_of
from edge.core.prompts import Pair
from trainer.evaluate.past import Past, local
from trainer.homes.noise import SENSING

SD, MD, DM, DD, DOOR, UNUSED = KINDS = ("SD", "MD", "DM", "DD", "door", "unused")
FLICKERS, MORE_THAN_EVER = 8, 4
IN_A_ROW = 4
LONGER, AT_LEAST, MOST_ON = 10.0, 2.0, 12 * 3600.0
NIGHT = range(5)
APART = 3600.0  # seconds between what is odd of two anomalies
A_DAY = 2
_DOORS = frozenset({"contact", "door_lock", "garage_door", "window"})
_TRIED = 60
_DAY = 86400.0


@dataclass(frozen=True)
class Injection:
    """One anomaly: its kind, what was put in, and which of that is odd (the places in `behaviors`)."""

    kind: str
    behaviors: tuple[Behavior, ...]
    odd: tuple[int, ...]


class Injector:
    """Draws anomalies into days. `lived`: what happens on them, in order of time."""

    def __init__(self, past: Past, lived: Items[Behavior], zone: tzinfo, seed: int) -> None:
        """Take the home's past, the days and the seed of all chance."""
        self._past = past
        self._zone = zone
        self._rng = np.random.default_rng([seed, 11])
        self._times = [each.time for each in lived]
        self._acts: dict[str, list[float]] = defaultdict(list)
        for each in lived:
            self._acts[each.device].append(each.time)
        self._pairs = past.frequent()
        self._begin = self._times[0] if lived else 0.0
        self._end = self._times[-1] if lived else 0.0

    def drawn(self) -> list[Injection]:
        """Return A_DAY anomalies a day, the kinds in turn, by time; a kind this home cannot have is left out."""
        ways = {SD: self._flicker, MD: self._order, DM: self._moment, DD: self._duration, DOOR: self._door,
                UNUSED: self._unused}  # fmt: skip
        days = int((self._end - self._begin) // _DAY)
        out: list[Injection] = []
        taken: list[float] = []
        for number in range(days * A_DAY):
            if number % len(KINDS) == 0:
                order = [KINDS[place] for place in self._rng.permutation(len(KINDS))]
            kind = order[number % len(KINDS)]
            for _ in range(_TRIED):
                made = ways[kind](self._begin + number // A_DAY * _DAY)
                if made and all(abs(made.behaviors[made.odd[0]].time - other) >= APART for other in taken):
                    out.append(made)
                    taken += [made.behaviors[place].time for place in made.odd]
                    break
        return sorted(out, key=lambda each: each.behaviors[0].time)

    def _at(self, begins: float, hour: int) -> float:
        """Return an instant within a local hour in the day that begins at an instant."""
        first = local(begins, self._zone)
        wall = first.replace(hour=0, minute=0, second=0, microsecond=0)
        at = wall + timedelta(hours=hour, seconds=float(self._rng.uniform(0.0, 3599.0)))
        return (at if at >= first else at + timedelta(days=1)).timestamp()

    def _quiet(self, begin: float, end: float) -> bool:
        """Tell whether nothing was lived between two instants, within the days."""
        return (
            self._begin <= begin
            and end <= self._end
            and bisect_left(self._times, begin) == bisect_left(self._times, end)
        )

    def _made(self, kind: str, time: float, pairs: Items[Pair], gaps: Items[float]) -> Injection | None:
        """Put behaviors `gaps` seconds apart from an instant on; None where something was lived between them."""
        times = time + np.cumsum([0.0, *gaps])
        if not self._quiet(time, float(times[-1])):
            return None
        made = tuple(Behavior(float(at), *pair) for at, pair in zip(times, pairs, strict=True))
        return Injection(kind, made, tuple(range(len(made))))

    def _one(self, options: Items[Pair]) -> Pair | None:
        return options[int(self._rng.integers(len(options)))] if options else None

    def _hour(self, allowed: Items[int]) -> int | None:
        return allowed[int(self._rng.integers(len(allowed)))] if allowed else None

    def _flicker(self, day: float) -> Injection | None:
        chosen = self._one([pair for pair in self._pairs if kind_of(pair[0]) not in SENSING])
        if chosen is None:
            return None
        device = chosen[0]
        own = sorted((pair for pair in self._past.hours if pair[0] == device), key=lambda p: -self._past.hours[p].sum())
        hour = self._hour([hour for hour in range(24) if self._past.usual(own[0], hour)])
        if hour is None:
            return None
        count = max(FLICKERS, self._past.burst[device] + MORE_THAN_EVER)
        gaps = self._rng.uniform(2.0, 6.0, count - 1) if count < 12 else np.full(count - 1, 50.0 / count)
        pairs = [own[place % min(2, len(own))] for place in range(count)]
        return self._made(SD, self._at(day, hour), pairs, gaps.tolist())

    def _order(self, day: float) -> Injection | None:
        hour = int(self._rng.integers(24))
        usual = [pair for pair in self._pairs if self._past.usual(pair, hour)]
        chain: list[Pair] = []
        while len(chain) < IN_A_ROW:
            used = {pair[0] for pair in chain}
            more = [p for p in usual if p[0] not in used and (not chain or self._past.never(chain[-1], p))]
            added = self._one(more)
            if added is None:
                return None
            chain.append(added)
        return self._made(MD, self._at(day, hour), chain, self._rng.uniform(3.0, 20.0, IN_A_ROW - 1).tolist())

    def _moment(self, day: float) -> Injection | None:
        chosen = self._one(self._pairs)
        hour = self._hour([hour for hour in range(24) if self._past.wrong(chosen, hour)]) if chosen else None
        return self._made(DM, self._at(day, hour), [chosen], []) if chosen and hour is not None else None

    def _duration(self, day: float) -> Injection | None:
        options = [(key, most) for key, most in sorted(self._past.longest.items()) if most * AT_LEAST <= MOST_ON]
        if not options:
            return None
        (start, stop), most = options[int(self._rng.integers(len(options)))]
        hour = self._hour([hour for hour in range(24) if self._past.usual(start, hour)])
        if hour is None:
            return None
        begin = self._at(day, hour)
        end = begin + min(most * LONGER, MOST_ON) * float(self._rng.uniform(1.0, 1.05))
        acts = self._acts[start[0]]
        alone = bisect_left(acts, begin) == bisect_left(acts, end)
        if not (alone and end <= self._end and self._past.usual(stop, local(end, self._zone).hour)):
            return None
        return Injection(DD, (Behavior(begin, *start), Behavior(end, *stop)), (1,))

    def _door(self, day: float) -> Injection | None:
        doors = [pair for pair in self._pairs if kind_of(pair[0]) in _DOORS]
        chosen = self._one([pair for pair in doors if _opening(pair[1])] or doors)
        hour = self._hour([hour for hour in NIGHT if self._past.wrong(chosen, hour)]) if chosen else None
        return self._made(DOOR, self._at(day, hour), [chosen], []) if chosen and hour is not None else None

    def _unused(self, day: float) -> Injection | None:
        chosen = self._one(self._pairs)
        hour = self._hour([hour for hour in range(24) if self._past.unused(chosen[0], hour)]) if chosen else None
        return self._made(UNUSED, self._at(day, hour), [chosen], []) if chosen and hour is not None else None


def _opening(control: str) -> bool:
    """Tell whether a control of a door opens it, as bridges and data sets write it."""
    last = control.lower().split()[-1] if control.split() else ""
    return last in {"open", "opened", "unlock", "unlocked", "on", "true"}
