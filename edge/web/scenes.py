"""Scenes: what the home adapted to, what the language model changed, and what is real beside what was written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.store import Adaptation
from edge.web import heat, models
from edge.web.strings import say
from edge.web.visits import MissingError, Visit

MOST = 50  # adaptations in the list, the newest
DEVICES = 30  # rows of a heat map, those that do most
CHANGES = 6  # devices whose change is told in words
LEAST = 5.0  # of a thousand behaviors: a smaller change is none


@dataclass(frozen=True, slots=True)
class Pair:
    """One device's share of what was done, and of what was written: of a thousand behaviors."""

    name: str
    real: int
    written: int


@dataclass(frozen=True, slots=True)
class Beside:
    """Real and written on one scale, hour by hour; `changes`: the largest; `more`: devices left out."""

    real: tuple[heat.Row, ...]
    written: tuple[heat.Row, ...]
    real_count: int
    written_count: int
    changes: tuple[Pair, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Adapted:
    """One adaptation. `why`: what the language model said it changed; `written` and `kept`: sequences; `rejected`: why.

    `beside` is None where the report is from before it was kept, or nothing was written.
    """

    number: int
    change: models.Change
    why: tuple[str, ...]
    written: int
    kept: int
    mended: int
    rejected: tuple[tuple[str, int], ...]
    valid: int
    lived: int
    seconds: float
    beside: Beside | None


@dataclass(frozen=True, slots=True)
class Scenes:
    """The page: one adaptation in full, None where there was none yet, and the list of all, the newest first."""

    shown: Adapted | None
    others: tuple[Adapted, ...]
    more: int


def view(visit: Visit) -> Scenes:
    """Return the newest scene change in full, or any adaptation by its number; raises MissingError where it is none."""
    every = visit.store.adaptations()
    done = [each for each in every if "scene" in _report(each)]
    wanted = [each for each in every if each.id == visit.number] if visit.number else done[-1:]
    if visit.number and not wanted:
        raise MissingError(say("scenes.no_number", number=visit.number))
    names = visit.names()
    return Scenes(
        next((adapted(visit, each, names) for each in wanted), None),
        tuple(adapted(visit, each, None) for each in reversed(done[-MOST:])),
        max(0, len(done) - MOST),
    )


def adapted(visit: Visit, done: Adaptation, names: Mapping[str, str] | None) -> Adapted:
    """Return one adaptation; `names` of the devices by id, None for its line in the list."""
    report = _report(done)
    written, source = dict(report.get("synthetic") or {}), dict(report.get("source") or {})
    real, wrote = _Side.of(source.get("by_hour")), _Side.of(written.get("by_hour"))
    rejected = sorted(dict(written.get("rejected") or {}).items(), key=lambda each: -int(each[1]))
    return Adapted(
        done.id,
        models.change(visit, done),
        tuple(str(each) for each in written.get("why") or ()),
        int(written.get("generated") or 0),
        int(written.get("kept") or 0),
        int(written.get("mended") or 0),
        tuple((str(reason), int(n)) for reason, n in rejected),
        int(source.get("valid_in_scene") or 0),
        int(source.get("lived") or 0),
        float(dict(report.get("llm") or {}).get("seconds") or 0.0),
        _beside(real, wrote, names) if names is not None and real.total and wrote.total else None,
    )


def _report(done: Adaptation) -> Mapping[str, Any]:
    return done.report if isinstance(done.report, dict) else {}


@dataclass(frozen=True)
class _Side:
    """Counts by device and hour, and all of them; shares are of a thousand behaviors."""

    counts: Mapping[str, list[int]]
    total: int

    @classmethod
    def of(cls, told: object) -> "_Side":
        """Take counts as a report tells them, without what is none."""
        rows = told.items() if isinstance(told, dict) else ()
        counts = {str(name): [int(n) for n in each] for name, each in rows if len(each) == heat.HOURS and any(each)}
        return cls(counts, sum(map(sum, counts.values())))

    def share(self, device: str) -> float:
        return 1000 * sum(self.counts.get(device, ())) / self.total

    def most(self) -> float:
        return 1000 * max(map(max, self.counts.values())) / self.total

    def row(self, device: str, name: str, most: float) -> heat.Row:
        counts = self.counts.get(device, [0] * heat.HOURS)
        return heat.Row(name, tuple(_cell(n, 1000 * n / self.total, most) for n in counts))


def _beside(real: _Side, written: _Side, names: Mapping[str, str]) -> Beside:
    """Put both on one scale."""
    devices = {*real.counts, *written.counts}
    busiest = sorted(devices, key=lambda each: (-real.share(each) - written.share(each), each))[:DEVICES]
    shown = sorted((names.get(each, each), each) for each in busiest)
    most = max(real.most(), written.most())
    pairs = (Pair(names.get(each, each), round(real.share(each)), round(written.share(each))) for each in devices)
    changes = sorted(pairs, key=lambda each: (-abs(each.written - each.real), each.name))
    return Beside(
        tuple(real.row(device, name, most) for name, device in shown),
        tuple(written.row(device, name, most) for name, device in shown),
        real.total,
        written.total,
        tuple(each for each in changes if abs(each.written - each.real) >= LEAST)[:CHANGES],
        len(devices) - len(shown),
    )


def _cell(count: int, share: float, most: float) -> heat.Cell:
    if not count:
        return heat.Cell("", 0)
    return heat.Cell(f"{share:.0f}" if share >= 1 else "<1", heat.level(share, most), say("scenes.times", n=count))
