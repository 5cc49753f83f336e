"""Drop impossible and outlying synthetic sequences, each with its reason."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable
from collections.abc import Sequence as Items
from dataclasses import dataclass, field

from edge.core.dictionary import Dictionary
from edge.core.prompts import Follows
from edge.core.scenes import Scene, fault
from edge.core.sequences import FORWARD, LENGTH, Sequence, hours_between

MIN_UNSEEN = 3  # this many transitions nobody makes, and more than half of a sequence's, are outlying


@dataclass
class Sieve:
    """What is kept, and how many were rejected by reason; a rejected sequence is told with its reason."""

    kept: list[Sequence] = field(default_factory=list)
    mended: int = 0  # of the kept, those of which something was cut out
    rejected: list[tuple[Sequence, str]] = field(default_factory=list)

    def reasons(self) -> dict[str, int]:
        """Count the rejected by reason."""
        return dict(Counter(reason for _, reason in self.rejected))


def transitions(sequences: Iterable[Sequence]) -> Follows:
    """Count how often one behavior follows another."""
    counts: Follows = Counter()
    for sequence in sequences:
        for before, after in itertools.pairwise(sequence):
            counts[(before.device, before.control), (after.device, after.control)] += 1
    return counts


def impossible(sequence: Sequence, dictionary: Dictionary, scene: Scene) -> str | None:
    """Say why a sequence cannot be, None where it can."""
    if not sequence:
        return "empty"
    if len(sequence) > LENGTH:
        return "too long"
    for step in sequence:
        if (step.device, step.control) not in dictionary.pairs:
            return "not in the dictionary"
        if reason := fault(step, dictionary.kind(step.device), scene):
            return reason
    for before, after in itertools.pairwise(sequence):
        if hours_between(before, after) > FORWARD:
            return "time goes backwards"
    return None


def mended(sequence: Sequence, dictionary: Dictionary, scene: Scene) -> Sequence:
    """Cut out what a scene makes impossible, where it is the smaller part of a sequence; else change nothing.

    A writer that forgot one heater has understood the scene; one that heats all day has not.
    """
    stays = tuple(step for step in sequence if fault(step, dictionary.kind(step.device), scene) is None)
    return stays if len(stays) * 2 >= len(sequence) else sequence


def sift(
    sequences: Items[Sequence],
    dictionary: Dictionary,
    scene: Scene,
    lived: Iterable[Sequence],
    outlying: Callable[[Sequence], bool],
) -> Sieve:
    """Keep what can be and does not stand out.

    `lived`: the home's real sequences, whose transitions are habits. `outlying`: tells whether a sequence
    reconstructs badly (the incumbent model, asked only about behaviors it knows).
    """
    sieve = Sieve()
    possible: list[tuple[Sequence, bool]] = []
    for written in sequences:
        sequence = mended(written, dictionary, scene)
        if reason := impossible(sequence, dictionary, scene):
            sieve.rejected.append((sequence, reason))
        else:
            possible.append((sequence, sequence != written))
    habits = transitions(lived)
    # A transition the generator writes again and again is its proposal for the new scene, not a slip.
    proposed = transitions(sequence for sequence, _ in possible)
    for sequence, cut in possible:
        if _strays(sequence, habits, proposed):
            sieve.rejected.append((sequence, "outlying transitions"))
        elif outlying(sequence):
            sieve.rejected.append((sequence, "outlying reconstruction"))
        else:
            sieve.kept.append(sequence)
            sieve.mended += cut
    return sieve


def _strays(sequence: Sequence, habits: Follows, proposed: Follows) -> bool:
    made = transitions([sequence])
    unseen = sum(n for pair, n in made.items() if not habits[pair] and proposed[pair] - n < MIN_UNSEEN)
    return unseen >= MIN_UNSEEN and unseen * 2 > made.total()
