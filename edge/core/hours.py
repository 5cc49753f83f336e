"""Behaviors counted by device and hour of the day: what is told of an adaptation, real beside synthetic."""

from collections import Counter
from collections.abc import Iterable

from edge.core.sequences import Sequence
from edge.core.vocabulary import DEVICE_ROWS

MOST = DEVICE_ROWS  # devices told at most: no model names more
_HOURS = 24


def by_hour(sequences: Iterable[Sequence]) -> dict[str, list[int]]:
    """Return {device id: 24 counts} of what was done, the busiest devices first; what is carried is not done again."""
    counts: Counter[tuple[str, int]] = Counter()
    devices: Counter[str] = Counter()
    for sequence in sequences:
        for step in sequence:
            if not step.carried:
                counts[step.device, step.hour] += 1
                devices[step.device] += 1
    busiest = sorted(devices, key=lambda each: (-devices[each], each))[:MOST]
    return {device: [counts[device, hour] for hour in range(_HOURS)] for device in busiest}
