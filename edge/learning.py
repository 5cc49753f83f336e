"""Learning on what was really lived: a home's first model, and every night's after it.

What learns and what adapts (edge/adapt.py) hand over an outcome; the agent swaps it in between two messages.
"""

from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence as Items
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.contest import Contest
from edge.core import gate
from edge.core.calibration import Limits, alpha_for
from edge.core.dictionary import Dictionary
from edge.core.errors import ArtifactError, EdgeError, RetrainError
from edge.core.growth import Layout, grown_parameters, joining, lent, young_parameters
from edge.core.manifest import SlotManifest
from edge.core.metrics import Metrics
from edge.core.prompts import Pair
from edge.core.recalibration import Held, refitted
from edge.core.scenes import Scene
from edge.core.sequences import Sequence
from edge.core.vocabulary import Vocabulary
from edge.fit import Fitted, Retraining, ScorerOf, Split, fit
from edge.synthesis import Home, Progress, Scoring

DAY = 86400.0
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
class Base:
    """A model that ships, or was installed: what opens scorers on its graphs, and where what lies in its parameters.

    Without a layout, a device that joins is unknown until the next fit.
    """

    name: str
    version: int
    scorer_of: ScorerOf
    layout: Layout | None = None


@dataclass(frozen=True)
class Model:
    """A model at work: its slot, what scores with it, the limits beyond which it alarms, and when it learned.

    `created`: seconds since the epoch; what was lived after it, it was never trained on. `lent`: nats by which its
    limit of what is higher because devices that joined share the probability of their class. `base`: name and version
    of the model it was learned on, whose graphs it runs for good. `least`: recall that what comes after it is compared
    with, at least (edge/core/gate.py).
    """

    slot: str
    scene: str
    scorer: Scoring
    limits: Limits
    created: float = 0.0
    lent: float = 0.0
    base: tuple[str, int] = ("", 0)
    least: float = 0.0


@dataclass(frozen=True)
class Plan:
    """How to adapt: sequences asked of the language model, wanted false alarms a week, the seed of it all."""

    count: int = 200
    alarms_per_week: float = 1.0
    temperature: float = 0.7
    seed: int = 0


@dataclass
class Outcome:
    """How learning ended: the model that goes live (None: the incumbent stays) and a report.

    `held`: what its limits were fitted on, to go on from as days pass; None for a model that was there already.
    `a_day`: sequences the home lives in a day. `trial`: real days must still confirm the model. `limits`: new ones for
    the model that stays.
    """

    model: Model | None
    report: dict[str, Any] = field(default_factory=dict)
    held: Held | None = None
    a_day: float = 0.0
    trial: bool = False
    limits: Limits | None = None


