"""The store's record to what the slow loop works on: a home, its dictionary and its sequences."""

from collections import deque
from collections.abc import Iterable
from datetime import tzinfo
from typing import Any, Protocol

from edge.core.behaviors import Behavior
from edge.core.devices import Device
from edge.core.dictionary import Dictionary
from edge.core.sequences import Sequence, split
from edge.synthesis import Home

RECENT = 20_000  # behaviors looked at, the newest: about three months of a lively home
WEEK = 7 * 86400.0


class Records(Protocol):
    """What of the store is read here (edge/store.py)."""

    def behaviors_with_ids(self) -> Iterable[tuple[int, Behavior]]:
        """Return all behaviors with their row ids, in order of arrival."""
        ...

    def alerts(self) -> Iterable[Any]:
        """Return the alerts: the row of the behavior that raised each, and what became of it."""
        ...

    def devices(self) -> list[Device]:
        """Return the devices heard of."""
        ...


def gather(records: Records, zone: tzinfo, known: Dictionary) -> Home:
    """Return the home as it was lived, with what is `known` to exist there though nobody has used it yet.

    What alerted is no training data: score and learn are two verbs.
    """
    odd = {alert.behavior for alert in records.alerts() if alert.state == "sent"}
    kept = deque((behavior for row, behavior in records.behaviors_with_ids() if row not in odd), maxlen=RECENT)
    behaviors = sorted(kept, key=lambda each: each.time)
    sequences = tuple(split(behaviors, zone))
    described = {device.id: device for device in (*records.devices(), *known.devices.values())}
    lived = [(each.device, each.control) for each in behaviors]
    dictionary = Dictionary.of([*lived, *known.controls], described.values())
    weeks = (behaviors[-1].time - behaviors[0].time) / WEEK if behaviors else 0.0
    return Home(dictionary, sequences, weeks, slots_of(sequences))


def slots_of(sequences: Iterable[Sequence]) -> int:
    """Return how many times of day a home tells apart: 8 where every behavior lies on a three-hour slot, else 24."""
    hours = {step.hour for sequence in sequences for step in sequence}
    return 8 if hours and all(hour % 3 == 0 for hour in hours) else 24
