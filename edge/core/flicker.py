"""Devices that flicker: a loose contact, a dying battery, or somebody who wants the guard to look away.

A device that acts more often than anybody uses one is told once and left aside: it would fill the record, teach the
model its own fault and spend the alerts of everything else. What flickers a few times (SmartGuard's SD) is far below
that: it is recorded and judged like all that is done.
"""

from dataclasses import dataclass

from edge.core.behaviors import Behavior
from edge.core.bucket import Bucket
from edge.core.recent import Recent

FLICKERING = "flickering"  # the reason that is counted
BURST = 120  # behaviors of one device at once: a dimmer turned for half a minute
REFILL = 5.0  # seconds after which it may act once more; all day long, 720 times an hour
CALM = BURST / 2  # how much it must be allowed again before it is looked at: five minutes of quiet


@dataclass(frozen=True, slots=True)
class Begun:
    """A device has begun to flicker with `behavior`: it acted `count` times within `seconds`."""

    behavior: Behavior
    count: int
    seconds: float

    @property
    def score(self) -> float:
        """How many times as often as a device may act for long."""
        return self.count * REFILL / max(self.seconds, 1.0)


@dataclass(slots=True)
class _Device:
    bucket: Bucket
    began: float  # when all was allowed last
    count: int = 0  # how often it acted since
    flickers: bool = False


class Flicker:
    """How often each device has acted lately, by the times of its behaviors."""

    def __init__(self) -> None:
        self._devices: Recent[str, _Device] = Recent()
        self._begun: list[Begun] = []

    def leaves_aside(self, behavior: Behavior) -> bool:
        """Take a behavior in; tell whether its device flickers."""
        device, time = behavior.device, behavior.time
        found = self._devices.setdefault(device, _Device(Bucket.full(BURST, REFILL, time), time))
        found.bucket.fill(time)
        if found.bucket.left >= BURST:
            found.began, found.count = time, 0
        found.count += 1
        if found.flickers and found.bucket.left >= CALM:
            found.flickers = False
        allowed = found.bucket.take(time)
        if not allowed and not found.flickers:
            found.flickers = True
            self._begun.append(Begun(behavior, found.count, max(0.0, time - found.began)))
        return found.flickers

    def take_begun(self) -> list[Begun]:
        """Return what has begun to flicker since the last call."""
        begun, self._begun = self._begun, []
        return begun
