"""The quality of what was written, of itself: possible, varied, near the real target, not copied."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from collections.abc import Sequence as Items

import numpy as np
from numpy.typing import NDArray

from edge.core.filters import Sieve, transitions
from edge.core.scenes import fault
from edge.core.sequences import LENGTH, Sequence, Step
from trainer.evaluate.figures import Figures
from trainer.evaluate.shifts import Shift

OUTLYING = frozenset({"outlying transitions", "outlying reconstruction"})  # possible, though kept out
GRAMS = (1, 2, 3)
PROBED = 200  # written sequences whose nearest source sequence is looked for, from the first on


def quality(shift: Shift, sieve: Sieve) -> Figures:
    """Return the figures of what one column wrote; all but the first two are of what was kept.

    `distinct_n`: different n-grams of controls over all of them. `coverage`: of the dictionary's devices that
    the target scene allows. `js_*`: Jensen-Shannon distance (0 to 1) to the real target's hours, devices and
    transitions. `copied`: identical to a source sequence, hours included. `edit_distance`: of the controls to
    the nearest source sequence's, over the longer's length.
    """
    kept = sieve.kept
    total = len(kept) + len(sieve.rejected)
    outlying = sum(reason in OUTLYING for _, reason in sieve.rejected)
    found = {
        "valid": (len(kept) + outlying) / total if total else 0.0,
        "kept": len(kept) / total if total else 0.0,
    }
    if not kept:
        return found
    lived = set(shift.home.sequences)
    found |= {f"distinct_{n}": distinct(kept, n) for n in GRAMS}
    found |= {
        "coverage": coverage(shift, kept),
        "js_hour": _distance(kept, shift.normal, lambda step: step.hour),
        "js_device": _distance(kept, shift.normal, lambda step: step.device),
        "js_transition": divergence(Counter(transitions(kept)), Counter(transitions(shift.normal))),
        "copied": float(np.mean([each in lived for each in kept])),
        "edit_distance": nearest(kept[:PROBED], shift.home.sequences),
    }
    return found


def distinct(sequences: Iterable[Sequence], n: int) -> float:
    """Return the share of different n-grams of controls among all of them; 0 of none."""
    grams = [
        tuple((step.device, step.control) for step in sequence[place : place + n])
        for sequence in sequences
        for place in range(len(sequence) - n + 1)
    ]
    return len(set(grams)) / len(grams) if grams else 0.0


def coverage(shift: Shift, sequences: Iterable[Sequence]) -> float:
    """Return the share of the dictionary's devices, of those the target scene allows, that appear."""
    home = shift.home
    hours = range(0, 24, 24 // home.slots)
    allowed = {
        device
        for device, control in home.dictionary.controls
        if any(fault(Step(0, at, device, control), home.dictionary.kind(device), shift.target) is None for at in hours)
    }
    used = {step.device for sequence in sequences for step in sequence}
    return len(allowed & used) / len(allowed) if allowed else 0.0


def divergence(one: Counter[Hashable], other: Counter[Hashable]) -> float:
    """Return the Jensen-Shannon distance of two counts: 0 alike, 1 with nothing in common (square root, in bits)."""
    if not one or not other:
        return 0.0 if one == other else 1.0
    keys = list(one | other)
    p, q = (np.array([count[key] for key in keys], np.float64) / count.total() for count in (one, other))
    middle = (p + q) / 2
    nats = [float((part[part > 0] * np.log2(part[part > 0] / middle[part > 0])).sum()) for part in (p, q)]
    return float(np.sqrt(min(max(sum(nats) / 2, 0.0), 1.0)))


def _distance(one: Iterable[Sequence], other: Iterable[Sequence], field: Callable[[Step], Hashable]) -> float:
    counts = (Counter(field(step) for sequence in part for step in sequence) for part in (one, other))
    return divergence(*counts)


def nearest(written: Items[Sequence], lived: Items[Sequence]) -> float:
    """Return the mean edit distance of controls to the nearest lived sequence, over the longer's length."""
    ids: dict[tuple[str, str], int] = {}

    def numbered(sequence: Sequence) -> tuple[int, ...]:
        return tuple(ids.setdefault((step.device, step.control), len(ids)) for step in sequence[:LENGTH])

    known = list({numbered(each) for each in lived})
    table = np.full((len(known), LENGTH), -1)
    for row, each in enumerate(known):
        table[row, : len(each)] = each
    lengths = np.array([len(each) for each in known])
    return float(np.mean([_nearest(numbered(each), table, lengths) for each in written]))


def _nearest(one: tuple[int, ...], table: NDArray[np.int64], lengths: NDArray[np.int64]) -> float:
    """Levenshtein distance of one sequence to every row of a table at once."""
    before = np.broadcast_to(np.arange(LENGTH + 1), (len(table), LENGTH + 1)).copy()
    for place, each in enumerate(one):
        now = np.empty_like(before)
        now[:, 0] = place + 1
        for other in range(LENGTH):
            swapped = before[:, other] + (table[:, other] != each)
            now[:, other + 1] = np.minimum(swapped, np.minimum(before[:, other + 1], now[:, other]) + 1)
        before = now
    apart = before[np.arange(len(table)), lengths]
    return float((apart / np.maximum(lengths, len(one))).min())
