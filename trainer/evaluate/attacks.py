"""The table of attacks: one detector, learned on a home's normal windows, and what it finds in attacked ones.

Limits come from the validation windows alone, at 5 % and 1 %, by the same split-conformal rule for all. What is ours
goes through the hub's own fit and scorer; the peers are those of trainer/peers.
"""

import math
import time
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from edge.core import calibration
from edge.core.metrics import auroc, measure
from edge.core.sequences import Sequence
from edge.core.verdicts import UNUSUAL
from edge.core.vocabulary import Vocabulary
from edge.fit import Split, fit
from edge.history import slots_of
from edge.retrainer import retrain
from edge.scorer import Scorer
from edge.slots import shipped, verify_model
from trainer.evaluate.attack_sets import AttackSet
from trainer.evaluate.figures import average_precision, figure
from trainer.peers.catalog import PEERS
from trainer.peers.peer import Floats, Given

OURS = "ours"
NAMES = (OURS, *PEERS)
LEVELS = {"95": 0.05, "99": 0.01}  # the percentile of the limits, and alpha
TIMED = 200  # scores the latency is the median of
LIMIT_SECONDS = 3600.0  # of our training

Tell = Callable[[float], None]  # the share of the training that is done


@dataclass(frozen=True)
class Scores:
    """How odd a detector finds the normal windows and each kind's attacks; what is above `limit` is found."""

    limit: float
    normal: Floats
    attacks: Mapping[str, Floats]


@dataclass(frozen=True)
class Learned:
    """A detector after its training: numbers learned, seconds it took, ms a score takes, and its scores by level."""

    parameters: int
    seconds: float
    latency: float
    scores: Mapping[str, Scores]


def run(name: str, home: AttackSet, given: Given) -> dict[str, Any]:
    """Train one detector with one seed and judge it; returns its raw figures in the form of the JSON.

    Raises RetrainError where our training fails.
    """
    with threadpool_limits(given.threads):
        learned = ours(home, given) if name == OURS else peer(name, home, given)
    return {
        "parameters": learned.parameters,
        "train_seconds": learned.seconds,
        "latency_ms": learned.latency,
        "kinds": {kind: _judged(learned.scores, kind) for kind in home.attacks},
    }


def given_to(home: AttackSet, seed: int, threads: int, epochs: int | None, tell: Tell) -> Given:
    """Return what every detector learns from: a vocabulary of what the home does and could do."""
    lived = [(step.device, step.control) for sequence in home.train for step in sequence]
    vocabulary = Vocabulary(slots=slots_of(home.train)).grown([*lived, *home.dictionary.controls])
    return Given(home.train, home.validation, vocabulary, seed, threads, epochs, tell)


def ours(home: AttackSet, given: Given) -> Learned:
    """Fit as the hub does, from the shipped base model, with limits on the validation windows."""
    directory = shipped("detector")
    verify_model(directory)

    def scorer_of(parameters: NDArray[np.float32], vocabulary: Vocabulary) -> Scorer:
        return Scorer(directory, parameters, vocabulary, given.threads)

    fitted = fit(
        Split(given.train, given.validation, ()),
        (),
        given.vocabulary,
        LEVELS["95"],
        retrain=partial(retrain, model_dir=directory, threads=given.threads, limit_seconds=LIMIT_SECONDS),
        scorer_of=scorer_of,
        seed=given.seed,
        on_progress=lambda _, done, of: given.tell(done / of),
    )
    scorer = scorer_of(fitted.trained.parameters, given.vocabulary)
    held_out, normal = (scorer.surprise(part) for part in (home.validation, home.normal))
    attacks = {kind: scorer.surprise(part) for kind, part in home.attacks.items()}

    def scores(alpha: float) -> Scores:
        limits = calibration.calibrate(held_out, alpha)
        return Scores(UNUSUAL, limits.scores(normal), {kind: limits.scores(part) for kind, part in attacks.items()})

    return Learned(
        parameters=fitted.trained.parameters.size,
        seconds=fitted.trained.seconds,
        latency=latency(scorer.newest, home.normal),
        scores={level: scores(alpha) for level, alpha in LEVELS.items()},
    )


def peer(name: str, home: AttackSet, given: Given) -> Learned:
    """Train a peer and score with it."""
    began = time.perf_counter()
    model = PEERS[name](given)
    seconds = time.perf_counter() - began
    held_out, normal = model.scores(home.validation), model.scores(home.normal)
    attacks = {kind: model.scores(part) for kind, part in home.attacks.items()}
    return Learned(
        parameters=model.parameters,
        seconds=seconds,
        latency=latency(lambda sequence: model.scores([sequence]), home.normal),
        scores={level: Scores(limit(held_out, alpha), normal, attacks) for level, alpha in LEVELS.items()},
    )


def limit(held_out: Floats, alpha: float) -> float:
    """Return the score at most a share alpha of windows like these (n,) is above: the (n+1)(1-alpha)-th smallest."""
    rank = math.ceil((len(held_out) + 1) * (1 - alpha) - 1e-9)
    return float(np.sort(held_out)[min(rank, len(held_out)) - 1])


def latency(score: Callable[[Sequence], object], sequences: Items[Sequence]) -> float:
    """Return the median milliseconds of scoring one window."""
    taken: list[float] = []
    for place in range(TIMED + TIMED // 10):
        sequence = sequences[place % len(sequences)]
        began = time.perf_counter()
        score(sequence)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken[-TIMED:])) * 1000  # the first ones warm up


def _judged(levels: Mapping[str, Scores], kind: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for level, scores in levels.items():
        told = measure(scores.normal, scores.attacks[kind], scores.limit)
        out[level] = {"f1": told.f1, "fpr": told.false_positive_rate, "recall": told.recall}
    ranked = next(iter(levels.values()))  # the levels differ by a factor at most
    return out | {
        "auroc": auroc(ranked.normal, ranked.attacks[kind]),
        "ap": average_precision(ranked.normal, ranked.attacks[kind]),
    }


def merged(runs: Items[Any]) -> Any:
    """Return several runs' figures as one: every number becomes its mean, spread and count."""
    if not isinstance(runs[0], Mapping):
        return figure(runs)
    return {key: merged([each[key] for each in runs]) for key in runs[0]}
