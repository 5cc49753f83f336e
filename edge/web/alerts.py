"""Alerts: what was told, what was kept quiet and why, and one of them in full."""

from collections.abc import Iterator
from dataclasses import dataclass
from glob import escape

from edge.core.calibration import NEVER, PARTS
from edge.core.explanations import Explanation
from edge.core.quiet import REASONS
from edge.core.verdicts import SENT, TOLD, Alert
from edge.web.drawings import Bar, bars
from edge.web.strings import say
from edge.web.visits import MissingError, Visit

MOST = 100  # on one page, the newest
LARGEST = 2**53  # of an alert's number
SHOWS = {"told": tuple(TOLD), "quiet": REASONS, "all": (*TOLD, *REASONS)}


@dataclass(frozen=True, slots=True)
class Line:
    """One alert in the list. `state`: what became of it; `told`: whether somebody was told; `open`: no feedback yet."""

    number: int
    when: str
    sentence: str
    state: str
    told: bool
    open: bool
    score: float


@dataclass(frozen=True, slots=True)
class Listed:
    """The list. `shown`: which of SHOWS; `counts`: how many there are of each; `more`: left out here."""

    shown: str
    counts: dict[str, int]
    lines: tuple[Line, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Instead:
    """What would have been likelier, with its probability in percent."""

    told: str
    share: float


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the surprise beside its limit, nats; `width`: of its bar, where 50 is the limit and 100 the end."""

    name: str
    surprise: float
    limit: float
    width: float
    beyond: bool


@dataclass(frozen=True, slots=True)
class Full:
    """One alert in full; without `why` it is from before more was kept. `glob`: what mutes its device."""

    line: Line
    device: str
    glob: str
    why: Explanation | None
    odd: str
    usual: str
    expected: tuple[Instead, ...]
    hours: tuple[Bar, ...]
    parts: tuple[Part, ...]
    newer: int
    older: int


def listed(visit: Visit) -> Listed:
    """Return the list, by default of what was told."""
    shown = visit.query.get("show", "told")
    if shown not in SHOWS:
        raise MissingError(say("alerts.no_show", shows=", ".join(SHOWS)))
    states = visit.store.alert_states()
    counts = {show: sum(states.get(state, 0) for state in wanted) for show, wanted in SHOWS.items()}
    found = visit.store.alerts(states=SHOWS[shown])
    return Listed(
        shown, counts, tuple(line(visit, each) for each in reversed(found[-MOST:])), max(0, len(found) - MOST)
    )


def line(visit: Visit, alert: Alert) -> Line:
    """Return an alert as it stands in a list."""
    local = visit.local(alert.time)
    when = say("when", day=say(f"day.short.{local.weekday()}"), date=f"{local:%Y-%m-%d}", clock=f"{local:%H:%M}")
    told = alert.state in TOLD
    return Line(alert.id, when, alert.sentence, alert.state, told, alert.state == SENT, alert.score)


def full(visit: Visit) -> Full:
    """Return one alert; raises MissingError where there is none of its number."""
    alert = visit.store.alert(visit.number) if visit.number < LARGEST else None
    if alert is None:
        raise MissingError(say("alert.none", number=visit.number))
    numbers = [each.id for each in visit.store.alerts(states=SHOWS["told"])]
    why = alert.explanation
    return Full(
        line(visit, alert),
        why.name if why else "",
        escape(why.device) if why else "",
        why,
        say(f"odd.{why.odd}") if why else "",
        visit.phrases.usual(why.habit) if why else "",
        tuple(Instead(visit.phrases.behavior(each.name, each.control), 100 * each.probability) for each in why.expected)
        if why
        else (),
        bars(why.habit.by_hour, why.hour) if why else (),
        tuple(_parts(why)) if why else (),
        min((each for each in numbers if each > alert.id), default=0),
        max((each for each in numbers if each < alert.id), default=0),
    )


def _parts(why: Explanation) -> Iterator[Part]:
    """Yield the parts of the surprise that are judged, the one furthest beyond its limit first."""
    for name, surprise, limit in sorted(
        zip(PARTS, why.surprise, why.limits, strict=True), key=lambda each: each[1] / each[2], reverse=True
    ):
        if limit < NEVER:
            yield Part(say(f"part.{name}"), surprise, limit, min(100.0, 50 * surprise / limit), surprise > limit)
