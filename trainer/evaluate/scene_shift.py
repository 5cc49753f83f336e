"""The table of scene changes: what each column's model is worth on the real target scene, over several seeds."""

import json
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge import compose
from edge.adapt import Model, SlowLoop
from edge.core.errors import EdgeError, RetrainError
from edge.core.filters import Sieve
from edge.core.scenes import Scene
from edge.core.sequences import Sequence
from edge.fit import Fitted, Split
from edge.settings import Settings
from edge.slots import Slots
from trainer.evaluate.columns import CEILING, NONE, Column
from trainer.evaluate.figures import GAP_ON, Figures, prediction, system, table
from trainer.evaluate.shifts import Shift

Tell = Callable[[str], None]
Judged = dict[str, Figures]  # by kind of figure: system, prediction, published, text
Extra = Callable[[Shift, str, Sieve | None, int], Judged]  # more figures of what a column wrote


@dataclass
class Runs:
    """What was measured: figures by kind, column and seed; what failed and why."""

    found: dict[str, dict[str, dict[int, Figures]]] = field(default_factory=lambda: defaultdict(dict))
    failed: dict[tuple[str, int], str] = field(default_factory=dict)

    def add(self, column: str, seed: int, judged: Judged) -> None:
        """Take the figures of one column and seed."""
        for kind, figures in judged.items():
            self.found[kind].setdefault(column, {})[seed] = figures

    def tables(self) -> dict[str, Any]:
        """Return every kind's table."""
        return {kind: table(columns, GAP_ON.get(kind)) for kind, columns in self.found.items()}


def evaluate(
    shift: Shift, columns: Mapping[str, Column], seeds: Iterable[int], *, ceiling: bool, extra: Extra, tell: Tell
) -> Iterable[Runs]:
    """Run every column for every seed; yields all that was found after each seed. `none` is always there."""
    runs = Runs()
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="sceneshift-evaluate-") as name:
            slow = compose.slow_loop(Settings(), Slots(Path(name)), threading.Event())
            slow.reseed(seed)
            _seed(shift, columns, seed, slow=slow, runs=runs, ceiling=ceiling, extra=extra, tell=tell)
        yield runs


def _seed(
    shift: Shift,
    columns: Mapping[str, Column],
    seed: int,
    *,
    slow: SlowLoop,
    runs: Runs,
    ceiling: bool,
    extra: Extra,
    tell: Tell,
) -> None:
    tell(NONE)
    incumbent = learned(slow, shift)
    runs.add(NONE, seed, _judged(incumbent, shift) | extra(shift, NONE, None, seed))
    for name, column in columns.items():
        tell(name)
        try:
            sieve = column(shift, incumbent, seed)
            runs.add(name, seed, extra(shift, name, sieve, seed))
            _, fitted = slow.fitted(shift.home, incumbent, shift.target, sieve.kept)
        except EdgeError as error:
            runs.failed[name, seed] = str(error)
            continue
        runs.add(name, seed, _judged(fitted, shift))
    if ceiling:
        tell(CEILING)
        try:
            runs.add(CEILING, seed, _ceiling(slow, shift, incumbent, seed) | extra(shift, CEILING, None, seed))
        except EdgeError as error:
            runs.failed[CEILING, seed] = str(error)


def learned(slow: SlowLoop, shift: Shift) -> Model:
    """Return the model of the source scene; raises RetrainError where there is too little to learn from."""
    outcome = slow.learn(shift.home, shift.source, 0.0)
    if outcome.model is None:
        raise RetrainError(f"{shift.home_name} {shift.name}: {outcome.report.get('abandoned')}")
    return outcome.model


def _judged(model: Model | Fitted, shift: Shift) -> Judged:
    return {
        "system": system(model.scorer, model.limits, shift.normal, shift.attack),
        "prediction": prediction(model.scorer, shift.normal),
    }


def _ceiling(slow: SlowLoop, shift: Shift, incumbent: Model, seed: int) -> Judged:
    """Train on one half of the target's normals alone and judge on the other half, and on all attacks."""
    lived, held_out = halves(shift.normal, seed)
    home = replace(shift.home, sequences=lived, weeks=shift.home.weeks * len(lived) / len(shift.home.sequences))
    split = Split.of(home, Scene())
    # Nothing gates the ceiling: what a hub keeps back to measure on is trained on too.
    _, fitted = slow.fitted(home, incumbent, Scene(), (), split=replace(split, train=split.train + split.measure))
    return _judged(fitted, replace(shift, normal=held_out))


def halves(sequences: tuple[Sequence, ...], seed: int) -> tuple[tuple[Sequence, ...], tuple[Sequence, ...]]:
    """Draw half of the sequences, in their order; return it and the rest."""
    drawn = np.zeros(len(sequences), bool)
    drawn[np.random.default_rng([seed, 9]).permutation(len(sequences))[: len(sequences) // 2]] = True
    return (
        tuple(each for each, mine in zip(sequences, drawn, strict=True) if mine),
        tuple(each for each, mine in zip(sequences, drawn, strict=True) if not mine),
    )


def write(path: Path, home: str, scenes: Mapping[str, Any]) -> None:
    """Write the report whole, or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps({"home": home, "scenes": scenes}, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
