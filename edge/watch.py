"""The fast loop: message -> event -> behavior -> sequence -> score -> verdict -> alert.

A batch of messages is made durable in one commit, then acknowledged, then scored: a crash in between loses a
score, never a behavior.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Sequence as Items
from datetime import tzinfo
from typing import Any, Protocol

from edge.adapt import Model
from edge.alerts import Alerts, Keeping
from edge.core.behaviors import Behavior, Entry, States
from edge.core.calibration import drifting
from edge.core.census import Census
from edge.core.devices import Device
from edge.core.errors import MessageError
from edge.core.events import CLOCK_SET, Event, Message
from edge.core.flicker import FLICKERING, Flicker
from edge.core.gate import Trial
from edge.core.sequences import Window
from edge.core.verdicts import UNUSUAL, Alert, Verdict

RECENT = 100  # finished sequences the drift of the scores is judged on


class Dialect(Protocol):
    """Reads one kind of messages (edge/dialects)."""

    def events(self, message: Message) -> list[Event]:
        """Return what a message says happened; raises MessageError."""
        ...


class Recording(Keeping, Protocol):
    """Where everything that happened is kept (edge/store.py)."""

    def known(self, message: Message) -> bool:
        """Tell whether a message is one the broker sent before and `record` has taken."""
        ...

    def record(self, batch: Items[Entry]) -> list[list[int]]:
        """Make a batch durable; return the row ids of its behaviors."""
        ...

    def add_scores(self, scores: Mapping[int, float]) -> None:
        """Keep scores by behavior row."""
        ...


class Watch:
    """Hears the home. `model` may be replaced between two batches; `shadow` scores beside it and alerts nobody."""

    def __init__(
        self,
        store: Recording,
        acknowledge: Callable[[Items[Message]], None],
        publish: Callable[[str, Mapping[str, Any]], None],
        dialect: Dialect,
        zone: tzinfo,
        *,
        alerts: Alerts | None = None,
    ) -> None:
        """Take what it works with; `alerts` by the settings, else with their defaults."""
        self._store = store
        self._acknowledge = acknowledge
        self._publish = publish
        self._dialect = dialect
        self._zone = zone
        self.states = States()
        self.census = Census()
        self.flicker = Flicker()
        self.behind = False  # whether what is heard may be a backlog, whose times of arrival say nothing
        self.alerts = alerts or Alerts(store, publish, zone)
        self.window = Window()
        self.model: Model | None = None
        self.meet: Callable[[], None] | None = None  # called before a device is scored that the model does not name
        self.shadow: Model | None = None
        self.trials: list[Trial] = []
        self.scored = 0
        self._fresh: list[str] = []  # devices that acted for the first time since somebody asked
        self._unusual = False  # whether anything in the window was, told or not
        self._alarms: deque[bool] = deque(maxlen=RECENT)  # of the newest finished sequences

    @property
    def devices(self) -> dict[str, Device]:
        """The devices by id."""
        return self.alerts.devices

    def swap(self, model: Model) -> None:
        """Score with another model from the next behavior on."""
        self.model = model
        self._fresh.clear()  # what acted until now is what the model was made of
        self._alarms.clear()
        self.trials.clear()

    def take_fresh(self) -> list[str]:
        """Return the devices that acted for the first time since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def drifting(self) -> bool:
        """Tell whether sequences alarm far more often than the model was calibrated for."""
        return self.model is not None and drifting(sum(self._alarms), len(self._alarms), self.model.limits.alpha)

    def handle(self, messages: Items[Message]) -> int:
        """Take a batch through the whole loop; return how many behaviors it held. Raises StoreError."""
        entries = [self._entry(message) for message in messages]
        rows = self._store.record(entries)
        self._acknowledge(messages)
        count = 0
        for entry, ids in zip(entries, rows, strict=True):
            for behavior, row in zip(entry.behaviors, ids, strict=False):
                self.live(behavior, row, entry.message.time)
                count += 1
        for begun in self.flicker.take_begun():
            if self.model is not None:
                self.alerts.flicker(begun, self.model, messages[-1].time)
        return count

    def describe(self, devices: Iterable[Device]) -> list[Device]:
        """Take in devices that a source has described, acting or not; return those there is a place for."""
        seated = [device for device in devices if self.census.seat(device.id)]
        self.devices.update({device.id: device for device in seated})
        return seated

    def take_gone(self) -> list[str]:
        """Forget who has given up a place since the last call, and return them: the record may, too."""
        gone = self.census.take_gone()
        if left := set(gone):
            self.states.values = {key: value for key, value in self.states.values.items() if key[0] not in left}
            for device in gone:
                self.devices.pop(device, None)
        return gone

    def live(self, behavior: Behavior, row: int, heard: float) -> None:
        """Put a durable behavior into its sequence, score it, and alert where it is unusual.

        `heard`: when, by the wall clock; mutes go by it.
        """
        before = self.window
        if self._lived(behavior) and before.steps:
            self._finish(before)
        if self.meet is not None and self.model and behavior.device not in self.model.scorer.vocabulary.devices:
            self.meet()
        if self.model is not None:
            verdict = self._verdict(self.model, behavior, row, heard)
            self._unusual |= verdict.unusual
            if verdict.score is not None:
                self._store.add_scores({row: verdict.score})
            told = self._told(behavior, verdict, self.model)
            self._publish("behavior", told)
            self.alerts.take(verdict, self.window, told)
        self.alerts.habits.add(behavior)

    def take_up(self, lived: Iterable[tuple[int, Behavior]], alerts: Iterable[Alert], now: float) -> None:
        """Take up what was lived, by row, and what was told of it; no alert is repeated. `now`: wall clock."""
        alarmed = self.alerts.take_up(alerts, now)
        for row, behavior in lived:
            if self._lived(behavior):
                self._unusual = False
            if row in alarmed:
                self.alerts.alarmed(self.window)
            self._unusual |= row in alarmed
            self.alerts.habits.add(behavior)

    def _lived(self, behavior: Behavior) -> bool:
        """Put a behavior into its sequence; tell whether that is a new one."""
        self.window = self.window.extended(behavior, self._zone)
        self.alerts.follow(self.window)
        return self.window.begun()

    def _entry(self, message: Message) -> Entry:
        """Read a message; what cannot be read is counted by its reason and kept nowhere."""
        if self._store.known(message):
            return Entry(message)  # taken before the broker sent it again: the store counts it, nothing lives it
        try:
            events = self._dialect.events(message)
        except MessageError as error:
            return Entry(message, rejected=error.reason)
        if any(event.live and event.time < CLOCK_SET for event in events):
            return Entry(message, rejected="clock not set")
        if stranger := next(filter(None, (self.census.refuses(event, message.time) for event in events)), ""):
            return Entry(message, rejected=stranger)
        behaviors = [found for event in events if (found := self.states.behavior(event)) is not None]
        if not self.behind and sum(map(self.flicker.leaves_aside, behaviors)):
            return Entry(message, rejected=FLICKERING)
        for behavior in behaviors:
            self.census.acted(behavior.device)
        for event in events:
            if event.device not in self.devices and any(each.device == event.device for each in behaviors):
                self._fresh.append(event.device)
            if event.device not in self.devices:
                self.devices[event.device] = Device(event.device, event.name, event.kind)
        return Entry(message, tuple(events), tuple(behaviors))

    def _verdict(self, model: Model, behavior: Behavior, row: int, heard: float) -> Verdict:
        if self.alerts.excluded(behavior.device):
            return self.alerts.unjudged()
        self.scored += 1
        return self.alerts.verdict(behavior, row, self.window, model, heard)

    def _finish(self, window: Window) -> None:
        """Count a finished sequence; score it with both models while one is on probation."""
        self._alarms.append(self._unusual)
        self._unusual = False
        if self.model is not None and self.shadow is not None:
            candidate, incumbent = (float(each.scorer.scores([window.steps])[0]) for each in (self.model, self.shadow))
            self.trials.append(Trial(window.last, candidate, incumbent))

    def _told(self, behavior: Behavior, verdict: Verdict, model: Model) -> dict[str, Any]:
        likely = model.scorer.predict(self.window.steps, 3)
        return {
            "t": behavior.time,
            "device": behavior.device,
            "control": behavior.control,
            "score": None if verdict.score is None else round(verdict.score, 3),
            "threshold": UNUSUAL,
            "unusual": verdict.unusual,
            "quiet": verdict.quiet,
            "next": [{"device": pair[0], "control": pair[1], "probability": round(p, 3)} for pair, p in likely],
            "model": model.slot,
        }
