"""A hub that lives a simulated home: the real fast loop on a real store, and a night's work after each day.

What the agent does between two messages (edge/jobs.py), without a broker, threads and a clock of its own.
"""

import math
from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import astuple, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any

from edge.adapt import Model, Outcome, SlowLoop
from edge.calibrator import Calibrator
from edge.core.behaviors import Behavior, Entry
from edge.core.calibration import alpha_for
from edge.core.dictionary import Dictionary
from edge.core.errors import RetrainError
from edge.core.events import Message
from edge.core.recalibration import refitted
from edge.core.scenes import Scene
from edge.core.sequences import Sequence
from edge.history import gather, lived_since
from edge.replay import Silent
from edge.store import Store
from edge.synthesis import Scoring
from edge.watch import Watch
from trainer.evaluate.replay import Alarms, Answers, Floats, Lived, newest_surprise

Known = tuple[tuple[object, ...], ...]
WEEK = 7  # days


class Lessons:
    """What is learned in the nights of one home: by the first hub that lives it, and taken up by the others.

    So is what a model says of the days, which hangs on the days alone.
    """

    def __init__(self, slow: SlowLoop, every: int) -> None:
        """Learn with the hub's slow loop, every so many nights."""
        self.taught: dict[int, Outcome] = {}  # by night; without a model where the gate refused
        self._slow = slow
        self._every = every
        self._answers: dict[tuple[int, int], Floats] = {}

    def lesson(self, night: int, now: float, store: Store, zone: tzinfo, incumbent: Model | None) -> Outcome:
        """Return what learning in a night came to; raises RetrainError where there is no model after it."""
        if night % self._every:
            return Outcome(None)
        if night not in self.taught:
            outcome = self._slow.learn(gather(store, zone, Dictionary({}, ())), Scene(), now, incumbent)
            if outcome.model is not None:
                outcome.model = replace(outcome.model, scorer=Remembering(outcome.model.scorer))
            elif incumbent is None:
                raise RetrainError(f"no model was learned: {outcome.report.get('abandoned')}")
            self.taught[night] = outcome
        return self.taught[night]

    def answers(self, day: int, life: int, lived: Lived, model: Model) -> Floats:
        """Return what the model says of a day of one of the lives, (n, len(PARTS))."""
        if (day, life) not in self._answers:
            found = model.scorer.surprise(lived.sequences())
            self._answers[day, life] = newest_surprise(found, len(lived.behaviors))
        return self._answers[day, life]


class Remembering:
    """A scorer that is asked the same night after night, by one hub after the other, and answers once."""

    def __init__(self, scorer: Scoring) -> None:
        """Ask this one."""
        self.vocabulary = scorer.vocabulary
        self.newest = scorer.newest
        self.predict = scorer.predict
        self.scores = scorer.scores
        self.foretold = scorer.foretold
        self._scorer = scorer
        self._rows: dict[Known, Floats] = {}

    def surprise(self, sequences: Items[Sequence]) -> list[Floats]:
        """Return nats (steps, len(PARTS)) a sequence."""
        keys: list[Known] = [tuple(astuple(step) for step in each) for each in sequences]
        new = {key: each for key, each in zip(keys, sequences, strict=True) if key not in self._rows}
        self._rows.update(zip(new, self._scorer.surprise(list(new.values())), strict=True))
        return [self._rows[key] for key in keys]


class Hub:
    """One hub at one setting. `calm` and `told`: places of the behaviors at which it alarmed, in either life.

    It learns from the one that is as it was; of the one with anomalies in it, it only hears.
    """

    def __init__(self, folder: Path, zone: tzinfo, setting: float, lessons: Lessons) -> None:
        """Begin with an empty record; `setting`: false alarms a week."""
        folder.mkdir()
        self.calm: list[int] = []
        self._zone = zone
        self._setting = setting
        self._lessons = lessons
        self._store = Store.open(folder)
        self._calibrator = Calibrator(self._store)
        self._model: Model | None = None
        self._since = float("-inf")  # when it was learned
        self._watch = Watch(self._store, _unheard, self._published, Silent(), zone)
        self._attacked = Alarms()
        self._beside = Watch(self._attacked, _unheard, _unheard, Silent(), zone)
        self._heard = [0, 0]  # behaviors of either life

    @property
    def model(self) -> Model:
        """The model that scores now; there is one after the first night."""
        assert self._model is not None
        return self._model

    @property
    def told(self) -> list[int]:
        """The places at which it alarmed with anomalies in its life."""
        return self._attacked.places

    def close(self) -> None:
        """Close the record."""
        self._store.close()

    def hear(self, before: Items[Behavior]) -> None:
        """Hear what is lived before there is a model."""
        for behavior, row in zip(before, self._recorded(before), strict=True):
            self._watch.live(behavior, row, behavior.time)
            self._beside.live(behavior, 0, behavior.time)

    def night(self, night: int, now: float) -> None:
        """Do a night's work: learn, or refit the limits by what was lived since."""
        before = self._model
        lesson = self._lessons.lesson(night, now, self._store, self._zone, before)
        if lesson.model is not None and lesson.held is not None:
            alpha = alpha_for(self._setting, WEEK * lesson.a_day)
            limits = lesson.model.limits  # lowered by the gate, maybe
            if not math.isclose(alpha, limits.alpha):
                limits = refitted(lesson.held, (), replace(limits, alpha=alpha))
            own = replace(lesson, model=replace(lesson.model, limits=limits))
            self._model = self._calibrator.keep(own, [lesson.model.slot])
            self._since = now
        elif before is not None:
            lived = lived_since(self._store, self._zone, self._since, Dictionary.of(self._store.pairs()))
            after = self._calibrator.refit(before, lived)
            self._model = self._calibrator.hold(before, after) if after else before

    def live(self, day: int, behaviors: Items[Behavior], attacked: Items[Behavior]) -> None:
        """Live a day, in both lives."""
        rows = self._recorded(behaviors)
        for life, watch, lived in ((0, self._watch, behaviors), (1, self._beside, attacked)):
            self._ask(day, life, watch, lived)
            for place, behavior in enumerate(lived):
                watch.live(behavior, self._heard[life] if life else rows[place], behavior.time)
                self._heard[life] += 1

    def _ask(self, day: int, life: int, watch: Watch, behaviors: Items[Behavior]) -> None:
        """Have the model's answers of a day ready."""
        assert self._model is not None
        lived = Lived.on(watch.window, behaviors, self._zone)
        answers = Answers(self._lessons.answers(day, life, lived, self._model), self._model.scorer.vocabulary)
        watch.model = replace(self._model, scorer=answers)

    def _recorded(self, behaviors: Items[Behavior]) -> list[int]:
        """Put behaviors on the record, in one transaction; return their rows."""
        if not behaviors:
            return []
        return self._store.record([Entry(Message("", b"", behaviors[0].time), (), tuple(behaviors))])[0]

    def _published(self, topic: str, _body: Mapping[str, Any]) -> None:
        if topic == "alert":
            self.calm.append(self._heard[0])


def _unheard(*_: Any) -> None:
    """Acknowledge and publish to nobody."""
