"""The step both loops of learning share: real and synthetic sequences to a trained, calibrated model."""

from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.core import calibration
from edge.core.calibration import Limits
from edge.core.gate import CALIBRATE, MEASURE, MIN_HELD_OUT, TRAIN, roles
from edge.core.memory import Memory
from edge.core.prompts import Pair
from edge.core.recalibration import Held
from edge.core.scenes import Scene, valid_runs
from edge.core.sequences import Sequence, tokens
from edge.core.vocabulary import Vocabulary
from edge.synthesis import Home, Progress, Scoring

SYNTHETIC_SHARE = 0.5  # of what a new scene is thought to bring; what of the old days stays valid is the rest
CLEARED = 4  # times that what alerted and was fine is trained on besides: once in months, it would alert again


class Trained(Protocol):
    """What retraining gives (edge/retrainer.py)."""

    @property
    def parameters(self) -> NDArray[np.float32]:
        """The flat parameters (P,)."""
        ...

    @property
    def steps(self) -> int:
        """Training steps made."""
        ...

    @property
    def seconds(self) -> float:
        """Wall time."""
        ...

    @property
    def peak_rss_mb(self) -> float:
        """The training process's largest memory."""
        ...

    @property
    def engine(self) -> str:
        """What did the arithmetic."""
        ...


Retraining = Callable[..., Trained]  # (tokens, weight, *, seed, on_progress) -> Trained
ScorerOf = Callable[[NDArray[np.float32], Vocabulary], Scoring]
Settling = Callable[[NDArray[np.float32], Vocabulary, Counter[Pair]], NDArray[np.float32]]


@dataclass(frozen=True)
class Split:
    """What of a home's real sequences is valid in a scene: to train on, to calibrate on, to measure on.

    What is held out is marked before anything is cut out, so that no model has ever seen it. `alerted`: places in
    `measure` of what did; limits must hold for it, too, and nothing is judged by it.
    """

    train: tuple[Sequence, ...]
    calibrate: tuple[Sequence, ...]
    measure: tuple[Sequence, ...]
    alerted: frozenset[int] = frozenset()

    @property
    def judged(self) -> tuple[Sequence, ...]:
        """What models are compared on; where too little never alerted, all that is held out for it."""
        calm = tuple(each for place, each in enumerate(self.measure) if place not in self.alerted)
        return calm if len(calm) >= MIN_HELD_OUT else self.measure

    @classmethod
    def of(cls, home: Home, scene: Scene, turned: int | None = None) -> "Split":
        """Split a home's sequences for a scene; those from place `turned` on were lived in it and stay whole.

        What a person cleared is trained on as it was scored, up to the behavior that alerted, whatever its run is for.
        A sequence alerts once, whatever follows in it: what follows is held out as it was, and never trained on.
        """

        def valid(each: Sequence, place: int) -> list[Sequence]:
            return [each] if turned is not None and place >= turned else valid_runs(each, home.dictionary, scene)

        marked = enumerate(zip(home.sequences, roles(home.sequences), strict=True))
        kept = [
            (run, role, place in home.calm)
            for place, (each, role) in marked
            for run in valid(each[: home.calm.get(place)] if role == TRAIN else each, place)
            if not all(step.carried for step in run)
        ]
        kept += [(run, TRAIN, False) for place, each in home.cleared for run in valid(each, place)] * CLEARED

        def of(wanted: int) -> tuple[Sequence, ...]:
            return tuple(each for each, role, _ in kept if role == wanted)

        alerted = [told for _, role, told in kept if role == MEASURE]
        return cls(
            of(TRAIN), of(CALIBRATE), of(MEASURE), frozenset(place for place, told in enumerate(alerted) if told)
        )


@dataclass(frozen=True)
class Fitted:
    """A candidate: the scorer that runs it, its limits and what they were fitted on, how it was trained."""

    scorer: Scoring
    parameters: NDArray[np.float32]
    limits: Limits
    trained: Trained
    held: Held

    def report(self) -> dict[str, Any]:
        """Return the figures of the training."""
        return {
            "steps": self.trained.steps,
            "seconds": round(self.trained.seconds, 2),
            "peak_rss_mb": round(self.trained.peak_rss_mb, 1),
            "engine": self.trained.engine,
        }


def fit(
    split: Split,
    synthetic: Items[Sequence],
    vocabulary: Vocabulary,
    alpha: float,
    *,
    retrain: Retraining,
    scorer_of: ScorerOf,
    seed: int,
    possible: Items[Pair] = (),
    settle: Settling | None = None,
    on_progress: Progress | None = None,
) -> Fitted:
    """Train on real and synthetic sequences and fit the limits on held-out ones.

    `possible`: what may happen in the scene though nobody has done it yet. `settle`: given the trained parameters and
    how often each pair was trained on, returns those to use.

    The limits are fitted on what the new scene will bring: held-out real sequences, and held-out synthetic
    ones beside them. Quality is measured elsewhere (the gate), on real sequences only.
    """
    marked = list(zip(synthetic, roles(synthetic), strict=True))
    written = [sequence for sequence, role in marked if role == TRAIN]
    unseen = [sequence for sequence, role in marked if role != TRAIN]
    progress = (lambda done, of: on_progress("retraining", done, of)) if on_progress else None
    trained = retrain(
        tokens([*split.train, *written], vocabulary),
        _weights(len(split.train), len(written)),
        seed=seed,
        possible=np.array(
            [(vocabulary.device_id(device), vocabulary.control_id(device, control)) for device, control in possible],
            np.int64,
        ).reshape(-1, 2),
        on_progress=progress,
    )
    steps = (step for each in (*split.train, *written) for step in each if not step.carried)
    counts = Counter((step.device, step.control) for step in steps)
    network = trained.parameters if settle is None else settle(trained.parameters, vocabulary, counts)
    parameters = np.concatenate([network, Memory.of([*split.train, *written], vocabulary, possible).flat()])
    scorer = scorer_of(parameters, vocabulary)
    surprise = scorer.surprise([*split.calibrate, *unseen])
    share = _weights(len(split.calibrate), len(unseen))
    limits = calibration.calibrate(surprise, alpha, share)
    return Fitted(scorer, parameters, limits, trained, Held.of(surprise, share, len(split.calibrate)))


def _weights(real: int, synthetic: int) -> NDArray[np.float32]:
    """Return what each sequence weighs, on average one: all alike, or each group its share.

    The same for training and for the limits: what the new scene is thought to bring is one thing.
    """
    if not real or not synthetic:
        return np.ones(real + synthetic, np.float32)
    count = real + synthetic
    own = np.full(real, (1 - SYNTHETIC_SHARE) * count / real, np.float32)
    return np.concatenate([own, np.full(synthetic, SYNTHETIC_SHARE * count / synthetic, np.float32)])
