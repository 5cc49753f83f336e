"""The columns of the tables: who writes what a home will do in its next scene.

A column is a function of a shift, the incumbent and a seed. What it writes is held to the scene's validity rule; what
else the hub's filters take out is part of ours.
`none` and `ceiling` write nothing: they are the incumbent, and a model of real target sequences.
"""

import tempfile
from collections.abc import Callable, Iterable
from collections.abc import Sequence as Items
from pathlib import Path

import numpy as np

from edge.adapt import Model
from edge.compose import writer
from edge.core.errors import SettingsError
from edge.core.filters import Sieve, impossible, mended
from edge.core.scenes import fault
from edge.core.sequences import Sequence, Step
from edge.sections import Llm
from edge.synthesis import synthesize
from trainer.evaluate.rules import moved
from trainer.evaluate.shifts import Shift

Column = Callable[[Shift, Model, int], Sieve]

NONE, CEILING = "none", "ceiling"
NAMES = (NONE, "random", "rules", "gpt4o", "ours", CEILING)


def chosen(names: Iterable[str], llm: Llm) -> dict[str, Column]:
    """Return the writing columns of these names, in the tables' order; raises SettingsError for a name not there."""
    wanted = set(names)
    if wrong := sorted(wanted - set(NAMES)):
        raise SettingsError(f"no column is called {wrong[0][:40]!r}; there are {', '.join(NAMES)}")
    return {name: column for name, column in writing(llm).items() if name in wanted}


def writing(llm: Llm) -> dict[str, Column]:
    """Return every column that writes, by its name."""
    return {"random": at_random(llm.count), "rules": rules, "gpt4o": gpt4o, "ours": ours(llm)}


def at_random(count: int) -> Column:
    """Return the column that knows nothing but the dictionary and what the scene forbids."""

    def column(shift: Shift, incumbent: Model, seed: int) -> Sieve:
        del incumbent
        return _valid(shift, drawn(shift, count, seed))

    return column


def rules(shift: Shift, incumbent: Model, seed: int) -> Sieve:
    """Move every source sequence by plain rules."""
    del incumbent
    home = shift.home
    return _valid(shift, moved(home.sequences, home.dictionary, shift.source, shift.target, seed))


def gpt4o(shift: Shift, incumbent: Model, seed: int) -> Sieve:
    """Take what GPT-4o wrote; the same whatever the seed."""
    del incumbent, seed
    return _valid(shift, shift.written)


def ours(llm: Llm) -> Column:
    """Return the column that lets a local language model write, as the hub does."""

    def column(shift: Shift, incumbent: Model, seed: int) -> Sieve:
        with tempfile.TemporaryDirectory(prefix="sceneshift-evaluate-") as states:
            return synthesize(
                shift.home,
                incumbent.scorer,
                writer(llm, Path(states)),
                source=shift.source,
                target=shift.target,
                count=llm.count,
                seed=seed,
            ).sieve

    return column


def drawn(shift: Shift, count: int, seed: int) -> list[Sequence]:
    """Draw sequences of any control at any hour the scene allows, as long as the source's, time going forward."""
    rng = np.random.default_rng([seed, 8])
    home = shift.home
    hours = range(0, 24, 24 // home.slots)
    lengths = [len(each) for each in home.sequences]
    possible = [
        Step(0, hour, device, control)
        for hour in hours
        for device, control in home.dictionary.controls
        if fault(Step(0, hour, device, control), home.dictionary.kind(device), shift.target) is None
    ]
    out: list[Sequence] = []
    for _ in range(count if possible else 0):
        rows = rng.integers(len(possible), size=lengths[int(rng.integers(len(lengths)))])
        day = int(rng.integers(7))
        steps = sorted((possible[int(row)] for row in rows), key=lambda step: step.hour)
        out.append(tuple(Step(day, step.hour, step.device, step.control) for step in steps))
    return out


def _valid(shift: Shift, written: Items[Sequence]) -> Sieve:
    """Keep what can be in the scene; no other filter of ours touches what others wrote."""
    sieve = Sieve()
    for sequence in (mended(each, shift.home.dictionary, shift.target) for each in written):
        if reason := impossible(sequence, shift.home.dictionary, shift.target):
            sieve.rejected.append((sequence, reason))
        else:
            sieve.kept.append(sequence)
    return sieve
