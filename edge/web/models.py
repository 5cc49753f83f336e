"""Models: the slots on disk, how good each was found to be, and everything that was learned and adapted."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge.core.errors import ArtifactError
from edge.core.manifest import SlotManifest
from edge.slots import Slots
from edge.store import Adaptation
from edge.web.strings import say
from edge.web.visits import Visit

MOST = 50  # adaptations on a page, the newest
FIGURES = ("auroc", "recall", "false_positive_rate", "next_nll")
_LESS_IS_BETTER = ("false_positive_rate", "next_nll")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the gate as it is told; `before`: the incumbent's on the same sequences, "" where none was."""

    name: str
    value: str
    before: str = ""
    better: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot. `standing`: current, previous, shadow, kept or broken; `why`: what is wrong with it."""

    name: str
    standing: str
    scene: str = ""
    origin: str = ""
    made: str = ""
    devices: int = 0
    controls: int = 0
    steps: int = 0
    seconds: float = 0.0
    figures: tuple[Figure, ...] = ()
    limits: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One adaptation. `kind`: learned, adapted, reused, back or refused; `reasons`: why it ended so."""

    when: str
    kind: str
    scene: str
    slot: str
    reasons: tuple[str, ...]
    figures: tuple[Figure, ...]
    normals: int


@dataclass(frozen=True, slots=True)
class Models:
    """The page. `previous`: the slot a roll-back goes to, "" where there is none; `problem`: of the slots."""

    slots: tuple[Slot, ...]
    changes: tuple[Change, ...]
    more: int
    current: str
    previous: str
    problem: str


def view(visit: Visit) -> Models:
    """Return the slots, the one in use first, and the history, the newest first."""
    directory = visit.settings.data.directory / "slots"
    slots = Slots(directory) if directory.is_dir() else None
    current, previous, problem = _pointers(slots)
    shadow = str(dict(visit.store.fact("probation", {}) or {}).get("incumbent") or "")
    standings = {shadow: "shadow", previous: "previous", current: "current"}
    found = (
        [_slot(visit, slots, name, standings.get(name, "kept")) for name in reversed(slots.names())] if slots else []
    )
    done = visit.store.adaptations()
    return Models(
        tuple(sorted(found, key=lambda each: each.name != current)),
        tuple(change(visit, each) for each in reversed(done[-MOST:])),
        max(0, len(done) - MOST),
        current,
        previous,
        problem,
    )


def _pointers(slots: Slots | None) -> tuple[str, str, str]:
    """Return the slot in use, the one before it, and what is wrong with that knowledge."""
    try:
        return (slots.current() or "", slots.previous() or "", "") if slots else ("", "", "")
    except ArtifactError as error:
        return "", "", str(error)


def _slot(visit: Visit, slots: Slots, name: str, standing: str) -> Slot:
    try:
        manifest, _ = slots.load(name)
    except ArtifactError as error:
        return Slot(name, "broken", why=str(error))
    return Slot(
        name,
        standing,
        manifest.scene,
        say(f"origin.{manifest.origin}"),
        _moment(visit, manifest.created),
        len(manifest.vocabulary.devices),
        len(manifest.vocabulary.controls),
        manifest.steps,
        manifest.seconds,
        tuple(_figures(manifest.metrics, {})),
        _limits(manifest),
    )


def _limits(manifest: SlotManifest) -> str:
    return say("models.limits", n=manifest.limits.n, share=f"{100 * manifest.limits.alpha:.2g}")


def _figures(found: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[Figure]:
    """Yield the figures that were measured."""
    for name in FIGURES:
        value, old = _number(found.get(name)), _number(before.get(name))
        if value is not None:
            better = old is not None and (value < old if name in _LESS_IS_BETTER else value > old)
            yield Figure(name, f"{value:.3f}", "" if old is None else f"{old:.3f}", better)


def _number(value: object) -> float | None:
    """Return a figure, None for what was not measured: no number, or none that is finite."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def change(visit: Visit, done: Adaptation) -> Change:
    """Return what one adaptation changed."""
    report: Mapping[str, Any] = done.report if isinstance(done.report, dict) else {}
    gate = dict(report.get("gate") or {})
    swap = dict(report.get("swap") or {})
    candidate = dict(gate.get("candidate") or report.get("metrics") or {})
    reasons = [str(each) for each in gate.get("reasons") or report.get("probation") or ()]
    if report.get("abandoned"):
        reasons = [str(report["abandoned"])]
    scene = dict(report.get("scene") or {})
    told = say("models.from_to", before=scene["from"], after=scene["to"]) if scene else done.scene
    return Change(
        _moment(visit, done.time),
        _kind(report),
        told,
        str(swap.get("to") or ""),
        tuple(reasons),
        tuple(_figures(candidate, dict(gate.get("incumbent") or {}))),
        int(candidate.get("normals") or 0),
    )


def _kind(report: Mapping[str, Any]) -> str:
    """Name what became of it, as one of the keys `change.*`."""
    if not report.get("swap"):
        return "refused"
    if report.get("reused"):
        return "reused"
    if "synthetic" in report:
        return "adapted"
    return "learned" if "retrain" in report else "back"


def _moment(visit: Visit, time: float) -> str:
    local = visit.local(time)
    return say("when", day=say(f"day.short.{local.weekday()}"), date=f"{local:%Y-%m-%d}", clock=f"{local:%H:%M}")
