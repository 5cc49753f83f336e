"""The slow loop: scene change -> compress -> prompt -> generate -> filter -> retrain -> gate -> swap.

The first half is edge/synthesis.py. Nothing here touches the fast loop: an outcome is handed over, and the
agent swaps it in between two messages.
"""

from collections.abc import Sequence as Items
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.core import gate
from edge.core.calibration import Limits, alpha_for
from edge.core.errors import ArtifactError, EdgeError, GenerationError, RetrainError
from edge.core.gate import Decision
from edge.core.manifest import SlotManifest
from edge.core.metrics import Metrics, measure
from edge.core.prompts import Pair, choose
from edge.core.proposals import woken
from edge.core.scenes import Scene, possible
from edge.core.sequences import Sequence
from edge.core.verdicts import UNUSUAL
from edge.core.vocabulary import Vocabulary
from edge.fit import Fitted, Retraining, ScorerOf, Split, fit
from edge.synthesis import Home, Progress, Scoring, Writing, synthesize

MIN_SEQUENCES = 40  # a first model from fewer would call every second behavior unusual


class Slotting(Protocol):
    """Model slots on disk (edge/slots.py)."""

    def write(self, manifest: SlotManifest, parameters: NDArray[np.float32]) -> str:
        """Store a slot under a fresh name."""
        ...

    def load(self, name: str) -> tuple[SlotManifest, NDArray[np.float32]]:
        """Return a verified slot."""
        ...

    def promote(self, name: str) -> None:
        """Use a slot from now on."""
        ...

    def for_scene(self, scene: str) -> str | None:
        """Return the slot a scene was lived with."""
        ...


@dataclass(frozen=True)
class Model:
    """A model at work: its slot, what scores with it, and the limits beyond which it alarms."""

    slot: str
    scene: str
    scorer: Scoring
    limits: Limits


@dataclass(frozen=True)
class Plan:
    """How to adapt: sequences asked of the language model, wanted false alarms a week, the seed of it all."""

    count: int = 200
    alarms_per_week: float = 1.0
    temperature: float = 0.7
    seed: int = 0


@dataclass
class Outcome:
    """How an adaptation ended: the model that goes live (None: the incumbent stays) and a report."""

    model: Model | None
    report: dict[str, Any] = field(default_factory=dict)


class SlowLoop:
    """Learns the first model and adapts it to scenes, with the tools it is handed."""

    def __init__(
        self,
        slots: Slotting,
        retrain: Retraining,
        scorer_of: ScorerOf,
        base: tuple[str, int],
        plan: Plan,
    ) -> None:
        """Take the tools; `base` is name and version of the shipped model whose graphs everything here runs."""
        self._slots = slots
        self._retrain = retrain
        self._scorer_of = scorer_of
        self._base = base
        self.plan = plan

    def reseed(self, seed: int) -> None:
        """Draw everything from another seed from now on."""
        self.plan = replace(self.plan, seed=seed)

    def open(self, name: str) -> Model:
        """Load a slot; raises ArtifactError where it is not healthy."""
        manifest, parameters = self._slots.load(name)
        scorer = self._scorer_of(parameters, manifest.vocabulary)
        return Model(name, manifest.scene, scorer, manifest.limits)

    def learn(
        self, home: Home, scene: Scene, now: float, incumbent: Model | None = None, on_progress: Progress | None = None
    ) -> Outcome:
        """Train a model on what was really lived: the home's first, or one that must pass the gate like any other."""
        if len(home.sequences) < MIN_SEQUENCES:
            reason = f"only {len(home.sequences)} sequences were lived yet; {MIN_SEQUENCES} are needed"
            return Outcome(None, {"abandoned": reason})
        # Every sequence was lived in this scene, so every one is valid in it.
        split = Split.of(home, Scene())
        try:
            vocabulary = Vocabulary(slots=home.slots).grown([*home.lived(), *home.dictionary.controls])
            fitted = self._fit(split, (), vocabulary, home, on_progress=on_progress)
        except (RetrainError, ArtifactError) as error:
            return Outcome(None, {"abandoned": str(error)})
        metrics = self._measure(fitted.scorer, fitted.limits, split, home)
        report: dict[str, Any] = {"retrain": fitted.report(), "metrics": asdict(metrics)}
        if incumbent is not None:
            decision = gate.decide(self._measure(incumbent.scorer, incumbent.limits, split, home), metrics)
            report["gate"] = asdict(decision)
            if not decision.accepted:
                return Outcome(None, report)
        name = self._store(fitted, str(scene), "learned", metrics, now)
        self._slots.promote(name)
        report["swap"] = {"from": incumbent.slot if incumbent else None, "to": name}
        return Outcome(_model(name, str(scene), fitted), report)

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
        name = self._store(fitted, str(target), "adapted", decision.candidate, now)
        self._slots.promote(name)
        report["swap"] = {"from": incumbent.slot, "to": name}
        return Outcome(_model(name, str(target), fitted), report)

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
        report["source"] = {"lived": len(home.sequences), "valid_in_scene": sum(map(len, asdict(split).values()))}
        report["retrain"] = fitted.report()
        decision = gate.decide(
            self._measure(incumbent.scorer, incumbent.limits, split, home),
            self._measure(fitted.scorer, fitted.limits, split, home),
        )
        report["gate"] = asdict(decision)
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
        written = [(step.device, step.control) for sequence in synthetic for step in sequence]
        known = [*choose(home.dictionary, home.sequences), *woken(home.dictionary, target)]
        vocabulary = incumbent.scorer.vocabulary.grown([*known, *written])
        return split, self._fit(
            split, synthetic, vocabulary, home, on_progress=on_progress, free=possible(home.dictionary, target)
        )

    def _fit(
        self,
        split: Split,
        synthetic: Items[Sequence],
        vocabulary: Vocabulary,
        home: Home,
        *,
        on_progress: Progress | None,
        free: Items[Pair] = (),
    ) -> Fitted:
        alpha = alpha_for(self.plan.alarms_per_week, len(home.sequences) / max(home.weeks, 1 / 7))
        try:
            return fit(
                split,
                synthetic,
                vocabulary,
                alpha,
                retrain=self._retrain,
                scorer_of=self._scorer_of,
                seed=self.plan.seed,
                possible=free,
                on_progress=on_progress,
            )
        except EdgeError as error:
            raise RetrainError(str(error)) from error

    def _measure(self, scorer: Scoring, limits: Limits, split: Split, home: Home) -> Metrics:
        """Measure a model on real held-out sequences and anomalies injected into them."""
        wrong = gate.inject(split.measure, home.dictionary.controls, self.plan.seed)
        normal, odd = (limits.scores(scorer.surprise(each)) for each in (split.measure, wrong))
        return measure(normal, odd, UNUSUAL)

    def _store(self, fitted: Fitted, scene: str, origin: Any, metrics: Metrics, now: float) -> str:
        name, version = self._base
        manifest = SlotManifest(
            scene=scene,
            created=now,
            model=name,
            model_version=version,
            vocabulary=fitted.scorer.vocabulary,
            limits=fitted.limits,
            metrics={key: float(value) for key, value in asdict(metrics).items() if np.isfinite(value)},
            origin=origin,
            steps=fitted.trained.steps,
            seconds=fitted.trained.seconds,
        )
        return self._slots.write(manifest, fitted.trained.parameters)


def _model(name: str, scene: str, fitted: Fitted) -> Model:
    return Model(name, scene, fitted.scorer, fitted.limits)
