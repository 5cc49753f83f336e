"""The recent past of a home as arrays, and on which days and at which hours something of it is usual against chance.

Chance is a device that acts as often, at any waking moment of any day. How far a count is from it is told in nats: n
times the divergence of the share seen from the share by chance, so that its exponential bounds how often chance alone
counts as much (Chernoff 1952), and the number of questions asked of a home is charged to each (Bonferroni).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from edge.core.behaviors import Behavior
from edge.core.habits import MOST, WEEKS

Pair = tuple[str, str]  # (device id, control)
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
DAY = 1440  # minutes
SLOT = 30  # minutes: usual hours begin and end on these
SLOTS = DAY // SLOT
SPANS = (2, 3, 4, 5, 6, 8)  # slots that usual hours may last
WAKING = 16 * 60  # minutes of a day on which a home acts, about
LEAST_DAYS = 5  # days on which something usual was seen
LEAST_SHARE = 0.5  # of such days
LATELY = 28  # days, the newest, in which what is told must still be done
MOST_WHENS = 3  # times of day told of one behavior
ODD_DAYS = 8.0  # nats that days cost which nobody has a word for
ALPHA = 0.01  # homes that live by chance alone and are told a routine, of each kind

_ALL, _WEEK, _WEEKEND = tuple(range(7)), tuple(range(5)), (5, 6)
_EVES = ((0, 1, 2, 3, 6), (4, 5))  # what is done late before weekdays, and before days off
_WORDED = (_ALL, _WEEK, _WEEKEND, *_EVES, *((day,) for day in range(7)))
_ODD = (*combinations(range(7), 2), *combinations(range(7), 3), *combinations(range(7), 6))
CLASSES: tuple[tuple[int, ...], ...] = (*_WORDED, *(days for days in _ODD if days not in _WORDED))
_MEMBER = np.array([[day in days for day in range(7)] for days in CLASSES], np.float64)  # (classes, 7)
_COST = np.array([0.0 if days in _WORDED else ODD_DAYS for days in CLASSES])
QUESTIONS = len(CLASSES) * len(SPANS) * SLOTS


@dataclass(frozen=True, slots=True)
class When:
    """Usual days and hours: `days` (0: Monday), `first` and `end` in minutes of the day, end exclusive, past midnight.

    Seen on `held` days of `of` such days on which the home was awake at all. A day is the one on which the hours begin.
    `sure`: nats against chance.
    """

    days: tuple[int, ...]
    first: int
    end: int
    held: int
    of: int
    sure: float

    @property
    def length(self) -> int:
        """Minutes from first to end."""
        return (self.end - self.first) % DAY

    @property
    def per_week(self) -> float:
        """Days a week on which it is held."""
        return self.held * len(self.days) / max(self.of, 1)

    def day_of(self, minutes: Ints) -> Ints:
        """Return the ordinal of the day each minute of the wall belongs to, -1 where it is not usual."""
        day, at = np.divmod(minutes - self.first, DAY)
        inside = (at < self.length) & np.isin((day + 6) % 7, self.days)
        return np.where(inside, day, -1)

    def meets(self, other: "When") -> bool:
        """Tell whether on some day of the week at least half of the shorter's hours are shared, also past midnight."""
        least = min(self.length, other.length) / 2
        begins = (day * DAY + self.first for day in self.days)
        others = [(day + shift) * DAY + other.first for day in other.days for shift in (-7, 0, 7)]
        return any(
            min(begin + self.length, start + other.length) - max(begin, start) >= least
            for begin in begins
            for start in others
        )


