"""The slow loop with the real slots, the real retraining and the real scorer; only the writer is a hand-written one."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from edge import compose
from edge.adapt import Plan
from edge.core.errors import GenerationError
from edge.core.prompts import Replies
from edge.core.scenes import Scene
from edge.sections import Adapt
from edge.settings import Settings
from edge.slots import Slots
from edge.synthesis import REPAIRS, Home, synthesize
from tests import homes

WINTER, SPRING = Scene.parse("winter"), Scene.parse("spring")


class Editor:
    """Writes what a good model would: the sequence asked for, without the heater, with the fan behind it."""

    def __init__(self, *, junk: bool = False, fails: str = "") -> None:
        self.junk = junk
        self.fails = fails
        self.asked = 0

    def generate(self, prompts, *, seed, temperature=0.7, on_progress=None):
        self.asked += 1
        if self.fails:
            raise GenerationError(self.fails)
        texts = {}
        for index, request in enumerate(prompts[0].requests):
            line = request.splitlines()[2]
            kept = [part[0] for part in line.split("; ") if "heater" not in part]
            texts[index] = "Mon 18 Bath heater:state ON" if self.junk else "; ".join([*kept, "Desk fan:state ON"])
        return Replies("editor", "0" * 64, prompts[0].name, texts, prompt_tokens=1, generated_tokens=1, seconds=1.0)


@pytest.fixture(scope="module")
def home():
    return Home(homes.HOME, tuple(homes.sequences(160)), weeks=11.0)


@pytest.fixture(scope="module")
def learned(tmp_path_factory, home):
    """A home with its first model; the slots' folder is shared, every test adapts from the same incumbent."""
    folder = tmp_path_factory.mktemp("slots")
    slow = make(folder)
    outcome = slow.learn(home, WINTER, now=homes.MONDAY)
    assert outcome.model is not None
    return folder, outcome.model


def make(folder, steps=150):
    settings = Settings(adapt=Adapt(steps=steps))
    return compose.slow_loop(settings, Slots(folder), threading.Event(), Plan(count=60))


def test_the_first_model_knows_the_home(learned, home):
    _, model = learned
    wrong = [tuple(replace(each, hour=3) for each in sequence) for sequence in home.sequences[:40]]
    wrong, right = (model.limits.scores(model.scorer.surprise(each)) for each in (wrong, home.sequences))
    assert np.median(wrong) > 1 > np.median(right)


class Learner(Editor):
    """Forgets the fan at first, and brings it when it is asked again."""

    def generate(self, prompts, *, seed, temperature=0.7, on_progress=None):
        found = super().generate(prompts, seed=seed)
        if self.asked == 1:
            found.texts = {index: text.replace("Desk fan", "Hall lamp") for index, text in found.texts.items()}
        return found


def test_a_reply_that_lacks_what_was_to_join_is_asked_for_again(learned, home):
    _, incumbent = learned
    writer = Learner()
    made = synthesize(home, incumbent.scorer, writer, source=WINTER, target=SPRING, count=40, seed=0)
    assert 2 <= writer.asked <= 1 + REPAIRS
    assert made.replies.generated_tokens == writer.asked
    assert any(step.device == "fan1" for sequence in made.sieve.kept for step in sequence)


def test_an_adaptation_goes_through_every_step_and_swaps(learned, home, tmp_path):
    folder, incumbent = learned
    slow = make(folder)
    told = []
    outcome = slow.adapt(
        home, incumbent, Editor(), source=WINTER, target=SPRING, now=homes.MONDAY,
        on_progress=lambda *at: told.append(at[0]),
    )  # fmt: skip
    report = outcome.report
    assert report["gate"]["accepted"], report
    assert report["retrain"]["engine"] == "onnxruntime"
    assert report["synthetic"]["kept"] >= 30
    assert report["swap"] == {"from": incumbent.slot, "to": outcome.model.slot}
    real, written = report["source"]["by_hour"], report["synthetic"]["by_hour"]
    assert sum(real["lamp1"]) == sum(step.device == "lamp1" for each in home.sequences for step in each)
    assert "heat1" not in real
    assert "heat1" not in written
    assert "fan1" not in real
    assert sum(written["fan1"]) >= 30
    assert "retraining" in told
    fan = [(homes.step(0, 7, 0), homes.step(0, 7, 2), homes.step(0, 7, 3), homes.step(0, 7, 6))]
    assert outcome.model.scorer.scores(fan)[0] < incumbent.scorer.scores(fan)[0]
    slots = Slots(folder)
    assert slots.current() == outcome.model.slot
    # Both ways back need no language model: the scene was lived before.
    silent = Editor(fails="must not be asked")
    back = slow.adapt(home, outcome.model, silent, source=SPRING, target=WINTER, now=homes.MONDAY)
    assert back.report["reused"] == incumbent.slot
    again = slow.adapt(home, back.model, silent, source=WINTER, target=SPRING, now=homes.MONDAY)
    assert again.report["reused"] == outcome.model.slot
    assert slots.rollback() == incumbent.slot


@pytest.mark.parametrize(
    ("writer", "reason"),
    [(Editor(fails="it crashed"), "it crashed"), (Editor(junk=True), "no synthetic sequence passed the filters")],
)
def test_a_writer_that_fails_changes_nothing(learned, home, writer, reason):
    folder, incumbent = learned
    before = Slots(folder).names()
    summer = Scene.parse("summer")
    outcome = make(folder).adapt(home, incumbent, writer, source=WINTER, target=summer, now=homes.MONDAY)
    assert outcome.model is None
    assert reason in outcome.report["abandoned"]
    assert Slots(folder).names() == before


def test_a_worse_candidate_is_refused_with_its_reasons(learned, home):
    folder, incumbent = learned
    summer = Scene.parse("summer")
    untrained = make(folder, steps=1)
    outcome = untrained.adapt(home, incumbent, Editor(), source=WINTER, target=summer, now=homes.MONDAY)
    assert outcome.model is None
    assert not outcome.report["gate"]["accepted"]
    assert outcome.report["gate"]["reasons"]
    assert Slots(folder).current() != "summer"


def test_a_home_hardly_lived_in_is_not_learned(tmp_path, home):
    young = replace(home, sequences=home.sequences[:10])
    outcome = make(tmp_path).learn(young, WINTER, now=homes.MONDAY)
    assert outcome.model is None
    assert "needed" in outcome.report["abandoned"]


def test_a_retraining_out_of_time_is_abandoned(tmp_path, home):
    settings = Settings(adapt=Adapt(steps=100_000, seconds=0.5))
    slow = compose.slow_loop(settings, Slots(tmp_path), threading.Event())
    outcome = slow.learn(home, WINTER, now=homes.MONDAY)
    assert outcome.model is None
    assert "abandoned" in outcome.report
