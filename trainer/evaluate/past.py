"""What a home did in its training days, counted: what is usual there, and what never was."""

from collections import Counter, defaultdict
from collections.abc import Sequence as Items
from dataclasses import dataclass
from datetime import datetime, tzinfo

import numpy as np
from numpy.typing import NDArray

from edge.core.behaviors import Behavior
from edge.core.devices import kind_of
from edge.core.prompts import Pair
from trainer.homes.noise import SENSING

# Occurrences of what can be odd: what none of n was, is less than a share 3/n of what is normal (rule of three, 95 %).
LEAST_SEEN = 60
USUAL = 0.03  # share of its occurrences that lie in the hour or beside it
RARE, NEAR = 0.001, 2  # share of a control's occurrences within so many hours
BY_CHANCE = 10.0  # times that what never happened would have happened if nothing hung on what came before
Hours = NDArray[np.int64]
Run = tuple[Pair, Pair]  # the controls that start and stop a device


@dataclass(frozen=True)
class Past:
    """What a home did: how often by local hour, what followed what, how many acts a minute had, how long it was on."""

    hours: dict[Pair, Hours]
    devices: dict[str, Hours]
    follows: Counter[tuple[Pair, Pair]]
    burst: dict[str, int]
    longest: dict[Run, float]
    count: int

    @classmethod
    def of(cls, behaviors: Items[Behavior], zone: tzinfo) -> "Past":
        """Count the training days."""
        hours: dict[Pair, Hours] = defaultdict(lambda: np.zeros(24, np.int64))
        devices: dict[str, Hours] = defaultdict(lambda: np.zeros(24, np.int64))
        follows: Counter[tuple[Pair, Pair]] = Counter()
        acts: dict[str, list[tuple[float, str]]] = defaultdict(list)
        before: Pair | None = None
        for each in behaviors:
            pair, hour = (each.device, each.control), local(each.time, zone).hour
            hours[pair][hour] += 1
            devices[each.device][hour] += 1
            acts[each.device].append((each.time, each.control))
            if before is not None:
                follows[before, pair] += 1
            before = pair
        burst = {device: _burst([time for time, _ in found]) for device, found in acts.items()}
        longest = {key: most for device, found in acts.items() for key, most in _runs(device, found)}
        return cls(dict(hours), dict(devices), follows, burst, longest, len(behaviors))

    def share(self, pair: Pair, hour: int, near: int) -> float:
        """Return which share of a control's occurrences lies within `near` hours of an hour."""
        return _within(self.hours[pair], hour, near) / int(self.hours[pair].sum())

    def usual(self, pair: Pair, hour: int) -> bool:
        """Tell whether a control is usual at an hour."""
        return self.share(pair, hour, 1) >= USUAL

    def wrong(self, pair: Pair, hour: int) -> bool:
        """Tell whether an hour is the wrong moment for a control."""
        return self.share(pair, hour, NEAR) < RARE

    def unused(self, device: str, hour: int) -> bool:
        """Tell whether a device never acts at an hour or beside it."""
        return _within(self.devices[device], hour, 1) == 0

    def never(self, before: Pair, after: Pair) -> bool:
        """Tell whether a control never came right after another, though chance would have had it."""
        expected = float(self.hours[before].sum()) * float(self.hours[after].sum()) / self.count
        return (before, after) not in self.follows and expected >= BY_CHANCE

    def frequent(self) -> list[Pair]:
        """Return the controls seen often enough, in a fixed order."""
        return sorted(pair for pair, hours in self.hours.items() if hours.sum() >= LEAST_SEEN)


def local(time: float, zone: tzinfo) -> datetime:
    """Return the local time of an instant."""
    return datetime.fromtimestamp(time, zone)


def _within(hours: Hours, hour: int, near: int) -> int:
    return int(sum(hours[(hour + apart) % 24] for apart in range(-near, near + 1)))


def _burst(times: Items[float]) -> int:
    """Return the most times that lie within a minute."""
    begins = np.searchsorted(times, np.array(times) - 60.0)
    return int((np.arange(len(times)) - begins).max()) + 1


def _runs(device: str, acts: Items[tuple[float, str]]) -> list[tuple[Run, float]]:
    """Return the control that starts a device and the one that stops it, with the longest time between; or nothing.

    They are the two most usual, and four of five times the stop is what the device does next. Of the two ways to say
    which is which, the one with the shorter times stands.
    """
    if kind_of(device) in SENSING or len(acts) < 2 * LEAST_SEEN:
        return []
    usual = [control for control, _ in Counter(control for _, control in acts).most_common(2)]
    found: list[tuple[float, float, Run]] = []
    for start, stop in (usual, usual[::-1]) if len(usual) == 2 else ():
        after = [(acts[at + 1][1] == stop, acts[at + 1][0] - time) for at, (time, each) in enumerate(acts[:-1])
                 if each == start]  # fmt: skip
        lasted = [seconds for stopped, seconds in after if stopped]
        if len(lasted) >= LEAST_SEEN and len(lasted) >= 0.8 * len(after):
            found.append((float(np.median(lasted)), max(lasted), ((device, start), (device, stop))))
    return [(key, most) for _, most, key in sorted(found)[:1]]
