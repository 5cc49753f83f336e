"""False alarms and what is found, of homes lived day by day; the hub that lives them."""

import json
from dataclasses import replace
from datetime import UTC

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from edge.core.calibration import PARTS, Limits
from edge.core.recalibration import Held
from edge.core.vocabulary import Vocabulary
from edge.learning import Model, Outcome
from tests import homes
from trainer.cli import app
from trainer.evaluate import alarms, hub
from trainer.evaluate.hub import Lessons, Remembering

SETTINGS = (0.25, 1000.0)
WANTED = alarms.Wanted(
    homes=1, weeks=1, history=21, alarms_per_week=SETTINGS[0], learn_every=4, steps=10, settings=SETTINGS
)


@pytest.fixture(scope="module")
def quiet():
    """No sensors of rooms: fewer behaviors to live."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(alarms, "MOTION", (0.0,))
        yield


@pytest.fixture(scope="module")
def told(quiet):
    return alarms.judge(WANTED, lambda *_: None)


def test_every_setting_of_every_home_is_told(told):
    (home,) = told["homes"]
    assert [each["alarms_per_week"] for each in home["settings"]] == [*SETTINGS]
    assert [each["alarms_per_week"] for each in told["trade_off"]] == [*SETTINGS]
    for each in home["settings"]:
        assert len(each["weeks"]) == WANTED.weeks
        assert each["false_alarms_per_week"] == np.mean(each["weeks"])
        assert 0.0 <= each["recall"] <= 1.0
    assert home["injected"] > 0
    assert told["recall"] == home["settings"][0]["recall"]
    json.dumps(told)


def test_who_accepts_more_false_alarms_gets_no_fewer(told):
    few, many = told["homes"][0]["settings"]
    assert many["false_alarms_per_week"] >= few["false_alarms_per_week"]
    assert many["recall"] >= few["recall"]


def test_a_life_with_anomalies_holds_the_life_without(quiet):
    life = alarms.Life.of(0, WANTED)
    assert len(life.days) == len(life.attacked) == 7 * WANTED.weeks
    for day, attacked, begin, end in zip(life.days, life.attacked, life.midnights, life.midnights[1:], strict=False):
        assert set(day) <= set(attacked)
        assert all(begin <= each.time < end for each in attacked)
    assert sum(map(len, life.attacked)) > sum(map(len, life.days))
    assert life == alarms.Life.of(0, WANTED)


def test_the_trade_off_is_drawn_and_shown(told, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: the picture is NOT tested")
    alarms.draw(told, tmp_path / "trade_off.png")
    assert (tmp_path / "trade_off.png").read_bytes().startswith(b"\x89PNG")
    console = Console(record=True, width=120)
    with console.capture() as shown:
        console.print("")
        alarms.show(console, told)
    assert all(word in shown.get() for word in ("a week", "0.25", "1000", "home 1", "average"))


class Counting:
    """A scorer that says how long each step's sequence is, and how often it was asked."""

    vocabulary = Vocabulary().grown(homes.PAIRS)
    newest = predict = scores = foretold = None

    def __init__(self):
        self.asked = 0

    def surprise(self, sequences):
        self.asked += len(sequences)
        return [np.full((len(each), len(PARTS)), len(each), np.float32) for each in sequences]


def test_what_was_asked_once_is_remembered():
    scorer = Counting()
    remembering = Remembering(scorer)
    lived = homes.sequences(6)
    first = remembering.surprise(lived)
    again = remembering.surprise(lived[::-1])
    assert scorer.asked == len({*lived})
    assert all((one == other).all() for one, other in zip(first, again[::-1], strict=True))
    # The same steps at another pace are another question.
    remembering.surprise([tuple(replace(step, gap=5.0) for step in lived[0])])
    assert scorer.asked == len({*lived}) + 1


def test_hubs_take_up_what_the_first_one_learned(tmp_path):
    model = Model("0001", "", Counting(), Limits(5.0, 5.0, 5.0, 0.01, 40))

    nights = []

    class Slow:
        def learn(self, home, scene, now, incumbent):
            nights.append(now)
            held = Held.of([np.ones((3, len(PARTS)))] * 20)
            return Outcome(model if not incumbent else None, {}, held, 5.0)

    lessons = Lessons(Slow(), 2)
    lived = homes.behaviors(40)
    hubs = [hub.Hub(tmp_path / str(number), UTC, 1.0, lessons) for number in range(2)]
    for each in hubs:
        each.hear(lived)
        for night in range(4):
            each.night(night, float(night))
        each.close()
    assert nights == [0.0, 2.0]  # the second hub learned nothing of its own
    assert lessons.taught[0].model.slot == "0001"
    assert lessons.taught[2].model is None  # the gate refused


def test_the_command_stops_cleanly(monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(alarms, "judge", stopped)
    assert CliRunner().invoke(app, ["evaluate", "alarms"]).exit_code == 130
