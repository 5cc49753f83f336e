"""What follows what within minutes, against chance; and chains of it.

Chance here is what stands around: how often the one is done within an hour of the other, before or after it. An order
is told only where the one comes after the other more often than before it: people who come home do much at once.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge.core.past import Floats, Ints, Past, nats

WITHIN = (60.0, 300.0, 900.0)  # seconds that one thing may follow another by
AROUND = 3600.0  # seconds before and after, in which chance is counted
FARTHEST = 40  # behaviors between the two at most
LEAST = 8  # times that a succession was seen
SHARE = 0.5  # of the times the first was done
USUALLY = 0.6  # of its times that something has its trigger
LONGEST = 4  # behaviors of a chain

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Chain:
    """Behaviors that follow one another: `pairs`, the seconds `within` which each follows the one before it (0 first).

    `places` (n, length): where in the past each time stands; of `of` times the first was done. `sure`: nats against
    chance of its weakest link.
    """

    pairs: tuple[int, ...]
    within: tuple[float, ...]
    places: Ints
    of: int
    sure: float


@dataclass(frozen=True, slots=True)
class _Near:
    """The first time each pair comes after a place (or before it): sorted keys, the other's place, seconds between."""

    keys: Ints
    other: Ints
    apart: Floats

    def of(self, places: Ints, pair: int, pairs: int, within: float) -> Ints:
        """Return for each place where the pair comes next within so many seconds, -1 where it does not."""
        if not len(self.keys):
            return np.full(len(places), -1)
        wanted = places * pairs + pair
        at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where((self.keys[at] == wanted) & (self.apart[at] <= within), self.other[at], -1)


class Successions:
    """What follows what in a past."""

    def __init__(self, past: Past) -> None:
        """Take the past; what is near what is looked up once."""
        self._past = past
        self._count = len(past.pairs)
        self.needed = past.needed(max(self._count, 1) * len(WITHIN))
        before, after = self._near()
        apart = past.time[after] - past.time[before]
        self._next = _first(before * self._count + past.pair[after], after, apart)
        self._last = _first(after * self._count + past.pair[before], before, apart)

    def chains(self, firsts: Flags, lasts: Flags) -> list[Chain]:
        """Return chains, each as long as it goes; they begin with one of `firsts` (pairs,), go on with `lasts`."""
        found: list[Chain] = []
        for first, then in np.argwhere(self._often & firsts[:, None] & lasts[None, :]).tolist():
            begun = self._begun(first)
            link = self._link(begun, first, then)
            if link is None:
                continue
            within, places, sure = link
            kept = places >= 0
            chain = Chain((first, then), (0.0, within), np.stack([begun, places], 1)[kept], len(begun), sure)
            while len(chain.pairs) < LONGEST and (longer := self._longer(chain, lasts)) is not None:
                chain = longer
            found.append(chain)
        return found

    def trigger(self, places: Ints, firsts: Flags) -> tuple[int, float, int, float] | None:
        """Return what usually comes before these places of one pair: pair, seconds, times, nats; None where nothing."""
        own = int(self._past.pair[places[0]])
        rows = self._last.keys // self._count
        near = np.unique(self._last.keys[np.isin(rows, places)] % self._count)
        best: tuple[int, float, int, float] | None = None
        for pair in near[firsts[near]].tolist():
            if self._device(pair) == self._device(own):
                continue
            for within in WITHIN:
                before = self._last.of(places, pair, self._count, within) >= 0
                sure = self._sure(before, self._next.of(places, pair, self._count, within) >= 0, places, pair, within)
                if before.sum() >= max(LEAST / 2, USUALLY * len(places)) and sure > (best[3] if best else self.needed):
                    best = pair, within, int(before.sum()), sure
        return best

    def _near(self) -> tuple[Ints, Ints]:
        """Return the places of what is at most the longest WITHIN apart, earlier and later, the nearest first."""
        time = self._past.time
        earlier, later = [], []
        for step in range(1, min(FARTHEST, len(time) - 1) + 1):
            close = np.flatnonzero(time[step:] - time[:-step] <= WITHIN[-1])
            if not len(close):
                break
            earlier.append(close)
            later.append(close + step)
        none = np.zeros(0, np.int64)
        return np.concatenate([none, *earlier]), np.concatenate([none, *later])

    @cached_property
    def _often(self) -> Flags:
        """Which pair (row) is often enough followed by which (column), of another device, to be looked at."""
        size = self._count
        first = self._past.pair[self._next.keys // size]
        follows = np.bincount(first * size + self._next.keys % size, minlength=size * size).reshape(size, size)
        times = np.bincount(self._past.pair, minlength=size)
        devices = np.unique([device for device, _ in self._past.pairs], return_inverse=True)[1]
        often: Flags = (follows >= LEAST) & (follows >= SHARE / 2 * times[:, None])
        often &= devices[:, None] != devices[None, :]
        return often

    def _begun(self, pair: int) -> Ints:
        """Return where a pair was done, one press of many in a row only once."""
        places = self._past.places[pair]
        time = self._past.time[places]
        return places[np.diff(time, prepend=-np.inf) > WITHIN[0]]

    def _link(self, places: Ints, own: int, then: int) -> tuple[float, Ints, float] | None:
        """Return within how many seconds `then` follows these places, where, and how surely; None where it does not."""
        best: tuple[float, Ints, float] | None = None
        for within in WITHIN:
            after = self._next.of(places, then, self._count, within)
            seen = after >= 0
            if seen.sum() < max(LEAST, SHARE * len(places)) or self._device(own) == self._device(then):
                continue
            before = self._last.of(places, then, self._count, within) >= 0
            sure = self._sure(seen, before, places, then, within)
            if sure > (best[2] if best else self.needed):
                best = within, after, sure
        return best

    def _longer(self, chain: Chain, lasts: Flags) -> Chain | None:
        """Return a chain with what most surely follows its end, None where nothing does."""
        used = {self._device(pair) for pair in chain.pairs}
        best: Chain | None = None
        for then in np.flatnonzero(self._often[chain.pairs[-1]] & lasts).tolist():
            link = None if self._device(then) in used else self._link(chain.places[:, -1], chain.pairs[-1], then)
            if link is None or (best is not None and link[2] <= best.sure):
                continue
            within, places, sure = link
            kept = places >= 0
            longer = np.column_stack([chain.places, places])[kept]
            best = Chain((*chain.pairs, then), (*chain.within, within), longer, chain.of, sure)
        if best is None or len(best.places) < SHARE * best.of:
            return None
        return Chain(best.pairs, best.within, best.places, best.of, min(best.sure, chain.sure))

    def _sure(self, seen: Flags, other: Flags, places: Ints, pair: int, within: float) -> float:
        """Return the nats by which a pair is seen on one side of these places more than around them and than beyond."""
        time, at = self._past.time[self._past.places[pair]], self._past.time[places]
        around = np.searchsorted(time, at + AROUND, "right") - np.searchsorted(time, at - AROUND, "left")
        chance = -np.expm1(-float(around.mean()) * within / (2 * AROUND))
        beyond = float(other.sum())
        usual = np.array(max(chance, (beyond + beyond**0.5) / len(places)))  # a count is uncertain by its root
        return float(nats(np.array(float(seen.sum())), np.array(float(len(places))), usual))

    def _device(self, pair: int) -> str:
        return self._past.pairs[pair][0]


def _first(keys: Ints, other: Ints, apart: Floats) -> _Near:
    """Keep the nearest of each key; they come in order of nearness."""
    found, at = np.unique(keys, return_index=True)
    return _Near(found, other[at], apart[at])