@dataclass(frozen=True)
class Past:
    """Behaviors in order of time: `time` (n,) epoch seconds, `minute` (n,) of the wall clock, `pair` (n,) of `pairs`.

    Minutes count from the day of ordinal 0, as the home's clock shows them: summer time does not move a routine.
    """

    time: Floats
    minute: Ints
    pair: Ints
    pairs: tuple[Pair, ...]

    @classmethod
    def of(cls, behaviors: Iterable[Behavior], zone: tzinfo) -> "Past":
        """Take the newest behaviors, at most MOST and no older than WEEKS before the newest."""
        lived = sorted(behaviors, key=lambda each: each.time)[-MOST:]
        lived = [each for each in lived if each.time >= lived[-1].time - WEEKS * 7 * 86400]
        names: dict[Pair, int] = {}
        pair = [names.setdefault((each.device, each.control), len(names)) for each in lived]
        walls = (datetime.fromtimestamp(each.time, zone) for each in lived)
        minute = [wall.toordinal() * DAY + wall.hour * 60 + wall.minute for wall in walls]
        time = np.array([each.time for each in lived], np.float64)
        return cls(time, np.array(minute, np.int64), np.array(pair, np.int64), tuple(names))

    def newest(self) -> "Past":
        """Return the LATELY days of it, with the same pairs."""
        begin = int(np.searchsorted(self.minute, (int(self.days[-1]) - LATELY + 1) * DAY))
        return Past(self.time[begin:], self.minute[begin:], self.pair[begin:], self.pairs)

    @cached_property
    def days(self) -> Ints:
        """The ordinals of the days on which the home did anything, in order."""
        return np.unique(self.minute // DAY)

    @cached_property
    def places(self) -> Mapping[int, Ints]:
        """Where in the arrays each pair stands, in order of time."""
        order = np.argsort(self.pair, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(self.pair, minlength=len(self.pairs)))[:-1])
        return dict(enumerate(parts))

    def needed(self, questions: int) -> float:
        """Return the nats from which on one of so many questions, asked of every pair, is no chance."""
        return float(np.log(max(len(self.pairs), 1) * questions / ALPHA))

    def whens(self, minutes: Ints) -> list[When]:
        """Return when something that was done at these minutes of the wall is usual, the surest first."""
        if len(minutes) < LEAST_DAYS:
            return []
        held, sure = self._weighed(minutes)
        found: list[When] = []
        told = np.argwhere(sure >= self.needed(QUESTIONS))
        for row, start, span in told[np.argsort(-sure[tuple(told.T)], kind="stable")].tolist():
            first, days = start * SLOT, CLASSES[row]
            end, of = (first + SPANS[span] * SLOT) % DAY, int(self._awake[list(days)].sum())
            when = When(days, first, end, int(held[row, start, span]), of, float(sure[row, start, span]))
            if not any(when.meets(each) for each in found):
                found.append(when)
            if len(found) == MOST_WHENS:
                break
        return found

    def lasts(self, days: Ints) -> bool:
        """Tell whether what was done on these days, each told once or more, is still done: half as often is enough."""
        since = self.days[-1] - LATELY
        share = (self.days > since).mean()
        return bool((days > since).sum() >= len(days) * share / 2)

    @cached_property
    def _awake(self) -> Ints:
        """How many days of each weekday (7,) the home did anything."""
        return np.bincount((self.days + 6) % 7, minlength=7)

    def _weighed(self, minutes: Ints) -> tuple[Floats, Floats]:
        """Return for every class of days, start and span on how many days it was held, and the nats against chance."""
        first = int(self.days[0])
        count = int(self.days[-1]) - first + 1
        taken = np.zeros((count + 1) * SLOTS + 1, np.int64)
        taken[1 + minutes // SLOT - first * SLOTS] = 1
        ahead = np.cumsum(taken)
        starts = (np.arange(count) * SLOTS)[:, None, None] + np.arange(SLOTS)[:, None]
        stops = np.minimum(starts + np.array(SPANS), len(ahead) - 1)
        seen = (ahead[stops] > ahead[starts]).astype(np.float64)  # (days, starts, spans)
        awake = np.isin(np.arange(count) + first, self.days)
        weekday = (np.arange(count) + first + 6) % 7
        by_weekday = (weekday == np.arange(7)[:, None]) & awake
        held = np.tensordot(_MEMBER, np.tensordot(by_weekday.astype(np.float64), seen, 1), 1)
        of = (_MEMBER @ self._awake)[:, None, None]
        rate = len(minutes) / len(self.days) / WAKING
        chance = -np.expm1(-rate * SLOT * np.array(SPANS, np.float64))
        sure = nats(held, of, chance) - _COST[:, None, None]
        sure[(held < LEAST_DAYS) | (held < LEAST_SHARE * of)] = -np.inf
        return held, sure


def nats(seen: Floats, of: Floats, chance: Floats) -> Floats:
    """Return the nats by which `seen` times out of `of` are more than `chance`, 0 where they are not."""
    chance = np.clip(chance, 1e-6, 1 - 1e-6)
    share = np.clip(seen / np.maximum(of, 1), 1e-9, 1 - 1e-9)
    told = share * np.log(share / chance) + (1 - share) * np.log((1 - share) / (1 - chance))
    return np.where(share > chance, np.maximum(of, 0) * told, 0.0)
