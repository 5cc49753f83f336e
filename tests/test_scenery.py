"""The scene over restarts, what changes it, and probation; on a real store."""

import pytest

from edge.core.events import Message
from edge.core.gate import Trial
from edge.core.scenes import Scene
from edge.probation import Probation
from edge.scenery import AGAIN, Scenery
from edge.sections import Home
from edge.store import Store
from tests import homes

WINTER = homes.MONDAY  # January
SPRING = WINTER + 70 * 86400.0


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


def scenery(store, *, notice=True, **home):
    return Scenery(store, Home(**{"latitude": 48.0, "longitude": 2.0, **home}), notice=notice)


def test_the_season_turns_once_a_day_is_tried_and_survives_a_restart(store):
    first = scenery(store)
    assert first.changed(WINTER, []) is None  # the season at the first look is where we come from
    assert first.scene == Scene.parse("winter")
    assert first.changed(SPRING, []) == Scene.parse("spring")
    assert first.changed(SPRING + 60, []) is None  # one try a day
    assert first.changed(SPRING + AGAIN + 60, []) == Scene.parse("spring")
    first.settle(Scene.parse("spring"))
    assert scenery(store).scene == Scene.parse("spring")
    assert scenery(store).changed(SPRING, []) is None


def test_people_and_new_devices_are_noticed_without_a_place(store):
    home = scenery(store, latitude=None, person_topic="home/people", scene="single")
    told = Message("home/people", b"2", WINTER)
    assert home.concerns(told)
    for text in (b"\xff", b"many", b"-1", b"1000"):
        home.hear(Message("home/people", text, WINTER))
    assert home.changed(WINTER, []) is None
    home.hear(told)
    assert home.changed(WINTER, []) == Scene.parse("multiple")
    home.settle(Scene.parse("multiple"))
    found = home.changed(WINTER + 2 * AGAIN, ["fan1"])
    assert found.new_device == "fan1"
    home.settle(found)
    assert home.scene == Scene.parse("multiple")  # a new device is said once


def test_told_not_to_notice_it_does_not(store):
    assert scenery(store, notice=False, scene="winter").changed(SPRING, ["fan1"]) is None


def test_probation_survives_a_restart_and_ends(store):
    first = Probation(store, days=7.0)
    first.begin("0001-winter", WINTER)
    again = Probation(store, days=7.0)
    assert again.incumbent == "0001-winter"
    few = [Trial(WINTER + 60.0 * n, 1.0, 1.0) for n in range(5)]
    assert again.decide(few, WINTER + 86400) is None
    decision = again.decide(few, WINTER + 8 * 86400)
    assert decision.accepted
    assert Probation(store, days=7.0).incumbent is None
    assert store.fact("last_probation")["accepted"]


def test_a_worse_model_is_sent_back_from_probation(store):
    trial = Probation(store, days=7.0)
    trial.begin("0001-winter", WINTER)
    worse = [Trial(WINTER + 43200.0 * n, 6.0 + n % 3, 4.0) for n in range(40)]
    decision = trial.decide(worse, WINTER + 5 * 86400)
    assert not decision.accepted
    assert "worse on real days" in decision.reasons[0]
