"""Today: what the home did, hour by hour, and how usual each of it was."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from edge.core.quiet import EVERYTHING, REASONS
from edge.core.scenes import HOUSE_MODES, MODES, OCCUPANCIES, PARTS, SEASONS
from edge.core.verdicts import TOLD, UNUSUAL, Alert
from edge.web.situation import days_recorded
from edge.web.strings import say
from edge.web.visits import MissingError, Visit

MOST = 1000  # behaviors of one day on a page, the newest
EVERY = 3  # hours between two that are named
FIRST, LAST = 2000, 2200  # years a home may be looked at in
SCENES = (*SEASONS, *PARTS, *OCCUPANCIES, *MODES)


@dataclass(frozen=True, slots=True)
class Row:
    """One behavior of the day. `mark`: usual, told, quiet or unscored; `alert`: its number, 0 for none."""

    time: float
    clock: str
    device: str
    told: str
    score: float | None
    mark: str
    alert: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Next:
    """What is expected to come next, with its probability in percent."""

    told: str
    share: int


@dataclass(frozen=True, slots=True)
class Today:
    """One day of the home. `before`, `after`: the days beside it, "" where there is nothing.

    `hours`: moments of the day, with their names; `scene`: its words; `mode`: of the house, one of `modes`; `tells`:
    whether alerts are on; `muted`: whether all of them wait.
    """

    day: str
    weekday: int
    is_today: bool
    start: float
    end: float
    hours: tuple[tuple[float, str], ...]
    before: str
    after: str
    rows: tuple[Row, ...]
    more: int
    alerts: int
    expected: tuple[Next, ...]
    scenes: tuple[str, ...]
    modes: tuple[str, ...]
    mode: str
    tells: bool
    muted: bool
    days: float
    learn_after: float
    scene: tuple[str, ...]
    false_alarms: str


def view(visit: Visit) -> Today:
    """Return a day, by default the home's today; raises MissingError for what is no day."""
    day = _day(visit)
    start, end = _at(visit, day, 0), _at(visit, day, 24)
    rows = list(_rows(visit, start, end))
    first = visit.store.began()
    today = visit.local(visit.now).date()
    return Today(
        day=day.isoformat(),
        weekday=day.weekday(),
        is_today=day == today,
        start=start,
        end=end,
        hours=tuple((_at(visit, day, hour), f"{hour % 24:02d}") for hour in range(0, 25, EVERY)),
        before=(day - timedelta(days=1)).isoformat() if first is not None and first < start else "",
        after=(day + timedelta(days=1)).isoformat() if day < today else "",
        rows=tuple(reversed(rows[-MOST:])),
        more=max(0, len(rows) - MOST),
        alerts=sum(row.mark == "told" for row in rows),
        expected=tuple(expected(visit)),
        scenes=SCENES,
        modes=tuple(HOUSE_MODES),
        mode=str(visit.snapshot.get("mode") or "home"),
        tells=visit.snapshot.get("alerts") is not False,
        muted=EVERYTHING in dict(visit.snapshot.get("mutes") or {}),
        days=days_recorded(visit),
        learn_after=visit.settings.model.learn_after_days,
        scene=tuple(str(visit.snapshot.get("scene") or "").split("+")),
        false_alarms=_false_alarms(visit),
    )


def expected(visit: Visit) -> Iterator[Next]:
    """Yield what the model expects to come next, the likeliest first."""
    names = visit.names()
    for each in visit.newest.get("next", ()):
        device = str(each["device"])
        told = visit.phrases.behavior(names.get(device, device), str(each["control"]))
        yield Next(told, round(100 * float(each["probability"])))


def _false_alarms(visit: Visit) -> str:
    """Say how many of the alerts lately people called fine, a week; "" where the agent says nothing of it."""
    told = visit.snapshot.get("false_alarms")
    return say("fact.false_alarms.value", **told) if isinstance(told, dict) else ""


def _day(visit: Visit) -> date:
    said = visit.query.get("day", "")
    try:
        found = date.fromisoformat(said) if said else visit.local(visit.now).date()
    except ValueError as error:
        raise MissingError(say("days.none")) from error
    if not FIRST <= found.year <= LAST:
        raise MissingError(say("days.none"))
    return found


def _at(visit: Visit, day: date, hour: int) -> float:
    """Return an hour of a day in the home's time, 24 for its end; where a clock is turned, a day has its own length."""
    return datetime.combine(day + timedelta(days=hour // 24), time(hour % 24), visit.zone).timestamp()


def _rows(visit: Visit, start: float, end: float) -> Iterator[Row]:
    names = visit.names()
    scores: Mapping[int, float] = visit.scores(start, end)
    alerts = {each.behavior: each for each in visit.store.alerts(start, (*TOLD, *REASONS))}
    for row, behavior in visit.store.behaviors_with_ids(start, end):
        name = names.get(behavior.device, behavior.device)
        score, alert = scores.get(row), alerts.get(row)
        yield Row(
            behavior.time,
            f"{visit.local(behavior.time):%H:%M}",
            name,
            visit.phrases.behavior(name, behavior.control),
            score,
            _mark(score, alert),
            alert.id if alert else 0,
            alert.state if alert and alert.state in REASONS else "",
        )


def _mark(score: float | None, alert: Alert | None) -> str:
    if alert is not None:
        return "told" if alert.state in TOLD else "quiet"
    if score is None:
        return "unscored"
    return "quiet" if score > UNUSUAL else "usual"  # unusual, and told with what came before it
