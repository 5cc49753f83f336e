"""Replaying: what was done once, lived again through the fast loop as it is now; nothing is told and nothing kept.

The loop is the agent's own (edge/watch.py), with its model, its limits and its settings. What is missing is the nights:
one model judges all of it, and what it learned from it finds usual.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from edge import compose
from edge.alerts import MUTES
from edge.core.behaviors import Behavior
from edge.core.devices import Device
from edge.core.errors import SettingsError
from edge.core.events import Event, Message
from edge.core.habits import MOST, WEEKS
from edge.core.verdicts import SENT, Alert
from edge.database import Database
from edge.importers.past import Reader
from edge.importing import IMPORTS, Importing, Rules
from edge.incumbent import Incumbent
from edge.settings import Settings
from edge.slots import Slots
from edge.store import Merged, Store
from edge.watch import Watch

_OFTEN = 64  # behaviors between two looks at how far it is
_BEFORE = WEEKS * 7 * 86400.0  # seconds before the first behavior in which the home's habits are looked up


class Silent:
    """A dialect nobody speaks: behaviors go into the loop directly."""

    def events(self, _message: Message) -> list[Event]:
        """Return none."""
        return []


class Scratch(Store):
    """A home's record, only read: what is written to it is kept here, and gone with it. No mute of today holds."""

    def __init__(self, database: Database, directory: Path) -> None:
        super().__init__(database, directory)
        self.told: list[Alert] = []
        self.past: list[Behavior] = []
        self.names: dict[str, Device] = {}
        self._written: dict[str, Any] = {MUTES: {}, IMPORTS: {}}

    def fact(self, key: str, default: Any = None) -> Any:
        """Return a fact as it was written here, else as it was before."""
        return self._written[key] if key in self._written else super().fact(key, default)

    def set_fact(self, key: str, value: Any) -> None:
        """Keep a fact here."""
        self._written[key] = value

    def add_alert(self, alert: Alert) -> int:
        """Keep an alert here; return its number among them."""
        self.told.append(replace(alert, id=len(self.told) + 1))
        return len(self.told)

    def note_alert(self, alert: Alert) -> None:
        """Keep an alert here, too, that nobody would be told of."""
        self.add_alert(alert)

    def add_scores(self, scores: Mapping[int, float]) -> None:
        """Keep none."""

    def merge(self, behaviors: Iterable[tuple[Behavior, str]], devices: Iterable[Device]) -> Merged:
        """Keep behaviors of the past here, to be lived."""
        before = len(self.past)
        self.past += [behavior for behavior, _ in behaviors]
        self.names |= {device.id: device for device in devices}
        return Merged(len(self.past) - before, 0)


@dataclass(frozen=True)
class Replayed:
    """What a replay came to.

    `learned`: when the slot's model was (seconds since the epoch); `known`: behaviors up to then. `alerts`: what was
    unusual, each with the state it would have had; `quiet`: how much was kept quiet, by reason; `weeks`: by the date of
    their Monday, (behaviors, alerts told). `shadow`: why nobody is told anything yet, "" where somebody is.
    """

    slot: str
    learned: float
    behaviors: int
    known: int
    alerts: tuple[Alert, ...]
    quiet: Mapping[str, int]
    weeks: Mapping[str, tuple[int, int]]
    shadow: str

    def told(self) -> list[Alert]:
        """Return the alerts that would have been told."""
        return [alert for alert in self.alerts if alert.state == SENT]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        alerts = [
            {"time": each.time, "state": each.state, "score": each.score, "sentence": each.sentence}
            for each in self.alerts
        ]
        weeks = {week: {"behaviors": lived, "alerts": told} for week, (lived, told) in self.weeks.items()}
        counts = {"slot": self.slot, "learned": self.learned, "behaviors": self.behaviors, "known": self.known}
        return {**counts, "alerts": alerts, "kept_quiet": dict(self.quiet), "weeks": weeks, "shadow": self.shadow}

    def summary(self) -> Iterator[str]:
        """Yield what a person reads behind the alerts: by week, what was kept quiet, what to think of it."""
        for week, (lived, told) in self.weeks.items():
            yield f"week of {week}  {told:4d} alerts  {lived:6d} behaviors"
        yield f"{len(self.told())} alerts among {self.behaviors} behaviors, judged by model {self.slot}"
        if self.quiet:
            yield f"kept quiet: {', '.join(f'{reason} {n}' for reason, n in sorted(self.quiet.items()))}"
        if self.shadow:
            yield f"nobody is told anything yet: its limits are fitted on {self.shadow}; --all shows what was unusual"
        if self.known:
            yield (
                f"{self.known} of them were done before that model learned: what it learned from, it finds usual, and "
                "what came after the days it knows says more"
            )


