"""What a person reads of alerts and routines, in English or, by the same keys, in a language from a JSON file.

A device's name and its controls are free text from the network: they are cut down to plain words first, so that no
name can end a sentence or begin another.
"""

import json
import string
from collections.abc import Iterable, Mapping

from edge.core.controls import part_and_word
from edge.core.english import ENGLISH
from edge.core.errors import SettingsError
from edge.core.explanations import DEVICE, DURATION, FLICKER, ORDER, Explanation, seldom
from edge.core.habits import Habit
from edge.core.past import DAY, LATELY, SLOT, When
from edge.core.prompts import clean
from edge.core.routines import EVENING, Link, Routine, Trigger

NEARLY = 0.85  # of all days is said to be every day
BRIEF = 60.0  # seconds below which how long something lasts is not worth a word


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
            json.dumps(texts, ensure_ascii=False).encode()  # half a character is valid JSON and no text
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

    def routine(self, told: Routine, names: Mapping[str, str]) -> str:
        """Return a routine in one sentence; `names` are the devices' by id."""
        what = self._timed(told, names)
        if told.trigger:
            trigger, within = self._does(told.trigger, names), self._within(told.trigger.within)
            what = self.say("routine.trigger", what=what, span=within, trigger=trigger)
        for link in told.links[1 if told.when else 2 :]:
            what = self.say("routine.then", what=what, next=self._does(link, names), span=self._within(link.within))
        key = "routine.new" if told.new else "routine.days" if told.when else "routine.times"
        what = self.say(key, what=what, held=told.held, of=told.of, n=LATELY // 7)
        return f"{what[:1].upper()}{what[1:]}."

    def _timed(self, told: Routine, names: Mapping[str, str]) -> str:
        """Say what a routine begins with, and when."""
        first, when, span = told.links[0], told.when, told.span
        what = self._does(first, names)
        if when is None:
            then = told.links[1]
            return self.say("routine.after", first=what, next=self._does(then, names), span=self._within(then.within))
        if span and span.seconds >= EVENING:
            device, state = clean(names.get(first.device, first.device)), self._control(first.control, "is")
            begins, ends = (_clock(SLOT * round(minute / SLOT) % DAY) for minute in (span.begins, span.ends))
            return self.say("routine.span", days=self._class(when), device=device, state=state, first=begins, end=ends)
        if span and span.seconds >= BRIEF:
            what = self.say("routine.lasting", what=what, span=self._span(span.seconds))
        hours = self.say("hours.between", first=_clock(when.first), end=_clock(when.end or DAY))
        return self.say("routine.at", days=self._class(when), hours=hours, what=what)

    def _does(self, told: Link | Trigger, names: Mapping[str, str]) -> str:
        name = clean(names.get(told.device, told.device))
        return self.say("behavior", device=name, control=self._control(told.control, "does"))

    def _within(self, seconds: float) -> str:
        return self.say("minutes", n=round(seconds / 60))

    def _class(self, when: When) -> str:
        """Name the days of a routine."""
        days = when.days
        if len(days) == 7:
            return self.say("days.all" if when.held >= NEARLY * when.of else "days.most")
        if days in {(5, 6), tuple(range(5))}:
            return self.say("days.weekend" if len(days) == 2 else "days.week")
        if len(days) > 4:
            return self.say("days.but", days=self._listed(day for day in range(7) if day not in days))
        return self._listed(days)

    def _listed(self, days: Iterable[int]) -> str:
        *said, last = [self.say(f"days.{day}") for day in days]
        return self.say("days.and").join(part for part in (", ".join(said), last) if part)

    def _odd(self, told: Explanation) -> str:
        if told.odd == DURATION:
            return self._duration(told)
        if told.odd == FLICKER:
            return self.say("flicker", since=self._span(told.since or 0.0))
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

    def _control(self, control: str, form: str = "control") -> str:
        """Say a control in one form: what it did (control), what it does (does), or what lasts (is)."""
        part, word = part_and_word(control)
        if f"{form}.{word}" not in self._texts or word in {"of", "other"}:
            return self.say(f"{form}.other", control=clean(control, 60))
        said = self.say(f"{form}.{word}")
        if word in {"on", "off"} and part:
            return self.say("control.of", control=said, part=clean(part, 30))
        return said


def _clock(minute: int) -> str:
    """Return a minute of the day as people write it: the hour alone where it is full."""
    hour, rest = divmod(minute, 60)
    return f"{hour:02d}:{rest:02d}" if rest else f"{hour:02d}"


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