class Learning:
    """Learns a model and opens those that were learned, with the tools it is handed."""

    def __init__(
        self, slots: Slotting, retrain: Retraining, base: Base, plan: Plan, earlier: Callable[[str, int], Base]
    ) -> None:
        """Take the tools; `base`: what is learned on from now on.

        `earlier`: another one by name and version, for slots learned on it; raises ArtifactError where it is not here.
        """
        self._slots = slots
        self._retrain = retrain
        self._base = base
        self._earlier = earlier
        self.plan = plan

    def reseed(self, seed: int) -> None:
        """Draw everything from another seed from now on."""
        self.plan = replace(self.plan, seed=seed)

    def open(self, name: str) -> Model:
        """Load a slot, on the graphs it was learned on; raises ArtifactError where it or they are not healthy."""
        manifest, parameters = self._slots.load(name)
        base = self._base_of(manifest)
        scorer = base.scorer_of(parameters, manifest.vocabulary)
        learned_on = (base.name, base.version)
        least = manifest.metrics.get("least", 0.0)
        return Model(name, manifest.scene, scorer, manifest.limits, manifest.created, base=learned_on, least=least)

    def outgrown(self, model: Model) -> bool:
        """Tell whether a model was learned on another base than what is learned on now."""
        return model.base != (self._base.name, self._base.version)

    def _base_of(self, manifest: SlotManifest) -> Base:
        """Return what a slot was learned on: its parameters mean nothing to other graphs."""
        wanted = (manifest.model, manifest.model_version)
        return self._base if wanted == (self._base.name, self._base.version) else self._earlier(*wanted)

    def joined(self, model: Model, dictionary: Dictionary) -> Model:
        """Return the model with the dictionary's devices that its slot does not name, each as its class is.

        So what joins is scored as its like until it is learned; what is like nothing there stays unknown. Raises
        ArtifactError where the slot is corrupt.
        """
        manifest, parameters = self._slots.load(model.slot)
        base = self._base_of(manifest)
        if base.layout is None:
            return model
        new = joining(dictionary, manifest.vocabulary)
        try:
            after = manifest.vocabulary.grown(new)
        except ArtifactError:
            return model  # no room: the next fit says so
        if set(after.controls) <= set(model.scorer.vocabulary.controls):
            return model
        grown = grown_parameters(parameters, base.layout, manifest.vocabulary, after, dictionary.kind)
        cost = lent(dict(new), manifest.vocabulary, dictionary.kind)
        limits = replace(model.limits, what=model.limits.what - model.lent + cost)
        return replace(model, scorer=base.scorer_of(grown, after), limits=limits, lent=cost)

    def learn(
        self, home: Home, scene: Scene, now: float, incumbent: Model | None = None, on_progress: Progress | None = None
    ) -> Outcome:
        """Train a model on what was really lived: the home's first, or one that must pass the gate like any other.

        Always from the shipped beginning: a start from the incumbent learns the same days again and again, and was
        measured to foretell worse (benchmarks/README.md).
        """
        if len(home.sequences) < MIN_SEQUENCES:
            reason = f"only {len(home.sequences)} sequences were lived yet; {MIN_SEQUENCES} are needed"
            return Outcome(None, {"abandoned": reason})
        split = Split.of(home, scene, home.turned)
        report: dict[str, Any] = {"admission": home.admission.figures()}
        try:
            vocabulary = Vocabulary(slots=home.slots).grown([*home.lived(), *home.dictionary.controls])
            fitted = self._fit(split, (), vocabulary, home, on_progress=on_progress)
        except (RetrainError, ArtifactError) as error:
            return Outcome(None, {**report, "abandoned": str(error)})
        contest = Contest(split, home, self.plan.seed)
        least, factor, settled = 0.0, 1.0, self._settled(fitted, split)
        if incumbent is not None:
            before = contest.measured(incumbent.scorer, incumbent.limits)
            least = gate.bound(before, incumbent.least, (now - incumbent.created) / DAY)
            factor = contest.lowering(fitted.scorer, settled.limits, least)
        settled = replace(settled, limits=settled.limits.times(factor))
        metrics = contest.measured(fitted.scorer, fitted.limits.times(factor), settled.limits)
        report |= {"retrain": fitted.report(), "metrics": asdict(metrics), "lowered": round(factor, 3)}
        if incumbent is not None:
            decision = gate.decide(before, metrics, least)
            report["gate"] = asdict(decision)
            if not decision.accepted:
                return Outcome(None, report)
        fitted = settled
        metrics = replace(metrics, least=max(least, metrics.recall))
        name = self._store(fitted, str(scene), "learned", metrics, now)
        self._slots.promote(name)
        report["swap"] = {"from": incumbent.slot if incumbent else None, "to": name}
        untold = incumbent is not None and metrics.normals < gate.MIN_HELD_OUT
        model = self._at_work(name, str(scene), fitted, now, metrics.least)
        return Outcome(model, report, fitted.held, a_day(home), untold)

    def _at_work(self, name: str, scene: str, fitted: Fitted, now: float, least: float) -> Model:
        """Return a fitted candidate as the model of its slot."""
        base = (self._base.name, self._base.version)
        return Model(name, scene, fitted.scorer, fitted.limits, now, base=base, least=least)

    def _settled(self, fitted: Fitted, split: Split) -> Fitted:
        """Return it with limits by everything held out: what the gate has measured on, it measured on once."""
        held = fitted.held.joined(Held.of(fitted.scorer.surprise(split.measure)))
        return replace(fitted, limits=refitted(held, (), fitted.limits), held=held)

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
        alpha = alpha_for(self.plan.alarms_per_week, 7 * a_day(home))
        layout = self._base.layout

        def settle(flat: NDArray[np.float32], vocabulary: Vocabulary, counts: Counter[Pair]) -> NDArray[np.float32]:
            return flat if layout is None else young_parameters(flat, layout, vocabulary, counts, home.dictionary.kind)

        try:
            return fit(
                split,
                synthetic,
                vocabulary,
                alpha,
                retrain=self._retrain,
                scorer_of=self._base.scorer_of,
                seed=self.plan.seed,
                possible=free,
                settle=settle,
                on_progress=on_progress,
            )
        except EdgeError as error:
            raise RetrainError(str(error)) from error

    def _store(self, fitted: Fitted, scene: str, origin: Any, metrics: Metrics, now: float) -> str:
        manifest = SlotManifest(
            scene=scene,
            created=now,
            model=self._base.name,
            model_version=self._base.version,
            vocabulary=fitted.scorer.vocabulary,
            limits=fitted.limits,
            metrics={key: float(value) for key, value in asdict(metrics).items() if np.isfinite(value)},
            origin=origin,
            steps=fitted.trained.steps,
            seconds=fitted.trained.seconds,
        )
        return self._slots.write(manifest, fitted.parameters)


def a_day(home: Home) -> float:
    """Return how many sequences a home lives in a day."""
    return len(home.sequences) / max(7 * home.weeks, 1.0)