def read(scratch: Scratch, reader: Reader, settings: Settings, now: float) -> Mapping[str, int]:
    """Read a source of the past into a scratch store; return what was left out, by reason. Raises SettingsError.

    `now`: seconds since the epoch.
    """
    excluded = tuple(glob for each in settings.sources for glob in each.exclude)
    tally = Importing(reader, scratch, Rules(exclude=excluded), now).run()
    scratch.past.sort(key=lambda behavior: behavior.time)
    return tally.left_out


def replay(settings: Settings, scratch: Scratch, slot: str = "", tell: Callable[[int], Any] | None = None) -> Replayed:
    """Live what a scratch store has read; `slot`: instead of the one in use. Raises ArtifactError, SettingsError.

    `tell` hears how many behaviors were lived, now and then.
    """
    zone, past = settings.home.zone, scratch.past
    if not past:
        raise SettingsError("there is no behavior in it")
    watch = Watch(scratch, _unheard, _unheard, Silent(), zone, alerts=compose.alerts(settings, scratch, _unheard))
    known = compose.known_dictionary(settings.home.dictionary)
    watch.devices.update({**scratch.names, **{device.id: device for device in scratch.devices()}, **known.devices})
    incumbent, learned = _incumbent(settings, scratch, watch, slot)
    first = past[0].time
    watch.take_up(deque(scratch.behaviors_with_ids(first - _BEFORE, first), maxlen=MOST), (), first)
    for place, behavior in enumerate(past):
        watch.live(behavior, place, behavior.time)
        if tell is not None and not place % _OFTEN:
            tell(place)
    return Replayed(
        slot=watch.model.slot if watch.model else "",
        learned=learned,
        behaviors=len(past),
        known=sum(behavior.time <= learned for behavior in past),
        alerts=tuple(scratch.told),
        quiet=dict(watch.alerts.kept_quiet),
        weeks=_weeks(past, scratch.told, zone),
        shadow=watch.alerts.shadow_mode if incumbent.calibrating else "",
    )


def _incumbent(settings: Settings, scratch: Scratch, watch: Watch, slot: str) -> tuple[Incumbent, float]:
    """Have a slot score, within the limits it has now; return when it learned, too."""
    slots = Slots(settings.data.directory / "slots")
    if not slots.names():
        raise SettingsError("no model was learned yet: `sceneshift run` learns one, `sceneshift import` at once")
    incumbent = Incumbent(watch, scratch, slots)
    incumbent.slow = compose.slow_loop(settings, slots, threading.Event())
    model = incumbent.slow.open(slot or slots.load_healthy().name)
    watch.swap(incumbent.calibrator.taken_up(model))
    incumbent.judge()
    return incumbent, model.created


def _weeks(past: Items[Behavior], alerts: Items[Alert], zone: tzinfo) -> dict[str, tuple[int, int]]:
    """Count by week; one in which nothing was done has its zero, too."""
    lived = Counter(_monday(behavior.time, zone) for behavior in past)
    told = Counter(_monday(alert.time, zone) for alert in alerts if alert.state == SENT)
    first, last = min(lived), max(lived)
    weeks = [first + timedelta(days=7 * number) for number in range((last - first).days // 7 + 1)]
    return {week.isoformat(): (lived[week], told[week]) for week in weeks}


def _monday(moment: float, zone: tzinfo) -> date:
    day = datetime.fromtimestamp(moment, zone).date()
    return day - timedelta(days=day.weekday())


def _unheard(*_: Any) -> None:
    """Acknowledge and publish to nobody."""
