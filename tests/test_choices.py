"""House mode, alarms a week, alerts on or off: chosen, kept, heeded; and what the settings say since."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.adapt import Model, Outcome
from edge.agent import Agent
from edge.choices import Choices
from edge.core.admission import UNCLEARED
from edge.core.errors import SettingsError
from edge.core.quiet import CLEANER, MUTED, OFF
from edge.core.scenes import HOUSE_MODES, MODES, Scene
from edge.requests import Request
from edge.scenery import Scenery
from edge.sections import Home
from edge.store import Store
from tests import homes
from tests.hearing import LIMITS, Fixed, bodies, message, watching
from tests.running import settings_for

DAY = 86400.0


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path / "data")
    yield opened
    opened.close()


def test_what_was_chosen_outlives_a_restart_until_the_settings_say_something_new(store):
    first = Choices(store, 1.0, Scene.parse("winter+guests"))
    assert first.status() == {"mode": "guests", "alarms_per_week": 1.0, "alerts": True}
    first.choose_mode("vacation")
    first.choose_alarms(0.5)
    first.choose_alerts(on=False)
    assert Choices(store, 1.0, Scene()).status() == {"mode": "vacation", "alarms_per_week": 0.5, "alerts": False}
    assert Choices(store, 3.0, Scene()).alarms_per_week == 3.0, "the file was changed since"


@pytest.mark.parametrize("junk", [7, [], "x", {"mode": "party", "alarms_per_week": "many", "alerts": None}])
def test_what_is_corrupt_was_never_chosen(store, junk):
    store.set_fact("choices", junk)
    assert Choices(store, 1.0, Scene()).status() == {"mode": "home", "alarms_per_week": 1.0, "alerts": True}


@pytest.mark.parametrize("number", [0.0, -1.0, 0.09, 50.1, float("nan"), float("inf")])
def test_no_number_beyond_what_a_person_means_is_taken(store, number):
    choices = Choices(store, 1.0, Scene())
    with pytest.raises(SettingsError, match="from 0.1 to 50"):
        choices.choose_alarms(number)
    with pytest.raises(SettingsError, match="home, away, guests, vacation, cleaner"):
        choices.choose_mode("party")


@given(st.sampled_from(sorted(HOUSE_MODES)), st.sampled_from(["", *MODES]))
def test_what_was_said_last_of_the_house_stands(chosen, word):
    facts = Facts()
    choices = Choices(facts, 1.0, Scene())
    choices.choose_mode(chosen)
    choices.follow(Scene(season="winter", mode=word))
    assert choices.mode == (chosen if word in {"", HOUSE_MODES[chosen]} else word)
    assert Choices(facts, 1.0, Scene()).mode == choices.mode


class Facts(dict):
    def fact(self, key, default=None):
        return self.get(key, default)

    def set_fact(self, key, value):
        self[key] = value


def test_a_house_mode_changes_the_scene_s_word_and_a_cleaner_none():
    scene = Scene.parse("winter+night+guests")
    assert str(scene.housed("vacation")) == "winter+night+away"
    assert str(scene.housed("home")) == "winter+night"
    assert scene.housed("cleaner") == scene


@pytest.mark.parametrize("silent", [CLEANER, OFF])
def test_what_is_unusual_meanwhile_is_kept_with_its_reason_learned_by_nobody_and_not_told_halfway(store, silent):
    published = []
    watch = watching(store, published)
    watch.alerts.quiet.silent = silent
    watch.handle([message(homes.MONDAY + n, "heat1") for n in range(3)])
    assert store.alert_states() == {silent: 1}
    watch.alerts.quiet.silent = ""
    watch.handle([message(homes.MONDAY + 60, "heat1")])
    assert watch.alerts.kept_quiet[MUTED] == 1
    assert not bodies(published)
    watch.handle([message(homes.MONDAY + 2 * DAY, "heat1")])
    assert len(bodies(published)) == 1
    assert silent in UNCLEARED


def test_the_last_alert_is_the_last_that_was_told_over_a_restart_too(store):
    watch = watching(store, [])
    with pytest.raises(SettingsError, match="no alert yet"):
        watch.alerts.feedback(0, "fine")
    for day in range(2):
        watch.handle([message(homes.MONDAY + 2 * day * DAY, "heat1")])
    watch.alerts.quiet.silent = OFF
    watch.handle([message(homes.MONDAY + 6 * DAY, "heat1")])
    assert watch.alerts.feedback(0, "wrong") == {"alert": 2, "verdict": "wrong"}
    again = watching(store, [])
    again.take_up(list(store.behaviors_with_ids()), store.alerts(), time.time())
    assert again.alerts.feedback(0, "fine") == {"alert": 2, "verdict": "fine"}
    assert store.alert(1).state == "sent"


def test_the_scene_that_is_noticed_is_what_whoever_asks_for_now_gets(store):
    scenery = Scenery(store, Home(latitude=48.0, scene="winter"), notice=False)
    assert scenery.noticed(homes.MONDAY, []) is None
    spring = homes.MONDAY + 70 * DAY
    assert scenery.changed(spring, []) is None, "of its own it does not look"
    assert str(scenery.noticed(spring, [])) == "spring"


def test_a_mode_told_just_before_the_process_ended_is_heeded_at_the_next_start(broker, tmp_path):
    settings = settings_for(broker, tmp_path)
    with_mode = Store.open(settings.data.directory)
    Choices(with_mode, 1.0, Scene()).choose_mode("vacation")
    with_mode.close()
    agent = Agent(settings)
    try:
        agent.jobs.tick()
        assert str(agent.jobs.scenery.scene) == "winter+away"
    finally:
        agent.close()


def test_a_scene_that_nothing_can_be_adapted_to_yet_is_refused_and_changes_no_mode(broker, tmp_path):
    agent, answered = Agent(settings_for(broker, tmp_path)), []
    agent._desk.answer = lambda what, *_, **more: answered.append((what, more.get("error", "")))
    try:
        agent.jobs.ask(Request("adapt", Scene.parse("away")))
        agent.jobs.tick()
        assert answered == [("adapt", "there is no model yet: it is learned first")]
        assert (agent.jobs.choices.mode, str(agent.jobs.scenery.scene)) == ("home", "winter")
    finally:
        agent.close()


def model():
    return Model("0001-winter", "winter", Fixed("heat1"), LIMITS)


def test_a_season_that_is_noticed_ends_no_mode(broker, tmp_path):
    agent = Agent(settings_for(broker, tmp_path))
    try:
        agent.jobs.scenery.settle(Scene.parse("winter+away"))
        agent.jobs.choices.choose_mode("cleaner")
        agent.watch.model = model()
        agent.jobs.ask(Request("adapt", Scene.parse("spring+away")), own=True)
        assert agent.jobs.choices.mode == "cleaner"
        agent.jobs._work._job[1].exception(60)
        agent.jobs._work.ended()
        agent.jobs.ask(Request("adapt", Scene.parse("away")))
        assert agent.jobs.choices.mode == "away"
    finally:
        agent.close()


def test_a_mode_told_during_a_job_waits_for_it_and_is_the_last_one_told(broker, tmp_path):
    agent, held = Agent(settings_for(broker, tmp_path)), threading.Event()
    answered = []
    agent._desk.answer = lambda what, *_, **more: answered.append((what, more.get("error", "")))
    try:
        agent.jobs._begin(Request("adapt"), lambda: (held.wait(20), Outcome(None, {"abandoned": "x"}))[1])
        for mode in ("away", "guests"):
            agent._desk.do(Request("mode", mode=mode), homes.MONDAY, agent.jobs)
        assert agent.jobs.choices.mode == "guests"
        assert str(agent.jobs.scenery.scene) == "winter"
        assert not answered
        held.set()
        deadline = time.monotonic() + 20
        while len(answered) < 3:
            agent.jobs.tick()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert answered == [("adapt", "x"), ("mode", ""), ("mode", "")]
        assert str(agent.jobs.scenery.scene) == "winter+guests", "nothing was learned yet: there is nothing to adapt"
    finally:
        held.set()
        agent.close()
