"""What a home did, counted: evidence that a behavior is far from all of it, beside what the network foretells.

A network finds every rare thing surprising; whether a thing was ever done at this hour, so soon, so often or for so
long is told better by counts. Each kind of evidence is in nats: minus the logarithm of the share of what was done
before that was as odd, with half an occurrence added to what was counted (Krichevsky and Trofimov 1981).

moment   this control within two hours of this time of day
device   this device within an hour of this time of day
hour     anything at all within an hour of this time of day
order    this control right after the one before it, against chance; less than LINKED apart, also the ORDERED before
pace     so many acts of this device within PACE
length   so long from a device's start to its stop

Where times are known to three hours only, as in data sets, only `hour` says anything. `novelty` is what a control that
was never used surprises by: the share of what was done once (Good 1953, Turing's estimate), divided among all such.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence as Items
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import ArtifactError
from edge.core.sequences import LENGTH, Sequence, own
from edge.core.vocabulary import UNKNOWN, Vocabulary

Pair = tuple[str, str]  # (device id, control)
Floats = NDArray[np.float32]
PARTS = ("moment", "device", "hour", "order", "pace", "length")
AROUND, NEAR = 2, 1  # hours
LINKED, ORDERED = 60.0, 3
PACE = 60.0  # seconds
GRID = 33  # quantiles of the times from start to stop that are kept
LEAST_RUNS = 10  # stops from which on their times say anything
BEYOND = 3.0  # nats for each time a duration is e times the longest ever: durations have such tails
POSSIBLE = 0.01  # of an occurrence at each hour: what may be done though nobody has yet is not new
_HEAD = 5
_HOURS = 24


class _Lived(NamedTuple):
    """One own step of a sequence, as the counts see it: ids, and what came before (None: nothing, or not known)."""

    control: int
    device: int
    hour: int
    before: tuple[int, ...]  # controls of the chain that ends here, the newest last, without its own
    acts: int | None  # of the device within PACE, this one included
    since: float | None


@dataclass(frozen=True)
class Memory:
    """The counts.

    `hours` (R, 24) and `stops` (R, 1 + GRID: how many, their quantiles) by control id, `owner` (R,) its device's id,
    `paces` (D, LENGTH) by device id and acts in a minute, `follows` {(control, next): times}, `novelty` in nats.
    """

    hours: Floats
    owner: NDArray[np.int64]
    paces: Floats
    stops: Floats
    follows: dict[tuple[int, int], float]
    novelty: float

    @classmethod
    def of(cls, sequences: Items[Sequence], vocabulary: Vocabulary, possible: Items[Pair] = ()) -> "Memory":
        """Count what was done in sequences; what the vocabulary does not name is left out.

        `possible`: what may be done in the scene though nobody has done it yet.
        """
        rows, devices = UNKNOWN + 1 + len(vocabulary.controls), UNKNOWN + 1 + len(vocabulary.devices)
        hours, owner = np.zeros((rows, _HOURS), np.float32), np.zeros(rows, np.int64)
        paces = np.zeros((devices, LENGTH), np.float32)
        follows: Counter[tuple[int, int]] = Counter()
        times: defaultdict[int, list[float]] = defaultdict(list)
        for device, control in vocabulary.controls:
            owner[vocabulary.control_id(device, control)] = vocabulary.device_id(device)
        for sequence in sequences:
            for step in _steps(sequence, vocabulary):
                if step.control == UNKNOWN:
                    continue
                hours[step.control, step.hour] += 1
                if step.acts is not None:
                    paces[step.device, step.acts - 1] += 1
                if step.before:
                    follows[step.before[-1], step.control] += 1
                if step.since is not None:
                    times[step.control].append(step.since)
        times_used = hours.sum(1)
        once, new = int((times_used == 1).sum()), len(vocabulary.controls) - int((times_used > 0).sum())
        novelty = float(np.log((times_used.sum() + 1) / (once + 1)) + np.log(max(new, 1)))
        for pair in possible:
            row = vocabulary.control_id(*pair)
            hours[row] = np.maximum(hours[row], POSSIBLE)
        return cls(hours, owner, paces, _stops(times, owner), dict(follows), novelty)

    def flat(self) -> Floats:
        """Return the counts as one vector, to be kept behind a network's parameters."""
        triples = np.array([(*pair, times) for pair, times in sorted(self.follows.items())], np.float32)
        head = np.array([len(self.hours), len(self.paces), len(self.follows), GRID, self.novelty], np.float32)
        parts = (head, self.hours, self.owner, self.paces, self.stops, triples)
        return np.concatenate([np.asarray(part, np.float32).reshape(-1) for part in parts])

    @classmethod
    def read(cls, flat: Floats) -> "Memory | None":
        """Read what `flat` wrote, None of an empty vector; raises ArtifactError where it is something else."""
        if not flat.size:
            return None
        rows, devices, pairs, grid = (int(each) for each in flat[: _HEAD - 1]) if flat.size >= _HEAD else (0, 0, 0, 0)
        sizes = [rows * _HOURS, rows, devices * LENGTH, rows * (1 + GRID), pairs * 3]
        if grid != GRID or min(sizes) < 0 or _HEAD + sum(sizes) != flat.size:
            raise ArtifactError("the home's counts are not what this version keeps")
        parts = np.split(flat[_HEAD:], np.cumsum(sizes)[:-1])
        follows = {(int(a), int(b)): float(times) for a, b, times in parts[4].reshape(-1, 3)}
        owner = parts[1].astype(np.int64)
        if (owner < 0).any() or (owner >= max(devices, 1)).any():
            raise ArtifactError("the home's counts name devices that are not there")
        return cls(
            parts[0].reshape(-1, _HOURS),
            owner,
            parts[2].reshape(-1, LENGTH),
            parts[3].reshape(-1, 1 + GRID),
            follows,
            float(flat[_HEAD - 1]),
        )

    def new(self, controls: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which control ids were never used."""
        used = self.hours.sum(1) > 0
        new: NDArray[np.bool_] = ~np.where(controls < len(used), used[np.minimum(controls, len(used) - 1)], False)
        return new

    def evidence(self, sequences: Items[Sequence], vocabulary: Vocabulary) -> Floats:
        """Return (n, 6), in the order of PARTS: how far each own step, sequence after sequence, is from what was."""
        found = [self._judge(step) for sequence in sequences for step in _steps(sequence, vocabulary)]
        out = np.array(found, np.float32).reshape(-1, len(PARTS))
        if vocabulary.slots < _HOURS:
            out[:, [place for place, part in enumerate(PARTS) if part != "hour"]] = 0
        return out

    @cached_property
    def _judge(self) -> "_Judge":
        return _Judge(self)


class _Judge:
    """The counts, summed up once for many questions."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        around = [np.roll(memory.hours, shift, axis=1) for shift in range(-AROUND, AROUND + 1)]
        self._moment = -np.log((np.sum(around, axis=0) + 0.5) / (memory.hours.sum(1, keepdims=True) + 1))
        acted = np.zeros((max(len(memory.paces), 1), _HOURS), np.float32)
        np.add.at(acted, memory.owner, memory.hours)
        near = np.sum([np.roll(acted, shift, axis=1) for shift in range(-NEAR, NEAR + 1)], axis=0)
        self._device = -np.log((near + 0.5) / (acted.sum(1, keepdims=True) + 1))
        self._hour = -np.log((near.sum(0) + 0.5) / (memory.hours.sum() + 1))
        self._total = memory.hours.sum(1)
        self._all = max(float(self._total.sum()), 1.0)
        more = np.cumsum(memory.paces[:, ::-1], axis=1)[:, ::-1]
        most = LENGTH - np.argmax(memory.paces[:, ::-1] > 0, axis=1)
        beyond = np.maximum(np.arange(1, LENGTH + 1) - np.where(more[:, :1] > 0, most[:, None], LENGTH), 0)
        self._pace = -np.log((more + 0.5) / (more[:, :1] + 1)) + beyond

    def __call__(self, step: _Lived) -> tuple[float, ...]:
        known = UNKNOWN < step.control < len(self._total)
        device = UNKNOWN < step.device < len(self._memory.paces)
        return (
            float(self._moment[step.control, step.hour]) if known else 0.0,
            float(self._device[step.device, step.hour]) if device else 0.0,
            float(self._hour[step.hour]),
            self._order((*step.before, step.control)) if known else 0.0,
            float(self._pace[step.device, step.acts - 1]) if device and step.acts is not None else 0.0,
            self._length(step.control, step.since) if known and step.since is not None else 0.0,
        )

    def _order(self, chain: tuple[int, ...]) -> float:
        """Return how much rarer than by chance the successions of a chain are, those that are."""
        odd = 0.0
        for before, after in pairwise(chain):
            if max(before, after) < len(self._total):
                expected = float(self._total[before] * self._total[after]) / self._all
                seen = self._memory.follows.get((before, after), 0.0)
                odd += max(0.0, float(np.log((expected + 0.5) / (seen + 0.5))))
        return odd

    def _length(self, control: int, since: float) -> float:
        count, *rest = self._memory.stops[control].tolist()
        grid = np.array(rest)
        if not count:
            return 0.0
        if since > grid[-1]:
            as_long, beyond = 0.0, BEYOND * float(np.log(max(since, 1.0) / max(float(grid[-1]), 1.0)))
        else:
            place = int(np.searchsorted(grid, since))  # the first quantile that is not shorter
            between = (since - grid[place - 1]) / (grid[place] - grid[place - 1]) if place else 1.0
            as_long, beyond = max(1.0, count * (1 - (place - 1 + float(between)) / (GRID - 1))), 0.0
        return float(-np.log((as_long + 0.5) / (count + 1))) + beyond


def _steps(sequence: Sequence, vocabulary: Vocabulary) -> list[_Lived]:
    """Return the own steps of a sequence with what the counts look at before each."""
    steps = sequence[-LENGTH:]
    ids = [vocabulary.control_id(step.device, step.control) for step in steps]
    elapsed = np.cumsum([0.0, *(step.gap or 0.0 for step in steps[1:])])
    out = []
    for place in own(sequence):
        step = steps[place]
        first = place
        while (
            first > 0
            and place - first < ORDERED
            and ids[first - 1] != UNKNOWN
            and (first == place or _linked(steps[first].gap))
        ):
            first -= 1
        acts = None
        if place == 0 or step.gap is not None:
            acts = sum(
                each.device == step.device and elapsed[place] - at <= PACE
                for each, at in zip(steps[: place + 1], elapsed, strict=False)
            )
        device = vocabulary.device_id(step.device)
        out.append(_Lived(ids[place], device, step.hour, tuple(ids[first:place]), acts, step.since))
    return out


def _linked(gap: float | None) -> bool:
    return gap is not None and gap < LINKED


def _stops(times: dict[int, list[float]], owner: NDArray[np.int64]) -> Floats:
    """Return for each control how many times it stopped its device and the quantiles of how long that had been on.

    The one control of a device whose times since the act before it are shortest is its stop: what comes before a start
    is a wait, and says nothing.
    """
    out = np.zeros((len(owner), 1 + GRID), np.float32)
    stops: dict[int, tuple[float, int]] = {}
    many = {control: seen for control, seen in times.items() if len(seen) >= LEAST_RUNS}
    alone = Counter(int(owner[control]) for control in many)
    for control, seen in many.items():
        device = int(owner[control])
        if alone[device] > 1:
            stops[device] = min(stops.get(device, (np.inf, 0)), (float(np.median(seen)), control))
    for _, control in stops.values():
        out[control] = [len(many[control]), *np.quantile(many[control], np.linspace(0, 1, GRID))]
    return out
