"""Incumbent and candidate on the same real sequences: what each finds, and the limits a candidate may go live with."""

from dataclasses import dataclass, replace

from edge.core import gate
from edge.core.calibration import Limits
from edge.core.metrics import Metrics, measure
from edge.core.sequences import Sequence
from edge.core.verdicts import UNUSUAL
from edge.fit import Split
from edge.synthesis import Home, Scoring


@dataclass(frozen=True)
class Contest:
    """What models of a home are compared on; `seed` draws the anomalies."""

    split: Split
    home: Home
    seed: int

    def measured(self, scorer: Scoring, limits: Limits, live: Limits | None = None) -> Metrics:
        """Measure a model on real held-out sequences, on anomalies injected into them, on what people called wrong.

        `live`: the limits it goes live with, where they are fitted on what it is measured on, too: it finds what it
        finds at these.
        """
        normal = scorer.surprise(self.split.judged)
        odd = scorer.surprise(self._anomalies())
        told = measure(limits.scores(normal), limits.scores(odd), UNUSUAL, scorer.foretold(self.split.judged).nats)
        if live is None or not odd:
            return told
        return replace(told, recall=float((live.scores(odd) > UNUSUAL).mean()))

    def lowering(self, scorer: Scoring, limits: Limits, found: float) -> float:
        """Return what a candidate's limits are to be multiplied by, so that it finds about as much as `found`."""
        if len(self.split.judged) < gate.MIN_HELD_OUT:
            return 1.0
        return gate.lowering(limits.scores(scorer.surprise(self._anomalies())), found)

    def _anomalies(self) -> list[Sequence]:
        return [*gate.inject(self.split.judged, self.home.dictionary.controls, self.seed), *self.home.anomalies]
