"""Plain scene rules: a home's own sequences moved into another scene, without any language model.

What the scene makes impossible is dropped, a home active in the other part of the day has its clock moved by
half a day, what the season wakes is switched on and off, and a second person's life runs through the first's.
"""

from collections.abc import Sequence as Items
from dataclasses import replace

import numpy as np

from edge.core.dictionary import Dictionary
from edge.core.proposals import switches, woken
from edge.core.scenes import DAYTIME, Scene, fault
from edge.core.sequences import LENGTH, Sequence, Step

WOKEN_SHARE = 0.5  # of the sequences in which a device the scene wakes is switched


def moved(
    sequences: Items[Sequence], dictionary: Dictionary, source: Scene, target: Scene, seed: int
) -> list[Sequence]:
    """Return each sequence as the rules have it in the target scene; what they leave nothing of is left out."""
    rng = np.random.default_rng(seed)
    switched = [pair for pair in woken(dictionary, target) if switches(pair)]
    crowded = target.occupancy == "multiple" != source.occupancy
    out: list[Sequence] = []
    for sequence in sequences:
        steps = _shifted(sequence, target)
        if crowded:
            steps = _interleaved(steps, _shifted(sequences[int(rng.integers(len(sequences)))], target), rng)
        steps = tuple(step for step in steps if fault(step, dictionary.kind(step.device), target) is None)
        if steps and switched and rng.random() < WOKEN_SHARE:
            steps = _switched(steps, switched, rng)
        if steps:
            out.append(steps[:LENGTH])
    return out


def _shifted(sequence: Sequence, target: Scene) -> Sequence:
    """Move a sequence by half a day where most of it lies in the wrong part of the day."""
    wrong = [(step.hour in DAYTIME) == (target.part == "night") for step in sequence]
    if not target.part or sum(wrong) * 2 <= len(wrong):
        return sequence
    return tuple(replace(step, hour=(step.hour + 12) % 24) for step in sequence)


def _interleaved(one: Sequence, other: Sequence, rng: np.random.Generator) -> Sequence:
    """Let two lives go through each other on the first one's clock."""
    both: list[Step] = []
    rest = [list(one), list(other)]
    now = one[0]
    while (rest[0] or rest[1]) and len(both) < LENGTH:
        take = 0 if not rest[1] or (rest[0] and rng.random() < 0.5) else 1
        step = rest[take].pop(0)
        now = step if take == 0 else replace(step, day=now.day, hour=now.hour)
        both.append(now)
    return tuple(both)


def _switched(steps: Sequence, switched: Items[tuple[str, str]], rng: np.random.Generator) -> Sequence:
    """Switch a woken device on, and later off where it has a switch for that."""
    device = switched[int(rng.integers(len(switched)))][0]
    uses = [control for owner, control in switched if owner == device]
    on = [control for control in uses if control.lower().endswith(" on")]
    off = [control for control in uses if control.lower().endswith(" off")]
    begin = int(rng.integers(len(steps)))
    end = int(rng.integers(begin, len(steps)))
    out: list[Step] = []
    for place, step in enumerate(steps):
        out += [replace(step, device=device, control=on[0])] if place == begin and on else []
        out.append(step)
        out += [replace(step, device=device, control=off[0])] if place == end and off else []
    return tuple(out)
