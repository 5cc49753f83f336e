"""One run of the scene-shift table: from what was asked to progress, tables and the file of figures."""

import hashlib
from collections.abc import Sequence as Items
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console

from edge.core.errors import EdgeError, SettingsError
from edge.core.filters import Sieve
from edge.core.sequences import Sequence
from edge.sections import Llm
from trainer.cluster import HERE, Where, results
from trainer.evaluate.columns import CEILING, chosen
from trainer.evaluate.progress import Tell, progress
from trainer.evaluate.scene_shift import Extra, Judged, Runs, evaluate, halves, write
from trainer.evaluate.shifts import Shift, opened
from trainer.evaluate.tables import show
from trainer.evaluate.text import quality


@dataclass(frozen=True)
class Wanted:
    """What was asked on the command line. `published`: seeds judged by the published protocol, too."""

    data: Path
    home: str
    scene: str | None
    llm: Path | None
    json: Path | None
    seeds: int
    count: int
    columns: tuple[str, ...]
    published: int


def run(wanted: Wanted, where: Where = HERE) -> dict[str, Any]:
    """Evaluate every scene and seed; prints the tables, and writes the figures after every seed."""
    console = Console()
    shifts = {shift.name: shift for shift in opened(wanted.data, wanted.home, wanted.scene)}
    chosen(wanted.columns, Llm())  # a column that is none is told at once
    asked = {**asdict(wanted), **{name: str(path) for name, path in asdict(wanted).items() if isinstance(path, Path)}}
    asked |= {"json": None, "seeds": 1}  # where figures are written and how many seeds there are changes none
    items = [
        {"scene": name, "seed": seed, "lived": digest(shift), "wanted": asked}
        for name, shift in shifts.items()
        for seed in range(wanted.seeds)
    ]
    found: dict[int, Any] = {}
    scenes: dict[str, Any] = {}
    runs: dict[str, Runs] = {}
    with progress(console, wanted.home) as tell:
        for place, result in results(seeded, items, where, tell):
            found[place] = result
            name = str(items[place]["scene"])
            runs[name] = _together([(items[each], found[each]) for each in sorted(found)], name)
            scenes[name] = runs[name].tables()
            if wanted.json:
                write(wanted.json, wanted.home, {each: scenes[each] for each in shifts if each in scenes})
    for name, shift in shifts.items():
        show(console, shift.home_name, name, scenes[name])
        for (column, seed), reason in runs[name].failed.items():
            console.print(f"{name}: {column} gave nothing with seed {seed}: {reason}", style="yellow")
    return {"home": wanted.home, "scenes": {name: scenes[name] for name in shifts}}


def seeded(item: Any, tell: Tell) -> dict[str, Any]:
    """Evaluate one scene with one seed; return the figures by kind and column, and what failed."""
    asked = item["wanted"]
    llm = Path(asked["llm"]) if asked["llm"] else None
    wanted = Wanted(**{**asked, "data": Path(asked["data"]), "llm": llm, "columns": tuple(asked["columns"])})
    (shift,) = opened(wanted.data, wanted.home, item["scene"])
    if digest(shift) != item["lived"]:
        raise SettingsError(f"{wanted.data / wanted.home} is not the same home where it is evaluated")
    named = chosen(wanted.columns, Llm(file=wanted.llm, count=wanted.count))
    columns = {name: column for name, column in named.items() if name != "gpt4o" or shift.written}
    ceiling = CEILING in wanted.columns
    stages = count()

    def told(name: str) -> None:
        tell(f"{shift.name}, seed {item['seed']}: {name}", next(stages), 1 + len(columns) + ceiling)

    (runs,) = evaluate(shift, columns, [item["seed"]], ceiling=ceiling, extra=_extra(wanted), tell=told)
    return {
        "found": {
            kind: {name: figures[item["seed"]] for name, figures in of.items()} for kind, of in runs.found.items()
        },
        "failed": {name: reason for (name, _), reason in runs.failed.items()},
    }


def digest(shift: Shift) -> str:
    """Return the sha256 of everything a shift holds."""
    return hashlib.sha256(repr(shift).encode()).hexdigest()


def _together(told: Items[tuple[Any, Any]], scene: str) -> Runs:
    """Put what was found of a scene together, in the order of the seeds: so sums are the same however it came."""
    runs = Runs()
    for item, result in told:
        if item["scene"] == scene:
            for kind, columns in result["found"].items():
                for name, figures in columns.items():
                    runs.add(name, item["seed"], {kind: figures})
            runs.failed |= {(name, item["seed"]): reason for name, reason in result["failed"].items()}
    return runs


def _extra(wanted: Wanted) -> Extra:
    """Return what is measured beside: the text itself, and by the published protocol for the first seeds."""

    def extra(shift: Shift, name: str, sieve: Sieve | None, seed: int) -> Judged:
        found: Judged = {}
        if seed < wanted.published and name in wanted.columns:
            from trainer.evaluate.published import judge  # noqa: PLC0415

            # What cannot be judged so (too few sequences) has no figure there.
            with suppress(EdgeError):
                found["published"] = judge(*_alone(shift, name, sieve, seed), seed)
        if sieve is not None:
            found["text"] = quality(shift, sieve)
        return found

    return extra


def _alone(shift: Shift, name: str, sieve: Sieve | None, seed: int) -> tuple[Shift, Items[Sequence]]:
    """Return what the published protocol judges on, and trains on: a column's sequences alone, GPT-4o's unsifted."""
    if name == CEILING:
        lived, held_out = halves(shift.normal, seed)
        return replace(shift, normal=held_out), lived
    if sieve is None:
        return shift, shift.home.sequences
    return shift, shift.written if name == "gpt4o" else sieve.kept
