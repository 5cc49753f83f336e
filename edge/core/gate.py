"""Incumbent and candidate to a decision: the gate before a swap, and probation after it.

Both measure on real sequences of the home only. Injected anomalies are real held-out sequences with one
thing made wrong, of the four kinds of SmartGuard (KDD 2024): a device flickers, an order is wrong, a
behavior comes at the wrong moment, or another control stands in its place.
"""

from collections.abc import Sequence as Items
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edge.core.metrics import WITHIN, Metrics
from edge.core.sequences import LENGTH, Sequence
from edge.core.verdicts import UNUSUAL

TRAIN, CALIBRATE, MEASURE = 0, 1, 2
MIN_HELD_OUT = 10  # real sequences under which the gate can say nothing
AUROC_SLACK = 0.05
RATE_SLACK = 0.05
RECALL_SLACK = 0.05
# Recall a day that may be lost for good: many nights, each a little worse, are no way around the gate.
SINKING = 0.05 / 30
NEXT_SLACK = 0.7  # nats; half as likely: part of what a candidate is trained on may be of another scene
KINDS = 4  # of anomalies
FLICKER = 5.0  # seconds between two acts of a device that flickers
PROBATION_SEQUENCES = 30
PROBATION_DAYS = 3.0


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the candidate goes live, each reason in words, and what both scored (None: nothing to measure on)."""

    accepted: bool
    reasons: tuple[str, ...]
    incumbent: Metrics | None = None
    candidate: Metrics | None = None


def bound(incumbent: Metrics, least: float, days: float) -> float:
    """Return the recall that what comes after an incumbent is compared with.

    `least`: such a bound when it was learned, `days` ago by a clock that may have been set back. Where it tells too
    much by now, the home has changed, and its bound is of another home.
    """
    kept = least - SINKING * max(days, 0.0) if incumbent.false_positive_rate <= WITHIN else 0.0
    return max(incumbent.recall_within, kept)


def slack(found: float, anomalies: int) -> float:
    """Return how much less of so many anomalies may be found: two standard errors, or little."""
    return max(RECALL_SLACK, 2 * float(np.sqrt(found * (1 - found) / max(anomalies, 1))))


def lowering(odd: NDArray[np.floating], found: float) -> float:
    """Return what limits are to be multiplied by, so that no less is found than may be; 1 where that is so.

    `odd` (n,): scores of anomalies. Who lives oddly on the days limits are fitted on raises them; what then is found
    says by how much.
    """
    wanted = int(np.ceil((found - slack(found, odd.size)) * odd.size))
    if wanted <= 0 or int((odd > UNUSUAL).sum()) >= wanted:
        return 1.0
    least = float(np.sort(odd)[-wanted])
    return min(1.0, least * (1 - 1e-9)) if np.isfinite(least) and least > 0 else 1.0


def decide(incumbent: Metrics, candidate: Metrics, found: float | None = None) -> Decision:
    """Accept the candidate only where it is not worse than the incumbent on what stays valid in the new scene.

    Rankings alone would let limits loosen: who lives oddly on the days they are fitted on would raise them out of
    reach. So what each finds at its own limits counts, too. An incumbent that tells too much finds more than it
    should: then it is what it would find at higher limits. `found`: the recall to compare with, if another than that.
    """
    if candidate.normals < MIN_HELD_OUT:
        reason = (
            f"only {candidate.normals} held-out sequences stay valid in the new scene (needs {MIN_HELD_OUT}): "
            "it goes live on probation"
        )
        return Decision(True, (reason,), incumbent, candidate)
    faults: list[str] = []
    if not np.isfinite(candidate.nll):
        faults.append("the candidate's scores are not finite")
    chance = 2 * float(np.sqrt(incumbent.auroc * (1 - incumbent.auroc) / candidate.normals))  # two standard errors
    if candidate.auroc < incumbent.auroc - max(AUROC_SLACK, chance):
        faults.append(f"AUROC on injected anomalies falls from {incumbent.auroc:.3f} to {candidate.auroc:.3f}")
    found = incumbent.recall_within if found is None else found
    if candidate.recall < found - slack(found, candidate.anomalies):
        faults.append(
            f"of the injected anomalies it finds a share of {candidate.recall:.3f} at its limits instead of {found:.3f}"
        )
    limit = max(incumbent.false_positive_rate, RATE_SLACK) + RATE_SLACK
    if candidate.false_positive_rate > limit:
        faults.append(
            f"false positives on held-out days rise from {incumbent.false_positive_rate:.3f} "
            f"to {candidate.false_positive_rate:.3f}"
        )
    if candidate.next_nll > incumbent.next_nll + NEXT_SLACK:
        faults.append(
            f"the next behavior surprises by {candidate.next_nll:.2f} nats instead of {incumbent.next_nll:.2f}"
        )
    if faults:
        return Decision(False, tuple(faults), incumbent, candidate)
    kept = f"not worse on {candidate.normals} held-out sequences that stay valid"
    return Decision(True, (kept,), incumbent, candidate)


@dataclass(frozen=True, slots=True)
class Trial:
    """One real sequence of the new scene, scored by both models; `time` in seconds since the epoch."""

    time: float
    candidate: float
    incumbent: float


def probation(trials: Items[Trial]) -> Decision | None:
    """Decide on the swap from real days of the new scene; None while they are too few to tell.

    The candidate is worse where its mean score on what the home really does is above the incumbent's by
    more than two standard errors of the paired difference.
    """
    if len(trials) < PROBATION_SEQUENCES or trials[-1].time - trials[0].time < PROBATION_DAYS * 86400:
        return None
    difference = np.array([trial.candidate - trial.incumbent for trial in trials])
    error = float(difference.std(ddof=1) / np.sqrt(difference.size))
    mean = float(difference.mean())
    told = f"{mean:+.2f} nats a sequence against the incumbent over {difference.size} real sequences"
    if mean > 2 * error:
        return Decision(False, (f"worse on real days: {told}",))
    return Decision(True, (f"stays: {told}",))


def roles(sequences: Items[Sequence]) -> NDArray[np.int8]:
    """Return what each sequence, in order of time, is for: TRAIN, CALIBRATE or MEASURE.

    One of every eight runs calibrates and one measures, whole, for the sequences of one run share behaviors. They
    are drawn within each eight: a fixed place would always fall on the same habit of a regular day. The draw of an
    earlier eight never changes as a home lives on.
    """
    run = np.cumsum([not (sequence and sequence[0].carried) for sequence in sequences], dtype=np.int64)
    blocks = -(-int(run[-1] + 1) // 8) if len(run) else 0
    rng = np.random.default_rng(8)
    order = np.argsort(rng.random((blocks, 8)), axis=1)
    marks = np.full((blocks, 8), TRAIN, np.int8)
    marks[order == 0] = CALIBRATE
    marks[order == 1] = MEASURE
    found: NDArray[np.int8] = marks.reshape(-1)[run - int(run[0])] if len(run) else marks.reshape(-1)
    return found


def inject(sequences: Items[Sequence], pairs: Items[tuple[str, str]], seed: int) -> list[Sequence]:
    """Return anomalies of each sequence, KINDS of them in turn. `pairs`: what could have happened instead."""
    rng = np.random.default_rng(seed)
    return [_anomaly(kind, sequence, pairs, rng) for sequence in sequences if sequence for kind in range(KINDS)]


def _anomaly(kind: int, sequence: Sequence, pairs: Items[tuple[str, str]], rng: np.random.Generator) -> Sequence:
    steps = list(sequence)
    own = [place for place, step in enumerate(steps) if not step.carried] or list(range(len(steps)))
    place = own[int(rng.integers(len(own)))]
    step = steps[place]
    if kind == 0:  # the device flickers, seconds apart where seconds are known
        again = step if step.gap is None else replace(step, gap=FLICKER, since=FLICKER)
        steps[place : place + 1] = [step, *[again] * 5]
    elif kind == 1 and len(set(steps)) > 2:  # the order is wrong, the clock goes on
        shuffled = [(each.device, each.control) for each in steps]
        rng.shuffle(shuffled)
        steps = [replace(each, device=pair[0], control=pair[1]) for each, pair in zip(steps, shuffled, strict=True)]
    elif kind == 2:  # the right behavior at the wrong moment, half a day off
        shift = int(rng.integers(9, 16))
        steps = [replace(each, hour=(each.hour + shift) % 24) for each in steps]
    else:  # another control in its place
        others = [pair for pair in pairs if pair != (step.device, step.control)] or [(step.device, "?")]
        device, control = others[int(rng.integers(len(others)))]
        steps[place] = replace(step, device=device, control=control)
    return tuple(steps[:LENGTH])
