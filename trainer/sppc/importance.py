"""How important each sequence is: how badly it is rebuilt by autoencoders that never saw it (SPPC, IoTGen).

`exact` is the definition: leave one sequence out, train on the rest, rebuild it. All others estimate it.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from edge.core.errors import RetrainError
from trainer.sppc.autoencoder import Floats, Recipe, Tell, losses, train
from trainer.sppc.windows import Ids, Windows

RECIPE = Recipe()
TOGETHER = 97  # networks trained at once: more is no faster, and takes more memory
FOLDS, REPEATS = 10, 2

Method = Callable[..., Floats]  # (windows, seed, *, tell) -> importance (n,), nats a behavior


def _silent(done: int, of: int) -> None:
    del done, of


def exact(
    windows: Windows, seed: int, *, tell: Tell = _silent, recipe: Recipe = RECIPE, kept: Path | None = None
) -> Floats:
    """Leave each sequence out in turn (n,): n trainings, TOGETHER at once; goes on from the file `kept`.

    Raises RetrainError where that file is of other sequences, another seed or another recipe.
    """
    count = len(windows)
    found, spent = np.full(count, np.nan), 0.0
    fingerprint = _fingerprint(windows, seed, recipe)
    if kept is not None and kept.is_file():
        found, spent = _read(kept, fingerprint)
    for start in range(0, count, TOGETHER):
        rows = np.arange(start, min(start + TOGETHER, count))
        if np.isnan(found[rows]).any():
            begun = time.process_time()
            weights = np.ones((len(rows), count))
            weights[np.arange(len(rows)), rows] = 0
            found[rows] = np.diagonal(losses(train(windows, weights, seed, recipe), windows, rows))
            spent += time.process_time() - begun
            if kept is not None:
                _write(kept, fingerprint, found, spent)
        tell(int(rows[-1]) + 1, count)
    return found


def folds(windows: Windows, count: int, seed: int) -> Ids:
    """Deal the windows to `count` folds (n,), those alike to different ones as far as there are.

    So a network that misses a fold still has a sequence's copies, as one has that misses this sequence alone.
    """
    chance = np.random.default_rng([seed, 11])
    mixed = chance.permutation(len(windows))
    names = chance.permutation(int(windows.patterns.max()) + 1)  # patterns in no order of their own
    order = mixed[np.argsort(names[windows.patterns[mixed]], kind="stable")]
    dealt = np.empty(len(windows), np.int64)
    dealt[order] = np.arange(len(windows)) % count
    return dealt


def crossfit(
    windows: Windows,
    seed: int,
    *,
    tell: Tell = _silent,
    recipe: Recipe = RECIPE,
    count: int = FOLDS,
    repeats: int = REPEATS,
) -> Floats:
    """Leave a fold out in turn (n,), `repeats` times over, each with other folds and another start: a mean.

    Raises RetrainError of fewer than two sequences.
    """
    if len(windows) < 2:
        raise RetrainError("one sequence cannot be left out of itself: importance needs at least two")
    count = min(count, len(windows))
    found = np.zeros(len(windows))
    for repeat in range(repeats):
        chance = int(np.random.default_rng([seed, 12, repeat]).integers(2**31))
        fold = folds(windows, count, chance)
        weights = (fold != np.arange(count)[:, None]).astype(np.float64)

        def told(done: int, of: int, repeat: int = repeat) -> None:
            tell(repeat * of + done, repeats * of)

        networks = train(windows, weights, chance, recipe, on_step=told)
        found += losses(networks, windows)[fold, np.arange(len(windows))] / repeats
    return found


def trained(windows: Windows, seed: int, *, tell: Tell = _silent, recipe: Recipe = RECIPE, repeats: int = 1) -> Floats:
    """Leave nothing out (n,): the loss of networks that saw everything, the cheapest estimate by training."""
    chance = [int(np.random.default_rng([seed, 13, repeat]).integers(2**31)) for repeat in range(repeats)]
    ones = np.ones((1, len(windows)))
    found = np.zeros(len(windows))
    for repeat, each in enumerate(chance):
        found += losses(train(windows, ones, each, recipe), windows)[0] / repeats
        tell(repeat + 1, repeats)
    return found


def _fingerprint(windows: Windows, seed: int, recipe: Recipe) -> str:
    said = json.dumps([windows.controls, windows.slots, seed, asdict(recipe)])
    whole = said.encode() + windows.control.tobytes() + windows.time.tobytes() + windows.length.tobytes()
    return hashlib.sha256(whole).hexdigest()


def seconds_of(kept: Path) -> float:
    """Return the processor seconds an exact run has taken, over all its parts."""
    return float(json.loads(kept.read_text(encoding="utf-8"))["seconds"])


def _read(path: Path, fingerprint: str) -> tuple[Floats, float]:
    """Return what an exact run had found, NaN where it had not come to, and its seconds; raises RetrainError."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        found = np.array([np.nan if each is None else float(each) for each in told["importance"]])
        same, spent = told["of"] == fingerprint, float(told["seconds"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RetrainError(f"{path} is no exact run: delete it to begin anew") from error
    if not same:
        raise RetrainError(f"{path} is of other sequences or another seed: name another file, or delete it")
    return found, spent


def _write(path: Path, fingerprint: str, found: Floats, spent: float) -> None:
    """Write what is found whole, or not at all."""
    values = [None if np.isnan(each) else float(each) for each in found]
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"of": fingerprint, "seconds": round(spent, 2), "importance": values}) + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
