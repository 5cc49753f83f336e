"""The homes compression is measured on, and what is measured of one: plain functions of a name and a seed."""

import time
from collections.abc import Sequence as Items
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.core.dictionary import Dictionary
from edge.core.errors import SettingsError
from edge.core.scenes import Scene
from edge.core.sequences import Sequence
from trainer.evaluate.shifts import SIMULATED, recorded
from trainer.homes.life import variants
from trainer.homes.timeline import lively
from trainer.sppc import importance
from trainer.sppc.autoencoder import losses, states, train
from trainer.sppc.rules import Chosen, Known, Rule, chance, coverage, medoids, paper, similarity
from trainer.sppc.tokens import costs, tokenizer_of
from trainer.sppc.windows import Windows

RATIOS = (0.01, 0.02, 0.05, 0.10, 0.20, 0.50)  # of the tokens
COMPARED: dict[str, Rule] = {
    "coverage": coverage, "paper": paper, "similarity": similarity, "random": chance, "medoids": medoids,
}  # fmt: skip
EVERYTHING = "everything"
HELD_OUT = 0.2  # share of the sequences that is judged on
SIMULATED_DAYS = 60
LEAST_STEPS = 20
START = date(2025, 1, 6)


@dataclass(frozen=True)
class Lived:
    """A home's sequences and its dictionary."""

    name: str
    sequences: tuple[Sequence, ...]
    dictionary: Dictionary


def opened(data: Path, name: str) -> Lived:
    """Return a recorded home's winter, or `simulated:SEED`; raises SettingsError for what is not there.

    A simulated home's sequences are drawn as the real logs are: windows of all, of a device, of a control.
    """
    if not name.startswith(SIMULATED):
        home = recorded(data, name, "spring")[0].home
        return Lived(name, home.sequences, home.dictionary)
    seed = name.removeprefix(SIMULATED)
    if not seed.isdecimal():
        raise SettingsError(f"{name}: a whole number stands behind {SIMULATED}")
    place = lively(int(seed))
    found = variants(place, Scene(), (Scene(),), SIMULATED_DAYS, int(seed))
    return Lived(name, tuple(each for each, _ in found if each), place.dictionary)


def selection(lived: Lived, seed: int) -> dict[str, Any]:
    """Judge every rule at every ratio of a home's tokens on sequences held out; a seed is a split and its chances.

    Returns losses in nats a behavior: {rule: {ratio: {"loss", "variance", "sequences", "tokens"}}}, and EVERYTHING's.
    All networks of a ratio make equal steps: those of everything by the root of the ratio, because more only learn
    the few by heart.
    """
    windows = Windows.of(lived.sequences)
    order = np.random.default_rng([seed, 15]).permutation(len(windows))
    cut = round(HELD_OUT * len(windows))
    held, lived_in = order[:cut], np.sort(order[cut:])
    kept = [lived.sequences[row] for row in lived_in]
    known = known_of(kept, lived.dictionary, seed)
    steps = importance.RECIPE.steps(len(kept))
    out: dict[str, Any] = {name: {} for name in COMPARED}
    for ratio in RATIOS:
        budget = ratio * float(known.costs.sum())
        chosen = {name: rule(known, budget) for name, rule in COMPARED.items()}
        if not all(chosen.values()):
            continue  # a budget below the shortest sequence says nothing of a rule
        rows = [lived_in[list(each)] for each in chosen.values()]
        wanted = max(LEAST_STEPS, round(steps * ratio**0.5))
        for (name, each), told in zip(chosen.items(), judged(windows, rows, held, seed, wanted), strict=True):
            cost = int(known.costs[list(each)].sum())
            out[name][f"{ratio:g}"] = {**told, "sequences": len(each), "tokens": cost}
    out[EVERYTHING] = judged(windows, [lived_in], held, seed, steps)[0]
    return out


def known_of(sequences: Items[Sequence], dictionary: Dictionary, seed: int) -> Known:
    """Return what a rule sees, importance by cross-fitting."""
    windows = Windows.of(sequences)
    encodings = states(train(windows, np.ones((1, len(windows))), seed), windows)
    found = importance.crossfit(windows, seed)
    return Known(sequences, found, costs(sequences, dictionary, tokenizer_of()), encodings, seed)


def judged(
    windows: Windows, rows: Items[NDArray[np.int64]], held: NDArray[np.int64], seed: int, steps: int
) -> list[dict[str, float]]:
    """Train an autoencoder on each choice of rows; return mean and variance of the held-out losses of each."""
    weights = np.zeros((len(rows), len(windows)))
    for network, each in enumerate(rows):
        weights[network, each] = 1
    found = losses(train(windows, weights, seed, steps=steps, apart=True), windows, held)
    return [{"loss": float(each.mean()), "variance": float(each.var())} for each in found]


def chosen_of(lived: Lived, seed: int, budget: int) -> tuple[Known, Chosen, float]:
    """Compress a home to a budget of tokens by the default method; return what was known, chosen, and the seconds."""
    begun = time.process_time()
    known = known_of(lived.sequences, lived.dictionary, seed)
    return known, coverage(known, budget), time.process_time() - begun
