"""Every sentence a person reads of an alert, by key; English here, any other language from a JSON file of such keys.

A device's name and its controls are free text from the network: they are cut down to plain words first, so that no
name can end a sentence or begin another.
"""

import json
import string
from collections.abc import Mapping

from edge.core.errors import SettingsError
from edge.core.explanations import DEVICE, DURATION, ORDER, Explanation, seldom
from edge.core.habits import Habit
from edge.core.prompts import clean

ENGLISH: Mapping[str, str] = {
    "day.0": "Monday", "day.1": "Tuesday", "day.2": "Wednesday", "day.3": "Thursday", "day.4": "Friday",
    "day.5": "Saturday", "day.6": "Sunday",
    "days.0": "on Mondays", "days.1": "on Tuesdays", "days.2": "on Wednesdays", "days.3": "on Thursdays",
    "days.4": "on Fridays", "days.5": "on Saturdays", "days.6": "on Sundays", "days.weekend": "at weekends",
    "days.week": "on weekdays",
    "head": "On {day} at {hour} h {behavior}",
    "behavior": "{device} {control}",
    # Which field was odd.
    "device.new": "a device that was never seen to act before",
    "device.never": "a device that never acts at this hour",
    "device.seldom": "a device that seldom acts at this hour",
    "order.first": "which is not what usually comes first after hours of quiet",
    "order.after": 'which does not usually follow "{before}"',
    "time.never": "which never happens at this hour",
    "time.never.day": "which never happens on a {day} at this hour",
    "time.seldom": "which seldom happens at this hour",
    "time.moment": "which comes at an unusual moment after what was done before",
    "duration.short": "only {since} after its last use, where {usual} is usual",
    "duration.long": "{since} after its last use, where {usual} is usual",
    "duration.odd": "at an unusual distance of {since} from its last use",
    # When, and how often, it is usually done.
    "usual.never": "it was never seen before",
    "usual.once": "seen once before, on {last}",
    "usual.twice": "seen twice before, last on {last}",
    "usual.hours": "usually {hours}, {often}",
    "usual.days": "usually {days} {hours}, {often}",
    "hours.between": "between {first} and {end} h",
    "hours.and": " and ",
    "hours.any": "at any time of day",
    "often.day": "{n} times a day",
    "often.day.once": "once a day",
    "often.week": "{n} times a week",
    "often.week.once": "once a week",
    "often.weeks": "once in {n} weeks",
    "expected": "expected rather: {behaviors}",
    "expected.one": "{behavior} ({share}%)",
    # Durations.
    "seconds": "{n} s", "minutes": "{n} min", "hours": "{n} h", "days": "{n} days",
    # What a control says; what is not here is told as it came.
    "control.on": "turned on", "control.off": "turned off", "control.open": "opened", "control.closed": "closed",
    "control.occupied": "noticed somebody", "control.detected": "noticed something",
    "control.clear": "notices nothing any more", "control.present": "came home", "control.absent": "left",
    "control.locked": "locked", "control.unlocked": "unlocked", "control.wet": "became wet",
    "control.dry": "became dry", "control.single": "pressed once", "control.double": "pressed twice",
    "control.hold": "held down",
    "control.of": "{control} ({part})",
    "control.other": "reported {control}",
}  # fmt: skip
_SAME = {
    "close": "closed", "opened": "open", "true": "on", "false": "off", "lock": "locked", "unlock": "unlocked",
    "long": "hold",
}  # fmt: skip
_PLAIN = frozenset({"", "state", "switch", "power", "relay"})  # properties that say nothing but that it is the device


def _placeholders(text: str) -> set[str]:
    """Return the placeholders of a template; raises ValueError for anything but `{name}`."""
    parts = [each for each in string.Formatter().parse(text) if each[1] is not None]
    if any(form or conversion for _, _, form, conversion in parts):
        raise ValueError("only {name} may stand in braces")
    return {str(name) for _, name, _, _ in parts}


