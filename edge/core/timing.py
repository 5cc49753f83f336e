"""Seconds for what was written: a language model tells days and hours, a home's own days tell how long things take."""

from collections import defaultdict
from collections.abc import Sequence as Items
from dataclasses import replace
from itertools import pairwise

import numpy as np

from edge.core.sequences import HOUR, Sequence, Step, hours_between

MOST = 400  # durations remembered of one kind: more say nothing new


class Timing:
    """The durations a home lived, by what was done and how many hours lay before it."""

    def __init__(self, lived: Items[Sequence]) -> None:
        """Look at sequences whose seconds are known; those of data sets have none, and then nothing is ever timed."""
        self._gaps: defaultdict[tuple[str, str, int], list[float]] = defaultdict(list)
        self._any: defaultdict[int, list[float]] = defaultdict(list)
        self._since: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        for sequence in lived:
            for before, step in pairwise(sequence):
                if step.gap is not None and not step.carried:
                    hours = hours_between(before, step)
                    _add(self._gaps[step.device, step.control, hours], step.gap)
                    _add(self._any[hours], step.gap)
            for step in sequence:
                if step.since is not None and not step.carried:
                    _add(self._since[step.device, step.control], step.since)

    def timed(self, sequences: Items[Sequence], seed: int) -> list[Sequence]:
        """Return the sequences with the durations they lack, drawn from those the home lived; nothing else changes."""
        rng = np.random.default_rng([seed, 17])
        return [self._timed(sequence, rng) for sequence in sequences] if self._any else list(sequences)

    def _timed(self, sequence: Sequence, rng: np.random.Generator) -> Sequence:
        out: list[Step] = []
        acted: dict[str, float] = {}
        now = 0.0
        for step in sequence:
            gap = step.gap
            if out and gap is None:
                gap = self._gap(hours_between(out[-1], step), step, rng)
            now += gap or 0.0
            since = step.since
            if since is None and step.device in acted:
                since = now - acted[step.device]
            elif since is None:
                lived = self._since.get((step.device, step.control), ())
                since = float(rng.choice(lived)) if lived else None
            out.append(replace(step, gap=gap, since=since))
            acted[step.device] = now
        return tuple(out)

    def _gap(self, hours: int, step: Step, rng: np.random.Generator) -> float:
        lived = self._gaps.get((step.device, step.control, hours)) or self._any.get(hours)
        return float(rng.choice(lived)) if lived else (hours + float(rng.random())) * HOUR


def _add(durations: list[float], duration: float) -> None:
    if len(durations) < MOST:
        durations.append(duration)
