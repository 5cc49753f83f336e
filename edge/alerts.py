"""What becomes of an unusual behavior: explained, then told, or kept quiet with the reason; and what people say of it.

One alert a sequence. A mute that met an unusual behavior of a device holds for that device until the run of
behaviors is over, however soon the mute ends: what was going on is not told halfway through.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import Any, NamedTuple, Protocol

from edge.adapt import Model
from edge.core.behaviors import Behavior
from edge.core.calibration import PARTS
from edge.core.devices import Device
from edge.core.dictionary import Dictionary
from edge.core.errors import SettingsError
from edge.core.explanations import FLICKER, MOST_EXPECTED, Explanation, explain, likeliest
from edge.core.flicker import Begun
from edge.core.habits import Habits
from edge.core.phrases import Phrases
from edge.core.quiet import COOLDOWN, EVERYTHING, EXCLUDED, LONGEST_MUTE, MUTED, SAME_SEQUENCE, SHADOW, Quiet, fits
from edge.core.sequences import CARRIED, Window, step_of
from edge.core.verdicts import FEEDBACK, SENT, TOLD, UNUSUAL, Alert, Verdict

MUTES = "mutes"  # the fact that keeps them
FLICKERED = 6 * 3600.0  # seconds between two alerts that a device flickers; they are not charged to the budget
MOST_FLICKERED = 3  # of all devices in that time: more at once is a bridge's fault, and said by then
BLAMED = 0.5  # the own score under which a behavior is never a sequence's oddest: ten of it do not reach the limit
BEGUN = (*TOLD, SHADOW)  # states of what has made a sequence one that alarmed


class Keeping(Protocol):
    """Where alerts and small facts are kept (edge/store.py)."""

    def add_alert(self, alert: Alert) -> int:
        """Keep an alert; return its id."""
        ...

    def note_alert(self, alert: Alert) -> None:
        """Keep an alert that nobody is told of; it may be lost with the process for a second."""
        ...

    def alert(self, number: int) -> Alert | None:
        """Return an alert."""
        ...

    def mark_alert(self, alert: int, state: str) -> bool:
        """Change an alert's state; False where there is none."""
        ...

    def fact(self, key: str, default: Any = None) -> Any:
        """Return a fact."""
        ...

    def set_fact(self, key: str, value: Any) -> None:
        """Keep a fact."""
        ...


class _Oddest(NamedTuple):
    """The behavior of a sequence that is explained: its own score, its row, its why."""

    score: float
    row: int
    why: Explanation


