"""The table of compression: estimates against leave-one-out training, rules against each other, synthesis by budget.

Every part is kept as it is done; the same command goes on where it was. A part is a plain function of a home and a
seed, so that many machines can share them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from edge.core.errors import SettingsError
from trainer.evaluate.compression_budget import by_budget, tokens_of
from trainer.evaluate.compression_fidelity import fidelity, growth
from trainer.evaluate.compression_homes import COMPARED, EVERYTHING, opened, selection
from trainer.evaluate.compression_light import light
from trainer.evaluate.compression_tables import draw, show
from trainer.evaluate.figures import figure
from trainer.evaluate.progress import Tell, progress

PARTS = ("fidelity", "growth", "light", "selection", "tokens", "synthesis")
EXACT_OF = "fr"  # the home whose every sequence is left out
GROWN = (100, 200, 400)  # sequences of it that exact runs are timed on
LARGE = "sp"
SYNTHESIS_SEEDS = 2


@dataclass(frozen=True)
class Wanted:
    """What was asked on the command line; `exact`: folder where exact runs are kept."""

    data: Path
    homes: tuple[str, ...]
    seeds: int
    parts: tuple[str, ...]
    json: Path | None
    exact: Path


def run(wanted: Wanted) -> dict[str, Any]:
    """Measure what is not measured yet; prints as it goes, and writes all there is after every part."""
    if wrong := sorted(set(wanted.parts) - set(PARTS)):
        raise SettingsError(f"no part is called {wrong[0][:40]!r}; there are {', '.join(PARTS)}")
    console = Console()
    runs: dict[str, Any] = _read(wanted.json)
    asked = list(_asked(wanted))
    with progress(console, "compression") as tell:
        for number, (part, home, seed) in enumerate(asked):
            key = f"{part} {home} {seed}"
            tell(key, number, len(asked))
            if key not in runs:
                runs[key] = measured(part, home, seed, wanted, tell)
                _write(wanted.json, runs)
        tell("done", len(asked), len(asked))
    told = summary(runs)
    show(console, told)
    if wanted.json is not None:
        draw(told, wanted.json)
    return told


def measured(part: str, home: str, seed: int, wanted: Wanted, tell: Tell) -> Any:
    """Measure one part of one home with one seed."""
    if part == "tokens":
        return tokens_of(seed)
    lived = opened(wanted.data, home)
    if part == "fidelity":
        return fidelity(lived.sequences, wanted.exact, tell=lambda done, of: tell("exact", done, of))
    if part == "growth":
        return growth(lived.sequences, seed or len(lived.sequences), 0, exact=seed in GROWN)
    if part == "light":
        return light(wanted.data, home, seed)
    if part == "selection":
        return selection(lived, seed)
    return by_budget(wanted.data, home, seed)


def _asked(wanted: Wanted) -> Iterator[tuple[str, str, int]]:
    if "fidelity" in wanted.parts:
        yield "fidelity", EXACT_OF, 0
    if "growth" in wanted.parts:
        yield from (("growth", EXACT_OF, count) for count in GROWN)
        yield "growth", LARGE, 0
    for seed in range(wanted.seeds):
        yield from (("selection", home, seed) for home in wanted.homes if "selection" in wanted.parts)
    if "light" in wanted.parts:
        yield from (("light", home, seed) for home in (EXACT_OF, LARGE) for seed in range(SYNTHESIS_SEEDS))
    if "tokens" in wanted.parts:
        yield "tokens", "simulated", 1
    if "synthesis" in wanted.parts:
        yield from (("synthesis", EXACT_OF, seed) for seed in range(SYNTHESIS_SEEDS))


def summary(runs: Mapping[str, Any]) -> dict[str, Any]:
    """Return all there is by part; rules' losses over the seeds, each over everything's of the same seed beside it."""
    out: dict[str, Any] = {part: {} for part in PARTS}
    for key, found in runs.items():
        part, home, seed = key.split(" ")
        out[part].setdefault(home, {})[seed] = found
    out["selection"] = {home: _rules(list(seeds.values())) for home, seeds in out["selection"].items()}
    return {part: found for part, found in out.items() if found} | {"runs": dict(runs)}


def _rules(seeds: list[Mapping[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {EVERYTHING: figure([each[EVERYTHING]["loss"] for each in seeds])}
    for name in (each for each in COMPARED if all(each in run for run in seeds)):
        told[name] = {}
        for ratio in (each for each in seeds[0][name] if all(each in run[name] for run in seeds)):
            cells = [each[name][ratio] for each in seeds]
            told[name][ratio] = {
                "loss": figure([each["loss"] for each in cells]),
                "variance": figure([each["variance"] for each in cells]),
                "of everything": figure(
                    [each["loss"] / run[EVERYTHING]["loss"] for each, run in zip(cells, seeds, strict=True)]
                ),
                "sequences": figure([each["sequences"] for each in cells]),
            }
    return told


def _read(path: Path | None) -> dict[str, Any]:
    if path is None or not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["runs"])
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{path} is no file of this evaluation: name another") from error


def _write(path: Path | None, runs: Mapping[str, Any]) -> None:
    """Write all there is whole, or not at all."""
    if path is None:
        return
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(summary(runs), indent=1) + "\n", encoding="utf-8")
    part.replace(path)
