"""What the agent is doing, in words: the line at the head of every page, and why there may be nothing to show."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge.core.quiet import CLEANER, EVERYTHING
from edge.jobs import REPLAYED
from edge.store import Store
from edge.web.strings import say, texts
from edge.web.visits import Visit


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is. `of`: 0 where that is not known."""

    told: str
    done: int
    of: int


@dataclass(frozen=True, slots=True)
class Situation:
    """What the agent is doing. `kind`: a word for the badge's look; `silences`: why nothing may be told.

    `drift`: since when the home lives otherwise than its model knows, "" where it does not.
    """

    kind: str
    told: str
    detail: str
    scene: str
    model: str
    progress: Progress | None
    silences: tuple[str, ...]
    drift: str


def of(visit: Visit) -> Situation:
    """Return what the agent is doing now."""
    known = visit.snapshot
    kind, detail = _kind(visit)
    return Situation(
        kind,
        say(f"situation.{kind}"),
        detail,
        str(known.get("scene") or ""),
        str(known.get("slot") or ""),
        progress_of(known.get("progress")),
        tuple(_silences(visit)),
        _drift(visit),
    )


def home_now(store: Store, wall: float) -> float:
    """Return the home's now: the clock's, or the newest behavior's where a replay lives in another time."""
    newest = list(store.behaviors_with_ids(after=max(0, store.newest() - 1)))
    return newest[-1][1].time if newest and wall - newest[-1][1].time > REPLAYED else wall


def days_recorded(visit: Visit) -> float:
    """Return how long the home has been recorded, days."""
    began = visit.store.began()
    return max(0.0, (visit.now - began) / 86400) if began is not None else 0.0


def progress_of(told: Mapping[str, Any] | None) -> Progress | None:
    """Return how far the job under way is, None where none is."""
    if not told:
        return None
    job = str(told.get("job", ""))
    what = say(f"job.{job}") if f"job.{job}" in texts() else job
    parts = [what, str(told.get("scene") or ""), str(told.get("what") or "")]
    return Progress(" · ".join(part for part in parts if part), int(told.get("done", 0)), int(told.get("of", 0)))


def _kind(visit: Visit) -> tuple[str, str]:
    """Return the most telling thing the agent is doing, and a sentence of it."""
    known = visit.snapshot
    if known.get("busy"):
        return "working", say("situation.working.detail")
    if not known.get("scores") and not (known.get("problem") and _is_learned(visit)):
        wanted = visit.settings.model.learn_after_days
        days = round(min(days_recorded(visit), wanted), 1)
        return "recording", say("situation.recording.detail", days=f"{days:g}", of=f"{wanted:g}")
    if known.get("problem"):
        return "problem", str(known["problem"])
    if told := known.get("calibrating"):
        return "calibrating", say("situation.calibrating.detail", days=told["days"], of=told["needed_days"])
    if known.get("probation"):
        return "probation", say("situation.probation.detail", days=f"{visit.settings.adapt.probation_days:g}")
    return "watching", say("situation.watching.detail", n=known.get("judged", 0))


def _is_learned(visit: Visit) -> bool:
    """Tell whether a first model is there or due: until then that there is none is no problem."""
    return bool(visit.store.adaptations()) or days_recorded(visit) >= visit.settings.model.learn_after_days


def _silences(visit: Visit) -> Iterator[str]:
    """Yield every reason for which nothing may be told."""
    known, told = visit.snapshot, visit.settings.alerts
    if known.get("shadow_mode"):
        yield say("silence.shadow", why=known["shadow_mode"])
    if known.get("alerts") is False:
        yield say("silence.off")
    elif known.get("mode") == CLEANER:
        yield say("silence.cleaner")
    for glob, until in dict(known.get("mutes") or {}).items():
        key = "silence.all" if glob == EVERYTHING else "silence.muted"
        yield say(key, device=visit.names().get(glob, glob), until=_until(visit, float(until)))
    if told.exclude:
        yield say("silence.excluded", devices=", ".join(told.exclude))
    budget = dict(known.get("budget") or {})
    if budget and budget.get("told", 0) >= budget.get("of", 0):
        yield say("silence.budget", n=budget["of"])


def _drift(visit: Visit) -> str:
    since = visit.snapshot.get("drift_since")
    return say("situation.drift", since=f"{visit.local(since):%Y-%m-%d}") if isinstance(since, int | float) else ""


def _until(visit: Visit, moment: float) -> str:
    local, today = visit.local(moment), visit.local(visit.wall)
    return f"{local:%H:%M}" if local.date() == today.date() else f"{local:%Y-%m-%d %H:%M}"
