"""Alerts as a person reads them in a terminal: a line each, and one in full; and what is said of them."""

import json
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from typing import Any

from edge import compose
from edge.core.errors import SettingsError
from edge.core.explanations import Explanation
from edge.core.phrases import Phrases
from edge.core.quiet import REASONS, parse_minutes
from edge.core.verdicts import TOLD, Alert
from edge.report import ask
from edge.settings import Settings
from edge.store import Store, recorded

PATIENCE = 5.0  # seconds an agent is waited for
WIDTH = 40  # characters of the longest bar
PARTS = (
    "what is done", "when", "duration", "hour of this", "hour of device", "hour of anything",
    "succession", "pace", "time on",
)  # fmt: skip


def listed(settings: Settings, since: str, *, every: bool) -> list[Alert]:
    """Return the alerts told within a time such as 7d, or every unusual behavior; raises SettingsError, StoreError."""
    horizon = time.time() - parse_minutes(since) * 60
    store = Store.open(settings.data.directory, read_only=True)
    try:
        return store.alerts(horizon, (*TOLD, *REASONS) if every else TOLD)
    finally:
        store.close()


def found(settings: Settings, number: int) -> Alert:
    """Return one alert; raises SettingsError where there is none."""
    store = Store.open(settings.data.directory, read_only=True)
    try:
        alert = store.alert(number)
    finally:
        store.close()
    if alert is None:
        raise SettingsError(f"there is no alert {number}: `sceneshift alerts --all` lists them")
    return alert


def as_json(alert: Alert) -> str:
    """Return an alert as one line of JSON."""
    body: dict[str, Any] = {name: getattr(alert, name) for name in ("id", "time", "state", "score", "sentence")}
    why = alert.explanation
    return json.dumps({**body, "explanation": None if why is None else why.as_json()})


def lines(alerts: Iterable[Alert], zone: tzinfo) -> Iterator[str]:
    """Yield one line an alert: its number, local time, state and sentence."""
    for alert in alerts:
        yield f"{alert.id:5d}  {_local(alert.time, zone)}  {alert.state:8}  {alert.sentence}"


def page(alert: Alert, settings: Settings) -> Iterator[str]:
    """Yield the whole why of an alert, line by line."""
    yield f"Alert {alert.id}, {_local(alert.time, settings.home.zone)}, {alert.state}"
    yield alert.sentence
    if alert.explanation is None:
        yield "(it is from before more was kept)"
        return
    yield from _why(alert.explanation, compose.phrases(settings.alerts.language))


def _why(why: Explanation, phrases: Phrases) -> Iterator[str]:
    yield ""
    yield f"Odd: {why.odd}."
    if why.expected:
        yield "Expected rather:"
        yield from (f"  {each.probability:6.1%}  {phrases.behavior(each.name, each.control)}" for each in why.expected)
    habit = why.habit
    yield f"Before: {habit.count} times in {habit.weeks:.1f} weeks; last: {habit.last or 'never'}."
    most = max(habit.by_hour)
    for hour, count in enumerate(habit.by_hour):
        if count or hour == why.hour:
            bar = "#" * -(-count * WIDTH // max(most, 1))
            yield f"  {hour:02d} h {count:5d}  {bar}{' <- this time' if hour == why.hour else ''}"
    yield f"Model {why.model}; surprise and limit, nats:"
    for name, surprise, limit in zip(PARTS, why.surprise, why.limits, strict=True):
        yield f"  {name:13} {surprise:6.2f} of {limit:6.2f}{'  <- beyond' if surprise > limit else ''}"


def mute(settings: Settings, device: str, span: str) -> dict[str, Any] | None:
    """Ask the running agent for a mute; return its answer, None where none answers. Raises SettingsError."""
    return ask(settings.broker, "mute", {"device": device, "minutes": parse_minutes(span)}, PATIENCE)


def feedback(settings: Settings, number: int, said: str) -> dict[str, Any] | None:
    """Tell the running agent what a person says of an alert; where none answers, write it to disk and return None."""
    answer = ask(settings.broker, "feedback", {"alert": number, "verdict": said}, PATIENCE)
    if answer is None:
        recorded(settings.data.directory)
        store = Store.open(settings.data.directory)
        try:
            if not store.mark_alert(number, said):
                raise SettingsError(f"there is no alert {number}: `sceneshift alerts --all` lists them")
        finally:
            store.close()
    return answer


def _local(moment: float, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(moment, zone):%Y-%m-%d %H:%M}"
