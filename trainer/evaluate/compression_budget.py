"""What counts in the end: what is synthesized from the kept, by the budget; and what a long life costs in tokens."""

import json
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge import compose
from edge.core.dictionary import Dictionary
from edge.core.prompts import DAY_NAMES
from edge.core.scenes import Scene
from edge.core.sequences import Sequence
from edge.sections import Llm
from edge.settings import Settings
from edge.slots import Slots
from edge.synthesis import synthesize
from trainer.evaluate.compression_homes import Lived, chosen_of, judged
from trainer.evaluate.figures import prediction, system
from trainer.evaluate.scene_shift import learned
from trainer.evaluate.shifts import recorded
from trainer.homes.life import variants
from trainer.homes.timeline import lively
from trainer.sppc import importance
from trainer.sppc.tokens import costs, tokenizer_of
from trainer.sppc.windows import Windows

BUDGETS = (256, 1024, 4096)  # tokens
PROMPT = 4096
LONG = 2000  # sequences of a long life
LONG_DAYS = 150


def by_budget(data: Path, home: str, seed: int, budgets: tuple[int, ...] = BUDGETS) -> dict[str, Any]:
    """Write spring from what is kept of a recorded home's winter, by the hub's loops; return what the model is worth.

    {budget: {"auroc", "f1", "fpr", "hr10", ..., "sequences"}}; `all` is everything. Of what a budget keeps, the
    hub still shows its language model the hub's own number (edge/synthesis.py).
    """
    shift = recorded(data, home, "spring")[0]
    lived = Lived(home, shift.home.sequences, shift.home.dictionary)
    out: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="sceneshift-evaluate-") as name:
        slow = compose.slow_loop(Settings(), Slots(Path(name)), threading.Event())
        slow.reseed(seed)
        incumbent = learned(slow, shift)
        writer = compose.writer(Llm(), Path(name) / "states")
        for budget in (*budgets, None):
            known = lived.sequences if budget is None else _counted(lived, seed, budget)
            made = synthesize(
                replace(shift.home, sequences=known), incumbent.scorer, writer,
                source=shift.source, target=shift.target, count=Llm().count, seed=seed,
            )  # fmt: skip
            _, fitted = slow.fitted(shift.home, incumbent, shift.target, made.sieve.kept)
            out[str(budget or "all")] = {
                **system(fitted.scorer, fitted.limits, shift.normal, shift.attack),
                **prediction(fitted.scorer, shift.normal),
                "sequences": len(set(known)),
            }
    return out


def _counted(lived: Lived, seed: int, budget: int) -> tuple[Sequence, ...]:
    """Return what is kept, each as often as it was lived."""
    _, chosen, _ = chosen_of(lived, seed, budget)
    rows = {lived.sequences[row] for row in chosen}
    return tuple(each for each in lived.sequences if each in rows)


def tokens_of(seed: int) -> dict[str, Any]:
    """Compress a life of LONG sequences to a prompt; return tokens before and after, and the loss of quality.

    `written out`: as the data sets' JSON with every name in full, the form IoTGen counts tokens of.
    """
    place = lively(seed)
    lives = [each for each, _ in variants(place, Scene(), (Scene(),), LONG_DAYS, seed) if each][: LONG * 5 // 4]
    order = np.random.default_rng([seed, 17]).permutation(len(lives))
    held, own = order[: len(lives) // 5], np.sort(order[len(lives) // 5 :])
    lived = Lived("long", tuple(lives[row] for row in own), place.dictionary)
    tokenizer = tokenizer_of()
    spelled = sum(
        len(
            tokenizer.encode(
                json.dumps([[s.day, s.hour, place.dictionary.devices[s.device].name, s.control] for s in each])
            ).ids
        )
        for each in lived.sequences
    )
    _, chosen, seconds = chosen_of(lived, seed, PROMPT)
    windows = Windows.of(lives)
    steps = importance.RECIPE.steps(len(own))
    before = int(costs(lived.sequences, lived.dictionary, tokenizer).sum())
    after = int(costs([lived.sequences[row] for row in chosen], lived.dictionary, tokenizer).sum())
    fewer = max(20, round(steps * (after / before) ** 0.5))
    return {
        "sequences": len(own), "kept": len(chosen), "written out": spelled, "before": before, "after": after,
        "seconds": seconds,
        "everything": judged(windows, [own], held, seed, steps)[0],
        "compressed": judged(windows, [own[list(chosen)]], held, seed, fewer)[0],
    }  # fmt: skip


def _spelled(sequence: Sequence, dictionary: Dictionary) -> str:
    """Write a sequence as JSON with names, a behavior an object."""
    return json.dumps([
        {"day": DAY_NAMES[step.day], "hour": step.hour, "device": dictionary.devices[step.device].name,
         "control": step.control}
        for step in sequence
    ])  # fmt: skip
