"""Catches up with the record while no agent runs: learns what is recorded and makes the model the current one.

What the agent does beside its fast loop (edge/jobs.py), once and in this process: it then scores from its first minute.
"""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from edge import compose
from edge.calibrator import Calibrator
from edge.choices import Choices
from edge.core.vocabulary import CONTROL_ROWS, DEVICE_ROWS, FIRST
from edge.history import gather
from edge.jobs import REPLAYED
from edge.learning import Model, Outcome
from edge.nightly import Nightly
from edge.probation import Probation
from edge.scenery import Scenery
from edge.settings import Settings
from edge.slots import Slots
from edge.store import Store
from edge.synthesis import Progress

KEEP = 4  # slots, as the agent keeps
MOST_DEVICES, MOST_CONTROLS = DEVICE_ROWS - FIRST, CONTROL_ROWS - FIRST


@dataclass(frozen=True)
class Caught:
    """What learning came to: the slot that scores now ("" for none), the report, and how far alerts are off."""

    slot: str
    report: dict[str, Any]
    calibrating: dict[str, Any] | None = None


def catch_up(settings: Settings, store: Store, now: float, on_progress: Progress | None = None) -> Caught:
    """Learn on what the store holds, through the gate where a model is there already. Raises ArtifactError, StoreError.

    `now`: seconds since the epoch; a record that ended long ago is learned as of its end. The caller holds the lock of
    the data directory.
    """
    slots = Slots(settings.data.directory / "slots")
    slow = compose.slow_loop(settings, slots, threading.Event())
    calibrator, scenery = Calibrator(store), Scenery(store, settings.home, notice=False)
    alarms = Choices(store, settings.model.alarms_per_week, scenery.scene).alarms_per_week
    slow.plan, calibrator.wanted = replace(slow.plan, alarms_per_week=alarms), alarms
    nightly = Nightly(store, store, settings.home.zone, settings.learn.hour)
    incumbent = calibrator.taken_up(slow.open(slots.load_healthy().name)) if slots.names() else None
    home = gather(store, settings.home.zone, compose.known_dictionary(settings.home.dictionary), scenery.since)
    now = _as_of(store, now)
    marks = nightly.marks()
    outcome = slow.learn(home, scenery.scene, now, incumbent, on_progress)
    nightly.learned(marks)  # behind it: what is broken off is learned the next time
    model = _taken(outcome, incumbent, calibrator, slots)
    if outcome.model is not None:
        shadow = incumbent.slot if outcome.trial and incumbent else None
        Probation(store, settings.adapt.probation_days).begin(shadow, now)
    store.add_adaptation(now, str(scenery.scene), outcome.report)
    slots.prune(keep=KEEP)
    if model is None:
        return Caught("", outcome.report)
    return Caught(model.slot, outcome.report, calibrator.progress(model))


def unlearned(settings: Settings, store: Store) -> bool:
    """Tell whether there is something to learn: no model is there, or what is recorded is worth another."""
    slots = Slots(settings.data.directory / "slots")
    return not slots.names() or Nightly(store, store, settings.home.zone, settings.learn.hour).worth()


def crowded(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return the devices that a model has no room for, the least used last; [] where all fit.

    `pairs`: (device, control) of every behavior.
    """
    uses = Counter(pairs)
    devices: Counter[str] = Counter()
    controls: Counter[str] = Counter()
    for (device, _), count in uses.items():
        devices[device] += count
        controls[device] += 1
    left, kept, room = [], 0, MOST_CONTROLS
    for device, _ in devices.most_common():
        if kept < MOST_DEVICES and controls[device] <= room:
            kept, room = kept + 1, room - controls[device]
        else:
            left.append(device)
    return left


def _taken(outcome: Outcome, incumbent: Model | None, calibrator: Calibrator, slots: Slots) -> Model | None:
    return incumbent if outcome.model is None else calibrator.keep(outcome, slots.names())


def _as_of(store: Store, now: float) -> float:
    """Return the home's now: the newest behavior's time where that lies long back."""
    newest = max((each.time for _, each in store.behaviors_with_ids(after=max(0, store.newest() - 1))), default=now)
    return now if 0 <= now - newest < REPLAYED else newest
