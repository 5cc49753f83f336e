"""Limits that follow the days: what was held out of the training, and what was lived since.

What the model surprised by on real days after its training is what the days to come are like. What alerted and was
not cleared may be no part of normal life: taken as it was, an intruder's deeds would widen the limits; left out, each
night would cut off the tail and the limits would creep down. So it is censored, as times of survival are: its mass
stays, and its height is that of the limits that held; times RISE where something alerted on more days than is wanted,
and FEW besides. So the limits follow only where more alerts than wanted are told and nobody calls them wrong, by RISE a
night at most (as adaptive conformal inference does step by step; Gibbs and Candes, NeurIPS 2021), never because of a
few days. What was called wrong is no part of normal life and does not count.
"""

import math
from collections.abc import Sequence as Items
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.core.calibration import PARTS, Limits, calibrate
from edge.core.errors import EdgeError

RISE = 1.05  # what alerted may lift the limits by in one night: doubled after two weeks of too many alerts
FEW = 1 / 3  # share of the days that may be odd besides what is wanted; with more of them, the home has changed
NORMAL, UNCLEARED, WRONG = 0, 1, 2  # what is known of a behavior: nothing odd or cleared, alerted, called wrong
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Held:
    """What a model surprised by on sequences it was not trained on: (steps, 3) nats each, of their own steps.

    `share` (n,): what each stands for. `written` (n,): by the language model, for a scene nobody has lived yet.
    """

    surprise: tuple[NDArray[np.float64], ...] = ()
    share: tuple[float, ...] = ()
    written: tuple[bool, ...] = ()

    @classmethod
    def of(cls, surprise: Items[Floats], share: Items[float] | Floats | None = None, real: int | None = None) -> "Held":
        """Keep the surprise of sequences; those from place `real` on were written."""
        whole = [place for place, steps in enumerate(surprise) if len(steps) and np.isfinite(steps).all()]
        first = len(surprise) if real is None else real
        return cls(
            tuple(np.asarray(surprise[place], np.float64) for place in whole),
            tuple(1.0 if share is None else float(share[place]) for place in whole),
            tuple(place >= first for place in whole),
        )

    @classmethod
    def parse(cls, rows: object) -> "Held":
        """Read what `rows` wrote; raises EdgeError for anything else."""
        try:
            table = [(float(row[0]), bool(row[1]), np.array(row[2:], np.float64)) for row in list(rows)]  # type: ignore[call-overload]
            surprise = [nats.reshape(-1, len(PARTS)) for _, _, nats in table]
        except (ValueError, TypeError, LookupError) as error:
            raise EdgeError("not what was held out") from error
        if not all(share >= 0 and nats.size and np.isfinite(nats).all() for share, _, nats in table):
            raise EdgeError("not what was held out")
        return cls(tuple(surprise), tuple(row[0] for row in table), tuple(row[1] for row in table))

    def rows(self) -> list[list[float]]:
        """Return plain numbers, to be kept as JSON: of each sequence its share, whether it was written, its nats."""
        each = zip(self.surprise, self.share, self.written, strict=True)
        return [[share, int(written), *np.round(nats, 2).reshape(-1).tolist()] for nats, share, written in each]

    def joined(self, other: "Held") -> "Held":
        """Return both together."""
        return Held(self.surprise + other.surprise, self.share + other.share, self.written + other.written)


def needed(alpha: float) -> int:
    """Return how many sequences split conformal prediction needs to tell one in 1/alpha: a week's, at one alarm."""
    return max(1, math.ceil(1 / alpha - 1 - 1e-9))


def rising(days: Items[int], known: Items[Items[int]], alpha: float) -> float:
    """Return how many times the limits that held what alerted stands for. `days`, `known`: of each sequence lived.

    `alpha`: the share of sequences that is wanted to alert.
    """
    alerted = {day for day, marks in zip(days, known, strict=True) if UNCLEARED in marks}
    count = len(set(days))
    return RISE if count * FEW >= 1 and len(alerted) > alpha * len(days) + count * FEW else 1.0


def censored(surprise: Floats, known: Items[int], limits: Limits, rise: float = RISE) -> NDArray[np.float64]:
    """Return the surprise (steps, 3) of a sequence, censored where it alerted, without what was called wrong.

    `known` (steps,): NORMAL, UNCLEARED or WRONG; `limits`: those that held, `rise` times which is the most. As the
    steps of a sequence alert together, they are censored together.
    """
    marks = np.asarray(known, np.int64)
    normal: NDArray[np.float64] = np.asarray(surprise, np.float64)[marks != WRONG]
    if not (marks == UNCLEARED).any():
        return normal
    score = float(limits.scores([normal])[0])
    return normal * min(1.0, rise / score) if score > 0 else normal


def refitted(held: Held, lived: Items[Floats], limits: Limits) -> Limits:
    """Return limits by what was held out and what was lived since, at the same alpha.

    `lived`: surprise (steps, 3) of real sequences since the training, censored. What was written for the scene gives
    way as real days of it come, and is gone when there are `needed` of them. Raises EdgeError where nothing is left.
    """
    seen = Held.of(lived)
    fading = max(0.0, 1 - len(seen.share) / needed(limits.alpha))
    kept = held.joined(seen)
    share = np.where(kept.written, fading, 1.0) * np.array(kept.share)
    stays = np.flatnonzero(share > 0)
    return calibrate([kept.surprise[place] for place in stays], limits.alpha, share[stays])