class Alerts:
    """Decides who is told of what. `shadow_mode`: why nobody is told anything yet, "" once alerts are on."""

    def __init__(
        self,
        store: Keeping,
        publish: Callable[[str, Mapping[str, Any]], None],
        zone: tzinfo,
        quiet: Quiet | None = None,
        phrases: Phrases | None = None,
    ) -> None:
        """Take what it works with; `quiet` and `phrases` by the settings, else their defaults."""
        self._store = store
        self._publish = publish
        self.phrases = phrases or Phrases()
        self.quiet = quiet or Quiet()
        self.habits = Habits(zone)
        self._zone = zone
        self.devices: dict[str, Device] = {}
        self.shadow_mode = ""
        self.newest = 0  # the number of the alert that was told last
        self.kept_quiet: Counter[str] = Counter()  # unusual or excluded behaviors nobody was told of, by reason
        self._flickered: deque[tuple[float, str]] = deque(maxlen=MOST_FLICKERED)  # told: when, of which device
        self._run = float("-inf")  # when the run of behaviors began
        self._muted: set[str] = set()  # devices a mute met in it
        self._noted: set[tuple[str, str]] = set()  # (device, reason) kept once in a sequence
        self._since_alarm = CARRIED + 1  # behaviors since the last alarm
        self._joined = 0.0  # the sequence's score
        self._oddest: _Oddest | None = None  # of the sequence, or what was unusual last

    def device(self, name: str) -> Device:
        """Return what is known of a device."""
        return self.devices.get(name, Device(name, name, ""))

    def excluded(self, device: str) -> bool:
        """Tell whether a device is context only."""
        return self.quiet.excluded(self.device(device))

    def follow(self, window: Window) -> None:
        """Take in how the window went on: a new sequence of the same run has alarmed where it carries what alarmed."""
        self._since_alarm += 1
        if window.first != self._run:
            self._run = window.first
            self._muted.clear()
        if window.begun():
            self._noted.clear()
            self._joined, self._oddest = 0.0, None
            window.alarmed = window.steps[0].carried and self._since_alarm <= CARRIED

    def alarmed(self, window: Window) -> None:
        """Mark a window as one that has alarmed at its newest behavior."""
        window.alarmed = True
        self._since_alarm = 0

    def verdict(self, behavior: Behavior, row: int, window: Window, model: Model, heard: float) -> Verdict:
        """Judge the newest behavior of a window; `row`: where it is kept, `heard`: when, by the wall clock.

        It is unusual where it is beyond its limits, or where it takes the whole sequence beyond them; then the oddest
        of the sequence is what is explained.
        """
        newest = model.scorer.newest(window.steps)
        surprise = tuple(float(part) for part in newest.surprise)
        own, before = model.limits.score(surprise), self._joined
        if not math.isfinite(own):
            return Verdict(own)
        self._joined = model.limits.joined(before, own)
        if own > max(BLAMED, self._oddest.score if self._oddest else 0.0) or own > UNUSUAL:
            why = explain(
                behavior,
                window.steps,
                surprise,
                model.limits.parts,
                habits=self.habits,
                dictionary=Dictionary(self.devices, ()),
                expected=likeliest(newest.what_logprobs, model.scorer.vocabulary, MOST_EXPECTED + 1),
                model=model.slot,
            )
            self._oddest = _Oddest(own, row, why)
        score = self._joined if before <= UNUSUAL else own
        if score <= UNUSUAL or self._oddest is None:
            return Verdict(score)
        why = self._oddest.why
        reason = self._reason(why.device, window, behavior.time, heard)
        return Verdict(score, reason, why, self.phrases.sentence(why))

    def unjudged(self) -> Verdict:
        """Return the verdict on an excluded device's behavior."""
        self.kept_quiet[EXCLUDED] += 1
        return Verdict(None, EXCLUDED)

    def take(self, verdict: Verdict, window: Window, told: Mapping[str, Any]) -> None:
        """Keep an unusual behavior with its why, and tell it unless it is to be quiet; `told`: the message's body."""
        why = verdict.explanation
        if why is None or verdict.score is None or self._oddest is None:
            return
        time = window.last
        if verdict.quiet:
            self.kept_quiet[verdict.quiet] += 1
        if verdict.quiet != SAME_SEQUENCE and (why.device, verdict.quiet) not in self._noted:
            self._noted.add((why.device, verdict.quiet))
            state = verdict.quiet or SENT
            alert = Alert(time, self._oddest.row, verdict.score, UNUSUAL, verdict.sentence, state, explanation=why)
            if not verdict.alert:
                self._store.note_alert(alert)
            else:
                number = self.newest = self._store.add_alert(alert)
                self.quiet.charge(why.device, time)
                what = {"t": why.time, "device": why.device, "control": why.control, "explanation": why.as_json()}
                self._publish("alert", {"alert": number, "sentence": verdict.sentence, **told, **what})
        if verdict.quiet in {"", SHADOW}:
            self.alarmed(window)

    def flicker(self, begun: Begun, model: Model, heard: float) -> None:
        """Keep, and tell unless it is to be quiet, that a device has begun to flicker. `heard`: wall clock."""
        behavior = begun.behavior
        if self.excluded(behavior.device):
            return
        steps = (step_of(behavior, self._zone),)
        nothing = (0.0,) * len(PARTS)
        known = Dictionary(self.devices, ())
        why = explain(
            behavior, steps, nothing, model.limits.parts,
            habits=self.habits, dictionary=known, expected=(), model=model.slot,
        )  # fmt: skip
        why = replace(why, odd=FLICKER, since=begun.seconds)
        sentence, quiet = self.phrases.sentence(why), self._flicker_reason(behavior, heard)
        alert = Alert(behavior.time, None, begun.score, UNUSUAL, sentence, quiet or SENT, explanation=why)
        if quiet:
            self.kept_quiet[quiet] += 1
            self._store.note_alert(alert)
            return
        number = self.newest = self._store.add_alert(alert)
        self._flickered.append((behavior.time, behavior.device))
        told = {"device": behavior.device, "control": behavior.control, "score": round(begun.score, 3)}
        told |= {"threshold": UNUSUAL, "unusual": True, "quiet": "", "next": [], "model": model.slot}
        what = {"alert": number, "sentence": sentence, "t": behavior.time, "explanation": why.as_json()}
        self._publish("alert", {**what, **told})

    def _flicker_reason(self, behavior: Behavior, heard: float) -> str:
        muted = MUTED if self.quiet.muted(self.device(behavior.device), heard) else ""
        lately = [device for time, device in self._flickered if abs(behavior.time - time) < FLICKERED]
        early = COOLDOWN if behavior.device in lately or len(lately) >= MOST_FLICKERED else ""
        return self.quiet.silent or muted or (SHADOW if self.shadow_mode else early)

    def take_up(self, alerts: Iterable[Alert], now: float) -> set[int]:
        """Take up mutes and what was told lately; return the behavior rows that alarmed. `now`: wall clock."""
        self.quiet.take_up(self._store.fact(MUTES, {}), now)
        begun = set()
        for alert in alerts:
            if alert.state in TOLD:
                self.newest = max(self.newest, alert.id)
            if alert.state in TOLD and alert.explanation is not None and alert.explanation.odd == FLICKER:
                self._flickered.append((alert.time, alert.explanation.device))
            elif alert.state in TOLD and alert.explanation is not None:
                self.quiet.charge(alert.explanation.device, alert.time)
            if alert.state in BEGUN and alert.behavior is not None:
                begun.add(alert.behavior)
        return begun

    def mute(self, device: str, minutes: float, now: float) -> dict[str, Any]:
        """Mute devices by a glob from `now` (wall clock) on, 0 minutes end it; return the mutes that hold.

        Outlives a restart. Raises SettingsError for a time that is none.
        """
        if not device or len(device) > 200:
            raise SettingsError("mute needs a device: its name or id, or a glob of them")
        if not (math.isfinite(minutes) and 0 <= minutes * 60 <= LONGEST_MUTE):
            raise SettingsError("mute needs minutes: from 0, which ends it, to a year of them")
        if minutes:
            self.quiet.mute(device, now + minutes * 60, now)
        else:
            self.quiet.unmute(device)
            self._muted = {each for each in self._muted if not fits([device], self.device(each))}
        held = {each.glob: round(each.until) for each in self.quiet.mutes(now)}
        self._store.set_fact(MUTES, self.quiet.kept())
        return {"mutes": held}

    def feedback(self, number: int, said: str) -> dict[str, Any]:
        """Keep what a person says of an alert, 0: of the newest told: it acts on the next fit. Raises SettingsError."""
        number = number or self.newest
        if said not in FEEDBACK:
            raise SettingsError(f"feedback needs a verdict: {' or '.join(FEEDBACK)}")
        if not self._store.mark_alert(number, said):
            raise SettingsError(f"there is no alert {number}" if number else "there is no alert yet to say that of")
        return {"alert": number, "verdict": said}

    def suspended_until(self, now: float) -> int:
        """Return until when everything is mute, seconds since the epoch; 0 where it is not (as Frigate says it)."""
        return next((math.ceil(each.until) for each in self.quiet.mutes(now) if each.glob == EVERYTHING), 0)

    def status(self, now: float, time: float) -> dict[str, Any]:
        """Return why there may be nothing to show. `now`: wall clock, `time`: the home's."""
        return {
            "shadow_mode": self.shadow_mode,
            "silent": self.quiet.silent,
            "mutes": {each.glob: round(each.until) for each in self.quiet.mutes(now)},
            "excluded": list(self.quiet.exclude),
            "budget": {"told": self.quiet.spent(time), "of": self.quiet.budget},
            "kept_quiet": dict(self.kept_quiet),
        }

    def _reason(self, device: str, window: Window, time: float, heard: float) -> str:
        """Return why nobody is told of an unusual behavior of a device, "" where somebody is."""
        muted = device in self._muted or self.quiet.muted(self.device(device), heard)
        if reason := self.quiet.silent or (MUTED if muted else ""):
            self._muted.add(device)
            return reason
        if window.alarmed:
            return SAME_SEQUENCE
        return SHADOW if self.shadow_mode else self.quiet.held(device, time)
