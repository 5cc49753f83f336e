"""The slow loop: scene change -> compress -> prompt -> generate -> filter -> retrain -> gate -> swap.

The first half is edge/synthesis.py. Nothing here touches the fast loop: an outcome is handed over, and the
agent swaps it in between two messages.
"""

from collections.abc import Iterator
from collections.abc import Sequence as Items
from dataclasses import asdict, replace
from typing import Any

from edge.contest import Contest
from edge.core import gate
from edge.core.errors import ArtifactError, GenerationError, RetrainError
from edge.core.gate import Decision
from edge.core.hours import by_hour
from edge.core.prompts import choose
from edge.core.proposals import woken
from edge.core.scenes import Scene, possible, valid_runs
from edge.core.sequences import Sequence
from edge.core.timing import Timing
from edge.fit import Fitted, Split
from edge.learning import Learning, Model, Outcome, Plan, a_day
from edge.synthesis import Home, Progress, Writing, synthesize

__all__ = ["Model", "Outcome", "Plan", "SlowLoop"]


class SlowLoop(Learning):
    """Learns the first model and adapts it to scenes, with the tools it is handed."""

    def adapt(
        self,
        home: Home,
        incumbent: Model,
        writer: Writing,
        *,
        source: Scene,
        target: Scene,
        now: float,
        on_progress: Progress | None = None,
    ) -> Outcome:
        """Adapt to a scene. Whatever fails, the incumbent stays and the report says why."""
        if (lived := self._reuse(incumbent, target)) is not None:
            return lived
        report: dict[str, Any] = {"scene": {"from": str(source), "to": str(target)}}
        try:
            candidate = self._candidate(
                home, incumbent, writer, (source, target), report=report, on_progress=on_progress
            )
        except (GenerationError, RetrainError, ArtifactError) as error:
            report["abandoned"] = str(error)
            return Outcome(None, report)
        if candidate is None:
            return Outcome(None, report)
        fitted, decision = candidate
        assert decision.candidate is not None
        metrics = replace(decision.candidate, least=decision.candidate.recall)
        name = self._store(fitted, str(target), "adapted", metrics, now)
        self._slots.promote(name)
        report["swap"] = {"from": incumbent.slot, "to": name}
        model = self._at_work(name, str(target), fitted, now, metrics.least)
        return Outcome(model, report, fitted.held, a_day(home), trial=True)

    def _reuse(self, incumbent: Model, target: Scene) -> Outcome | None:
        """Return the model a scene was lived with before, None where it is new."""
        name = None if target.new_device else self._slots.for_scene(str(target))
        if name is None:
            return None
        report: dict[str, Any] = {"scene": {"from": incumbent.scene, "to": str(target)}, "reused": name}
        if name == incumbent.slot:
            return Outcome(None, {**report, "abandoned": "the model of this scene is already in use"})
        try:
            model = self.open(name)
        except ArtifactError:
            return None  # corrupt: the scene is written anew
        self._slots.promote(name)
        report["swap"] = {"from": incumbent.slot, "to": name}
        return Outcome(model, report)

    def _candidate(
        self,
        home: Home,
        incumbent: Model,
        writer: Writing,
        scenes: tuple[Scene, Scene],
        *,
        report: dict[str, Any],
        on_progress: Progress | None,
    ) -> tuple[Fitted, Decision] | None:
        """Write, retrain and gate; fills in the report. None where the gate refuses."""
        source, target = scenes
        synthesis = synthesize(
            home,
            incumbent.scorer,
            writer,
            source=source,
            target=target,
            count=self.plan.count,
            seed=self.plan.seed,
            temperature=self.plan.temperature,
            on_progress=on_progress,
        )
        report["llm"] = synthesis.replies.figures()
        report["synthetic"] = synthesis.report()
        kept = synthesis.sieve.kept
        if not kept:
            raise GenerationError(f"no synthetic sequence passed the filters: {synthesis.sieve.reasons()}")
        split, fitted = self.fitted(home, incumbent, target, kept, on_progress=on_progress)
        report["source"] = {
            "lived": len(home.sequences),
            "valid_in_scene": sum(map(len, (split.train, split.calibrate, split.measure))),
            "by_hour": by_hour(_valid(home, target)),
        }
        report["retrain"] = fitted.report()
        contest = Contest(split, home, self.plan.seed)
        before = contest.measured(incumbent.scorer, incumbent.limits)
        factor = contest.lowering(fitted.scorer, fitted.limits, before.recall_within)
        fitted = replace(fitted, limits=fitted.limits.times(factor))
        decision = gate.decide(before, contest.measured(fitted.scorer, fitted.limits))
        report |= {"gate": asdict(decision), "lowered": round(factor, 3)}
        return (fitted, decision) if decision.accepted else None

    def fitted(
        self,
        home: Home,
        incumbent: Model,
        target: Scene,
        synthetic: Items[Sequence],
        *,
        split: Split | None = None,
        on_progress: Progress | None = None,
    ) -> tuple[Split, Fitted]:
        """Train for a scene on what stays valid of the lived and on what was written, whoever wrote it."""
        split = split or Split.of(home, replace(target, new_device=""))
        synthetic = Timing(home.sequences).timed(synthetic, self.plan.seed)
        written = [(step.device, step.control) for sequence in synthetic for step in sequence]
        known = [*choose(home.dictionary, home.sequences), *woken(home.dictionary, target)]
        vocabulary = incumbent.scorer.vocabulary.grown([*known, *written])
        return split, self._fit(
            split, synthetic, vocabulary, home, on_progress=on_progress, free=possible(home.dictionary, target)
        )


def _valid(home: Home, target: Scene) -> Iterator[Sequence]:
    """Yield what of the lived stays valid in a scene, each once."""
    scene = replace(target, new_device="")
    return (run for each in home.sequences for run in valid_runs(each, home.dictionary, scene))