class Phrases:
    """The sentences in one language."""

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        """Take a language's texts; what it lacks is said in English. Raises SettingsError for what does not fit."""
        self._texts = dict(ENGLISH)
        for key, text in (texts or {}).items():
            if key not in ENGLISH:
                raise SettingsError(f"alerts.language: there is no sentence {key!r:.60}")
            try:
                extra = _placeholders(text) - _placeholders(ENGLISH[key])
            except ValueError as error:
                raise SettingsError(f"alerts.language: {key}: {error}") from error
            if extra:
                raise SettingsError(f"alerts.language: {key} knows no {{{min(extra):.40}}}")
            self._texts[key] = text

    @classmethod
    def parse(cls, document: str) -> "Phrases":
        """Read a language's JSON object of texts by key; raises SettingsError."""
        try:
            texts = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"alerts.language: not JSON: {error}") from error
        if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
            raise SettingsError("alerts.language: not an object of texts")
        return cls(texts)

    def say(self, key: str, **values: object) -> str:
        """Return one sentence, or a part of one."""
        return self._texts[key].format_map(values)

    def sentence(self, told: Explanation) -> str:
        """Return the whole why in one sentence."""
        behavior = self.behavior(told.name, told.control)
        head = self.say("head", day=self.say(f"day.{told.day}"), hour=f"{told.hour:02d}", behavior=behavior)
        parts = [f"{head}, {self._odd(told)}"]
        if told.habit.count or _odd_key(told) != "device.new":
            parts.append(self.usual(told.habit))
        if told.expected:
            likely = (
                self.say(
                    "expected.one",
                    behavior=self.behavior(each.name, each.control),
                    share=f"{100 * each.probability:.0f}",
                )
                for each in told.expected
            )
            parts.append(self.say("expected", behaviors=", ".join(likely)))
        return "; ".join(parts) + "."

    def behavior(self, name: str, control: str) -> str:
        """Say who did what."""
        return self.say("behavior", device=clean(name), control=self._control(control))

    def usual(self, habit: Habit) -> str:
        """Say when, and how often, something is usually done."""
        if habit.count == 0 or habit.last is None:
            return self.say("usual.never")
        if habit.count <= 2:
            return self.say("usual.once" if habit.count == 1 else "usual.twice", last=habit.last[:10])
        spans = [self.say("hours.between", first=f"{first:02d}", end=f"{end:02d}") for first, end in habit.hours]
        hours = self.say("hours.and").join(spans) or self.say("hours.any")
        days = self._days(habit)
        often = self._often(habit.per_week)
        return self.say("usual.days" if days else "usual.hours", days=days, hours=hours, often=often)

    def _odd(self, told: Explanation) -> str:
        if told.odd == DURATION:
            return self._duration(told)
        before = self.behavior(*told.after) if told.after else ""
        return self.say(_odd_key(told), day=self.say(f"day.{told.day}"), before=before)

    def _duration(self, told: Explanation) -> str:
        since, usual = told.since or 0.0, told.usual_since
        if usual is None:
            return self.say("duration.odd", since=self._span(since))
        key = "duration.short" if since < usual else "duration.long"
        return self.say(key, since=self._span(since), usual=self._span(usual))

    def _span(self, seconds: float) -> str:
        units = (("days", 86400.0, 2.0), ("hours", 3600.0, 1.5), ("minutes", 60.0, 1.5))
        for key, unit, least in units:
            if seconds >= least * unit:
                return self.say(key, n=round(seconds / unit))
        return self.say("seconds", n=round(seconds))

    def _days(self, habit: Habit) -> str:
        """Name the days something is confined to, where that is worth a word."""
        days = set(habit.days)
        if len(days) == 1:
            return self.say(f"days.{habit.days[0]}")
        if days <= {5, 6}:
            return self.say("days.weekend")
        return self.say("days.week") if days <= set(range(5)) and habit.count >= 10 else ""

    def _often(self, per_week: float) -> str:
        if per_week >= 6:
            times = round(per_week / 7)
            return self.say("often.day", n=times) if times > 1 else self.say("often.day.once")
        if per_week >= 1.5:
            return self.say("often.week", n=round(per_week))
        times = round(1 / per_week)
        return self.say("often.weeks", n=times) if times > 1 else self.say("often.week.once")

    def _control(self, control: str) -> str:
        part, _, word = control.strip().rpartition(" ")
        word = _SAME.get(word.lower(), word.lower())
        if f"control.{word}" not in self._texts or word in {"of", "other"}:
            return self.say("control.other", control=clean(control, 60))
        said = self.say(f"control.{word}")
        if word in {"on", "off"} and part.lower() not in _PLAIN:
            return self.say("control.of", control=said, part=clean(part, 30))
        return said


def _odd_key(told: Explanation) -> str:
    """Name the sentence that says which field was odd; durations have their own."""
    if told.odd == DEVICE and told.since is None:
        return "device.new"
    if told.odd == DEVICE:
        return "device.seldom" if told.device_near else "device.never"
    if told.odd == ORDER:
        return "order.after" if told.after else "order.first"
    if not told.habit.near:
        return "time.never"
    if not told.habit.near_day:
        return "time.never.day"
    return "time.seldom" if seldom(told.habit.near, told.habit.weeks) else "time.moment"
