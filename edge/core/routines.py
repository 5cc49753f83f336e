"""The profile: recurring behaviors with their days, hours and triggers, told only where chance would not tell them.

A routine is a behavior that is done at usual hours of usual days, or a chain of behaviors that follow one another
within minutes. What a person would call one thing is told once: on and off are one span, a chain tells its links.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import tzinfo

import numpy as np

from edge.core.behaviors import Behavior
from edge.core.controls import UNDONE, part_and_word
from edge.core.past import DAY, LATELY, Ints, Past, When
from edge.core.successions import Chain, Successions

MOST = 40  # routines told
SENSED = frozenset({"motion"})  # classes that only notice what people do: what begins a routine, seldom what it is
COVERED = 0.7  # of a routine's times that another one tells, too: then it is told once
LONGEST = 16 * 3600.0  # seconds that something lasts at most
EVENING = 90 * 60.0  # seconds from which on a span is told by the clock; below, by how long it lasts
STEADY = 4.0  # how many times the lower quartile of how long something lasts the upper one may be
WORTH = {"span": 1.5, "undone": 1.2, "": 0.6}  # of a routine's nats, by what it tells: the rest is worth 1


@dataclass(frozen=True, slots=True)
class Link:
    """One behavior of a routine, and the seconds within which it follows the one before it (0: it is the first)."""

    device: str
    control: str
    within: float = 0.0


@dataclass(frozen=True, slots=True)
class Trigger:
    """What usually comes before a routine, within how many seconds, and on how many of the days it was held."""

    device: str
    control: str
    within: float
    held: int


@dataclass(frozen=True, slots=True)
class Span:
    """How long what a routine begins lasts: median `seconds`, and the median minutes of the day of begin and end."""

    seconds: float
    begins: int
    ends: int


@dataclass(frozen=True, slots=True)
class Routine:
    """A recurring behavior, or a chain of them.

    `when`: its days and hours, None where it is bound to none. `held` of `of`: on so many of such days; where it is
    bound to none, after so many of the times that its first behavior was done. `per_week`: times a week. `sure`: nats
    against chance (edge/core/past.py). `new`: it is one of the last weeks, LATELY in edge/core/past.py, and counted
    there alone.
    """

    links: tuple[Link, ...]
    when: When | None
    held: int
    of: int
    per_week: float
    sure: float
    trigger: Trigger | None = None
    span: Span | None = None
    new: bool = False

    @property
    def devices(self) -> frozenset[str]:
        """The devices it tells of."""
        own = frozenset(link.device for link in self.links)
        return own | {self.trigger.device} if self.trigger else own


@dataclass(frozen=True, eq=False)
class _Found:
    """A routine, where in the past its behaviors stand, where stands what ends its span, and what it is worth."""

    routine: Routine
    places: Ints
    undone: Ints
    worth: float


def routines(behaviors: Iterable[Behavior], zone: tzinfo, kind: Callable[[str], str]) -> tuple[Routine, ...]:
    """Return a home's routines of its recent weeks, the most telling first; `kind` returns a device's class."""
    return found_in(Past.of(behaviors, zone), kind)


def found_in(past: Past, kind: Callable[[str], str]) -> tuple[Routine, ...]:
    """Return the routines of a past, the most telling first."""
    if not past.pairs:
        return ()
    search = _Search(past, kind)
    found = _distinct(search.timed(), search.chains(), _new(past, kind))
    return tuple(each.routine for each in sorted(found, key=_telling)[:MOST])


class _Search:
    """Looks for routines in a past."""

    def __init__(self, past: Past, kind: Callable[[str], str]) -> None:
        self._past = past
        self._after = Successions(past)
        words = [part_and_word(control) for _, control in past.pairs]
        self._told = np.array([word != "clear" for _, word in words])
        self._acts = self._told & np.array([kind(device) not in SENSED for device, _ in past.pairs])
        number = {(device, *word): row for row, ((device, _), word) in enumerate(zip(past.pairs, words, strict=True))}
        self._undone = {
            row: number[device, part, UNDONE[word]]
            for (device, part, word), row in number.items()
            if word in UNDONE and (device, part, UNDONE[word]) in number
        }

    def timed(self) -> list[_Found]:
        """Return the routines that single behaviors have by their days and hours."""
        minutes = self._past.minute
        found: list[_Found | None] = []
        for pair in np.flatnonzero(self._told).tolist():
            places = self._past.places[pair]
            found += [self._single(pair, places, when) for when in self._past.whens(minutes[places])]
        return [each for each in found if each is not None]

    def chains(self) -> list[_Found]:
        """Return the routines that chains are; behind the first only acts stand."""
        found = (self._chain(each) for each in self._after.chains(self._told, self._acts))
        return [each for each in found if each is not None]

    def _single(self, pair: int, places: Ints, when: When) -> _Found | None:
        """Return what is done at usual hours as a routine, None where it is done no more."""
        past = self._past
        days, at = np.unique(when.day_of(past.minute[places]), return_index=True)
        lived = np.isin(days, past.days)
        if not past.lasts(days[lived]):
            return None
        held = places[at[lived]]
        best = self._after.trigger(held, self._told) if self._acts[pair] else None
        trigger = None if best is None else Trigger(*past.pairs[best[0]], best[1], best[2])
        span, undone = self._span(pair, held, when)
        links = (Link(*past.pairs[pair]),)
        routine = Routine(links, when, when.held, when.of, when.per_week, when.sure, trigger, span)
        told = "span" if span else "undone" if pair in self._undone else ""
        worth = WORTH.get(told if self._acts[pair] else "", 1.0)
        return _Found(routine, held, undone, worth * when.sure)

    def _span(self, pair: int, held: Ints, when: When) -> tuple[Span | None, Ints]:
        """Return how long what is begun at these places usually lasts, and the places of what ends it."""
        none = np.zeros(0, np.int64)
        if pair not in self._undone:
            return None, none
        past, ends = self._past, self._past.places[self._undone[pair]]
        at = np.searchsorted(ends, held)
        begun, undone = held[at < len(ends)], ends[at[at < len(ends)]]
        lasted = past.time[undone] - past.time[begun]
        short = lasted <= LONGEST
        begun, undone, lasted = begun[short], undone[short], lasted[short]
        if len(begun) < COVERED * len(held):
            return None, none
        low, middle, high = np.quantile(lasted, [0.25, 0.5, 0.75]).tolist()
        if high > STEADY * max(low, 1.0):
            return None, undone
        since = when.day_of(past.minute[begun]) * DAY
        begins, ends_at = (int(np.median(past.minute[each] - since)) % DAY for each in (begun, undone))
        return Span(middle, begins, ends_at), undone

    def _chain(self, chain: Chain) -> _Found | None:
        """Return a chain as a routine, with its days and hours where most of its times lie in some."""
        past = self._past
        if not past.lasts(past.minute[chain.places[:, 0]] // DAY):
            return None
        steps = zip(chain.pairs, chain.within, strict=True)
        links = tuple(Link(*past.pairs[pair], within) for pair, within in steps)
        times = len(chain.places)
        routine = Routine(links, None, times, chain.of, 7 * times / len(past.days), chain.sure)
        places = chain.places
        for when in past.whens(past.minute[places[:, 0]])[:1]:
            inside = np.isin(when.day_of(past.minute[places[:, 0]]), past.days)
            if inside.mean() >= COVERED:
                places = places[inside]
                routine = replace(routine, when=when, held=when.held, of=when.of, per_week=when.per_week)
        return _Found(routine, places.reshape(-1), np.zeros(0, np.int64), chain.sure)


def _new(past: Past, kind: Callable[[str], str]) -> list[_Found]:
    """Return what the last weeks alone would tell, of a past that is much longer: a home in a new scene lives anew."""
    if past.days[-1] - past.days[0] < 2 * LATELY:
        return []
    late = past.newest()
    before = len(past.time) - len(late.time)
    return [
        replace(each, routine=replace(each.routine, new=True), places=each.places + before, undone=each.undone + before)
        for each in _Search(late, kind).timed()
    ]


def _telling(found: _Found) -> tuple[float, list[tuple[str, str]]]:
    """Return the order of telling: what is worth most first, then by name."""
    return -found.worth, [(link.device, link.control) for link in found.routine.links]


def _distinct(timed: list[_Found], chains: list[_Found], new: list[_Found]) -> list[_Found]:
    """Return what is told: of what says the same, the one that says most; what is new only where it is all there is."""
    spans = [each for each in timed if each.routine.span]
    others = [each for each in timed if not each.routine.span]
    chains = sorted(chains, key=lambda each: (-len(each.routine.links), _telling(each)))
    late = sorted(new, key=lambda each: (each.routine.span is None, _telling(each)))
    kept: list[_Found] = []
    for found in (*sorted(spans, key=_telling), *chains, *sorted(others, key=_telling), *late):
        if not any(_tells(each, found) for each in kept):
            kept.append(found)
    return kept


def _tells(kept: _Found, found: _Found) -> bool:
    """Tell whether what is kept already says what was found."""
    mine, its = kept.routine, found.routine
    chained = len(its.links) > 1
    if chained and len(mine.links) > 1:
        return its.devices <= mine.devices
    if chained:
        return its.devices <= mine.devices and _covered(found.places, kept.places) >= COVERED / len(its.links)
    if len(mine.links) > 1:
        return mine.when is not None and _covered(found.places, kept.places) >= COVERED
    if _covered(found.places, kept.undone) >= COVERED:
        return True
    same_times = mine.when is not None and its.when is not None and mine.when.meets(its.when)
    return same_times and mine.links[0].device == its.links[0].device


def _covered(places: Ints, by: Ints) -> float:
    return float(np.isin(places, by).mean()) if len(places) else 0.0
