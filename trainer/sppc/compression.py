"""A home's sequences to the few that stand for them, whole: importance, choice, tokens, and what is told of it."""

import json
import time
from collections import Counter
from collections.abc import Sequence as Items
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.core.dictionary import DatasetNames, Dictionary
from edge.core.errors import MessageError, RetrainError, SettingsError
from edge.core.sequences import Sequence
from trainer.sppc import importance as estimates
from trainer.sppc.autoencoder import Floats, Tell, states, train
from trainer.sppc.importance import Method
from trainer.sppc.rules import BASELINES, RULES, Known
from trainer.sppc.tokens import costs, tokenizer_of
from trainer.sppc.windows import Windows

METHODS: dict[str, Method] = {
    "crossfit": estimates.crossfit,
    "exact": estimates.exact,
    "trained": estimates.trained,
}
NAMES = (*METHODS, *BASELINES)


@dataclass(frozen=True)
class Asked:
    """How to compress: by which method and rule, to how many tokens, or to which share of them.

    `kept`: where an exact run keeps what it has found, to go on from.
    """

    method: str = "crossfit"
    rule: str = "coverage"
    tokens: int | None = None
    share: float | None = None
    seed: int = 0
    kept: Path | None = None


@dataclass(frozen=True)
class Compression:
    """What came of it: importance of every sequence, the indices kept with their reasons, tokens before and after.

    `counts`: how many sequences are identical to each that was kept. `seconds` of one processor.
    """

    asked: Asked
    seconds: float
    importance: tuple[float, ...]
    kept: tuple[int, ...]
    reasons: tuple[str, ...]
    counts: tuple[int, ...]
    before: int
    after: int

    def scores(self) -> dict[str, Any]:
        """Return it as the scores file has it."""
        return {
            "method": self.asked.method,
            "rule": self.asked.rule if self.asked.method in METHODS else self.asked.method,
            "seed": self.asked.seed,
            "seconds": round(self.seconds, 2),
            "importance": [round(each, 6) for each in self.importance],
            "kept": list(self.kept),
            "reasons": list(self.reasons),
            "counts": list(self.counts),
            "tokens": {"before": self.before, "after": self.after},
        }


def _silent(done: int, of: int) -> None:
    del done, of


def compress(sequences: Items[Sequence], dictionary: Dictionary, asked: Asked, *, tell: Tell = _silent) -> Compression:
    """Return the sequences to keep; the same asked again gives the same. Raises SettingsError, RetrainError."""
    if asked.method not in NAMES or asked.rule not in RULES:
        wrong, there = (asked.rule, RULES) if asked.method in NAMES else (asked.method, NAMES)
        raise SettingsError(f"there is no {wrong[:40]!r}; there are {', '.join(there)}")
    if (asked.tokens is None) == (asked.share is None):
        raise SettingsError("say either how many tokens to keep or which share of them")
    begun = time.process_time()
    windows = Windows.of(sequences)
    price = costs(sequences, dictionary, tokenizer_of())
    budget = asked.tokens if asked.tokens is not None else float(asked.share or 0) * float(price.sum())
    importance = measured(windows, asked, tell=tell)
    encodings = states(train(windows, np.ones((1, len(windows))), asked.seed), windows)
    rule = BASELINES.get(asked.method) or RULES[asked.rule]
    chosen = rule(Known(sequences, importance, price, encodings, asked.seed), budget)
    same = Counter(sequences)
    if not chosen:
        raise RetrainError(
            f"the shortest sequence costs {price.min()} tokens, above the budget of {budget:g}: allow more"
        )
    kept = sorted(chosen)
    return Compression(
        asked,
        time.process_time() - begun,
        tuple(importance.tolist()),
        tuple(kept),
        tuple(chosen[row] for row in kept),
        tuple(same[sequences[row]] for row in kept),
        int(price.sum()),
        int(price[kept].sum()),
    )


def measured(windows: Windows, asked: Asked, *, tell: Tell = _silent) -> Floats:
    """Return the importance of each sequence (n,) by a method; by a baseline, which looks at none, all are alike."""
    if asked.method not in METHODS:
        return np.ones(len(windows))
    extra = {"kept": asked.kept} if asked.method == "exact" else {}
    return METHODS[asked.method](windows, asked.seed, tell=tell, **extra)


def compress_files(
    dictionary: Path, sequences: Path, asked: Asked, *, out: Path, scores: Path | None, tell: Tell
) -> Compression:
    """Compress a file of the published data sets' form; raises SettingsError naming the file that is wrong."""
    try:
        names = DatasetNames.parse(dictionary.read_text(encoding="utf-8"))
        lived = names.sequences(sequences.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, MessageError) as error:
        raise SettingsError(f"{dictionary}, {sequences}: {error}") from error
    if not lived:
        raise SettingsError(f"{sequences}: no sequence in it")
    found = compress(lived, names.dictionary(lived), asked, tell=tell)
    out.write_text(names.lines(lived[row] for row in found.kept), encoding="utf-8")
    if scores is not None:
        scores.write_text(json.dumps(found.scores()) + "\n", encoding="utf-8")
    return found
