"""Days lived again through the hub's fast loop, as fast as whole batches score.

The loop itself (edge/watch.py) decides what alarms. What it asks its model is answered beforehand: its windows hang
on the behaviors alone, so a batch of them gives what the loop would have asked behavior by behavior.
"""

import copy
from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.adapt import Model
from edge.core.behaviors import Behavior, Entry
from edge.core.calibration import PARTS, Limits
from edge.core.events import Message
from edge.core.metrics import Foretold
from edge.core.sequences import LENGTH, Sequence, Step, Window
from edge.core.verdicts import SENT, Alert
from edge.core.vocabulary import CONTROL_ROWS, Vocabulary
from edge.replay import Silent
from edge.scorer import Newest
from edge.watch import Watch
from trainer.evaluate.injections import Injection

Floats = NDArray[np.floating]
NEXT = 3  # behaviors after an anomaly's last odd one on which an alarm still counts for it
_ALIKE = np.zeros(CONTROL_ROWS, np.float32)  # what was expected instead: an alert says it, and nobody reads it here


@dataclass(frozen=True)
class Lived:
    """Behaviors in order of time, each with the window before it; `windows` has one more, the last one's own."""

    behaviors: tuple[Behavior, ...]
    windows: tuple[Window, ...]
    zone: tzinfo

    @classmethod
    def after(cls, earlier: Items[Behavior], behaviors: Items[Behavior], zone: tzinfo) -> "Lived":
        """Live behaviors that follow on earlier ones."""
        window = Window()
        for behavior in earlier:
            window = window.extended(behavior, zone)
        return cls.on(window, behaviors, zone)

    @classmethod
    def on(cls, before: Window, behaviors: Items[Behavior], zone: tzinfo) -> "Lived":
        """Live behaviors in an open window, which stays as it is."""
        windows = [copy.deepcopy(before)]
        seen = dict(before.seen)
        for behavior in behaviors:
            windows.append(replace(windows[-1], seen=seen).extended(behavior, zone))
        return cls(tuple(behaviors), tuple(windows), zone)

    @property
    def steps(self) -> list[Step]:
        """The step each behavior is."""
        return [window.steps[-1] for window in self.windows[1:]]

    def sequences(self) -> list[Sequence]:
        """Return the sequences they are lived in; the first one's first own steps may have come before them."""
        out: list[Sequence] = []
        for window in self.windows[1:]:
            if window.begun() or not out:
                out.append(window.steps)
            else:
                out[-1] = window.steps
        return out

    def contexts(self) -> list[Sequence]:
        """Return for each behavior the steps of the window before it, carried, and its own."""
        return [
            (*(replace(step, carried=True) for step in before.steps[1 - LENGTH :]), after.steps[-1])
            for before, after in zip(self.windows, self.windows[1:], strict=False)
        ]


class Answers:
    """A model whose answers are known: the surprise (n, len(PARTS)) of the behaviors, in the order the loop asks."""

    def __init__(self, surprise: Floats, vocabulary: Vocabulary) -> None:
        """Take the answers."""
        self.vocabulary = vocabulary
        self._surprise = iter(surprise.tolist())

    def newest(self, _sequence: Sequence) -> Newest:
        """Return the surprise of the next behavior."""
        return Newest(tuple(next(self._surprise)), _ALIKE, _ALIKE, _ALIKE)

    def surprise(self, _sequences: Items[Sequence]) -> list[Floats]:
        """Return nothing: no loop that only hears asks for it."""
        raise NotImplementedError

    def scores(self, _sequences: Items[Sequence]) -> Floats:
        """Return nothing: nothing is on probation."""
        raise NotImplementedError

    def predict(self, _sequence: Sequence, _k: int = 10) -> list[tuple[tuple[str, str], float]]:
        """Return no prediction: what an alert says is not looked at."""
        return []

    def foretold(self, _sequences: Items[Sequence]) -> Foretold:
        """Return nothing: no loop that only hears asks for it."""
        raise NotImplementedError


class Alarms:
    """A store that keeps alerts, by the place of the behavior that raised each."""

    def __init__(self) -> None:
        """Begin with none."""
        self.places: list[int] = []

    def add_alert(self, alert: Alert) -> int:
        """Keep where it was, if somebody was told."""
        if alert.state == SENT and alert.behavior is not None:
            self.places.append(alert.behavior)
        return len(self.places)

    def note_alert(self, _alert: Alert) -> None:
        """Keep nothing: nobody was told."""

    def alert(self, _number: int) -> Alert | None:
        """Return none: nobody says anything of it."""
        return None

    def mark_alert(self, _alert: int, _state: str) -> bool:
        """Tell that there is none to mark."""
        return False

    def fact(self, _key: str, default: Any = None) -> Any:
        """Return what is said where nothing is known."""
        return default

    def set_fact(self, _key: str, _value: Any) -> None:
        """Keep nothing."""

    def known(self, _message: Message) -> bool:
        """Tell that no message was heard before."""
        return False

    def record(self, batch: Items[Entry]) -> list[list[int]]:
        """Keep nothing."""
        return [[] for _ in batch]

    def add_scores(self, _scores: Mapping[int, float]) -> None:
        """Keep nothing."""


def alarms(lived: Lived, surprise: Floats, limits: Limits, vocabulary: Vocabulary) -> list[int]:
    """Return the places of the behaviors at which the hub alarms. `surprise`: (n, len(PARTS)) nats of each behavior."""
    store = Alarms()

    def unheard(*_: Any) -> None:
        """Acknowledge and publish to nobody."""

    watch = Watch(store, unheard, unheard, Silent(), lived.zone)
    watch.window = copy.deepcopy(lived.windows[0])
    watch.swap(Model("", "", Answers(surprise, vocabulary), limits))
    for place, behavior in enumerate(lived.behaviors):
        watch.live(behavior, place, behavior.time)
    return store.places


def merged(behaviors: Items[Behavior], injected: Items[Injection]) -> tuple[list[Behavior], list[tuple[int, int]]]:
    """Return the behaviors with anomalies among them, and for each anomaly its first and last odd one's place."""
    rows = [(each.time, 0, -1, 0, each) for each in behaviors]
    rows += [
        (each.time, 1, number, place, each)
        for number, injection in enumerate(injected)
        for place, each in enumerate(injection.behaviors)
    ]
    rows.sort(key=lambda row: row[:4])
    odd: list[list[int]] = [[] for _ in injected]
    for place, (_, _, number, part, _) in enumerate(rows):
        if number >= 0 and part in injected[number].odd:
            odd[number].append(place)
    return [row[4] for row in rows], [(min(places), max(places)) for places in odd]


def found(places: Items[int], odd: Items[tuple[int, int]]) -> list[bool]:
    """Tell of each anomaly whether an alarm lies on an odd behavior of it, between, or on one of the NEXT after."""
    told = np.array(sorted(places), np.int64)
    return [bool(np.searchsorted(told, last + NEXT, "right") > np.searchsorted(told, first)) for first, last in odd]


def newest_surprise(found_by: Items[Floats], count: int) -> Floats:
    """Return the surprise (count, len(PARTS)) of the newest `count` own steps of sequences (steps, len(PARTS)) each."""
    rows = np.concatenate([np.empty((0, len(PARTS)), np.float32), *found_by])
    return rows[len(rows) - count :]
