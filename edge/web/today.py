"""Today: what the home did, hour by hour, and how usual each of it was."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from edge.core.quiet import REASONS
from edge.core.scenes import MODES, OCCUPANCIES, PARTS, SEASONS
from edge.core.verdicts import TOLD, Alert
from edge.web.situation import days_recorded
from edge.web.visits import MissingError, Visit

MOST = 2000  # behaviors of one day on a page, the newest
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
    """One day of the home. `before`, `after`: the days beside it, "" where there is nothing."""

    day: str
    weekday: int
    is_today: bool
    start: float
    end: float
    before: str
    after: str
    rows: tuple[Row, ...]
    more: int
    alerts: int
    expected: tuple[Next, ...]
    scenes: tuple[str, ...]
    days: float
    learn_after: float


def view(visit: Visit) -> Today:
    """Return a day, by default the home's today; raises MissingError for what is no day."""
    day = _day(visit)
    start, end = (_midnight(visit, each) for each in (day, day + timedelta(days=1)))
    rows = list(_rows(visit, start, end))
    first = visit.store.began()
    today = visit.local(visit.now).date()
    return Today(
        day=day.isoformat(),
        weekday=day.weekday(),
        is_today=day == today,
        start=start,
        end=end,
        before=(day - timedelta(days=1)).isoformat() if first is not None and first < start else "",
        after=(day + timedelta(days=1)).isoformat() if day < today else "",
        rows=tuple(reversed(rows[-MOST:])),
        more=max(0, len(rows) - MOST),
        alerts=sum(row.mark == "told" for row in rows),
        expected=tuple(expected(visit)),
        scenes=SCENES,
        days=days_recorded(visit),
        learn_after=visit.settings.model.learn_after_days,
    )


def expected(visit: Visit) -> Iterator[Next]:
    """Yield what the model expects to come next, the likeliest first."""
    names = visit.names()
    for each in visit.newest.get("next", ()):
        device = str(each["device"])
        told = visit.phrases.behavior(names.get(device, device), str(each["control"]))
        yield Next(told, round(100 * float(each["probability"])))


def _day(visit: Visit) -> date:
    said = visit.query.get("day", "")
    try:
        return date.fromisoformat(said) if said else visit.local(visit.now).date()
    except ValueError as error:
        raise MissingError(f"{said!r:.40} is no day: write for example 2026-01-31") from error


def _midnight(visit: Visit, day: date) -> float:
    """Return the beginning of a day in the home's time."""
    try:
        return datetime.combine(day, time(), visit.zone).timestamp()
    except (ValueError, OverflowError) as error:
        raise MissingError("there is no such day") from error


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
    return "unscored" if score is None else "usual"
