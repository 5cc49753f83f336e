"""The night's work: when it is due, what it is worth, and done by the agent's real jobs on a real store and slots."""

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.behaviors import Behavior, Entry
from edge.core.dictionary import Dictionary
from edge.core.events import Event, Message
from edge.core.quiet import SHADOW
from edge.core.verdicts import SENT, Alert
from edge.dialects import Dialects, dialect
from edge.jobs import Jobs
from edge.nightly import LEAST, Drift, Nightly
from edge.requests import Request
from edge.sections import Adapt, Data, Home, Learn, Model
from edge.settings import Settings
from edge.sources import GenericSource
from edge.store import Store
from edge.watch import Watch
from tests import homes

DAY, HOUR = 86400.0, 3600.0
PARIS = ZoneInfo("Europe/Paris")


class Notes:
    """Facts and counts that outlive nothing."""

    def __init__(self):
        self.facts, self.behaviors, self.states = {}, 0, {}

    def fact(self, key, default):
        return self.facts.get(key, default)

    def set_fact(self, key, value):
        self.facts[key] = value

    def newest(self):
        return self.behaviors

    def alert_states(self):
        return self.states


def nightly(notes, zone=UTC, hour=4):
    return Nightly(notes, notes, zone, hour)


@given(st.lists(st.floats(0, 10 * DAY), min_size=1, max_size=200))
def test_a_nights_work_is_due_once_a_day_whenever_one_looks(looks):
    notes = Notes()
    # A new one each time: as after a restart.
    days = [int((at - 4 * HOUR) // DAY) for at in sorted(looks) if nightly(notes).due(homes.MONDAY + at)]
    assert len(days) == len(set(days))


@pytest.mark.parametrize("month", [1, 3, 10])
def test_it_is_done_every_night_by_the_homes_clock_also_when_the_clocks_are_changed(month):
    notes = Notes()
    start = datetime(2025, month, 20, tzinfo=PARIS).timestamp()
    looks = (start + 600 * n for n in range(6 * 24 * 15))
    done = [datetime.fromtimestamp(at, PARIS) for at in looks if nightly(notes, PARIS).due(at)]
    assert len({each.date() for each in done}) == len(done) == 15
    assert all(each.hour == 4 for each in done)


def test_a_night_slept_through_is_caught_up_with_and_not_twice():
    notes = Notes()
    assert nightly(notes).due(homes.MONDAY + 15 * HOUR)
    assert not nightly(notes).due(homes.MONDAY + 23 * HOUR)
    assert not nightly(notes).due(homes.MONDAY + DAY + 2 * HOUR)
    assert nightly(notes).due(homes.MONDAY + DAY + 4 * HOUR)


def test_a_clock_that_jumps_makes_a_day_of_work_at_most_and_stops_nothing():
    notes = Notes()
    now = homes.MONDAY + 5 * HOUR
    assert nightly(notes).due(now)
    jumps = [now + 400 * DAY, now + 400 * DAY + 60, now + DAY, now + DAY + 60]  # forward by mistake, and back
    assert [nightly(notes).due(each) for each in jumps] == [True, False, True, False]
    assert nightly(notes).due(now + 2 * DAY)


@pytest.mark.parametrize("junk", [7, [], "x", {"at": "x"}, {"date": 4, "behaviors": "x"}])
def test_corrupt_facts_are_as_if_nothing_was_done(junk):
    notes = Notes()
    notes.facts = {"night": junk, "learned": junk, "drift": junk}
    assert nightly(notes).due(homes.MONDAY + 5 * HOUR)
    assert nightly(notes).worth()
    assert Drift(notes).since in {None, 7.0}


def test_what_an_old_home_lives_is_worth_as_much_as_what_it_learns_from():
    notes = Notes()
    night = nightly(notes)
    notes.behaviors = 1_000_000  # rows count on, whatever of the past has left
    night.learned(night.marks())
    notes.behaviors += 200
    assert night.worth()


def test_nothing_new_is_not_learned_again_and_what_people_say_is_always_new():
    notes = Notes()
    night = nightly(notes)
    assert night.worth()
    notes.behaviors = 1000
    night.learned(night.marks())
    assert not night.worth()
    notes.behaviors += LEAST - 1
    assert not night.worth()
    notes.behaviors += 1
    assert night.worth()
    night.learned(night.marks())
    notes.states = {"fine": 1}
    assert night.worth()
    night.learned(night.marks())
    notes.states = {"wrong": 1}
    assert night.worth()
    notes.behaviors = 100_000
    night.learned(night.marks())
    notes.behaviors += LEAST
    assert not night.worth(), "a hundredth of what is known already"


def test_drift_is_news_when_it_begins_and_when_it_ends():
    notes = Notes()
    drift = Drift(notes)
    assert not drift.look(1.0, drifting=False)
    assert drift.look(2.0, drifting=True)
    assert not drift.look(3.0, drifting=True)
    assert Drift(notes).since == 2.0
    assert Drift(notes).look(4.0, drifting=False)
    assert Drift(notes).since is None


def lively(first, days):
    """Return a home that does the same each waking hour: 64 behaviors a day from day `first` on."""
    acts = (("lamp1", "ON"), ("kettle1", "ON"), ("kettle1", "OFF"), ("lamp1", "OFF"))
    return [
        Behavior(homes.MONDAY + day * DAY + hour * HOUR + minute * 60, device, f"state {state}")
        for day in range(first, first + days)
        for hour in range(7, 23)
        for minute, (device, state) in enumerate(acts)
    ]


class Told:
    def __init__(self):
        self.answers = []
        self.announced = 0

    def answer(self, what, data, *, error="", transaction=""):
        self.answers.append((what, data, error))

    def announce(self):
        self.announced += 1


class House:
    """An agent's jobs and its fast loop, without the broker; its clock is that of what is lived."""

    def __init__(self, folder, **learn):
        self.settings = Settings(
            data=Data(directory=folder),
            sources=(GenericSource(dialect="generic", topic="home/{device}"),),
            home=Home(scene="winter"),
            model=Model(learn_after_days=1000.0),
            adapt=Adapt(steps=12, notice=False),
            learn=Learn(**learn),
        )
        self.store = Store.open(folder)
        self.store.remember(homes.DEVICES)
        self.published = []
        self.watch = Watch(
            self.store, lambda _: None, self._publish, Dialects([dialect("generic", {"topic": "home/{device}"})]), UTC
        )
        self.told = Told()
        self.jobs = Jobs(self.settings, self.store, self.watch, self.told)
        self.watch.devices.update({device.id: device for device in homes.DEVICES})
        self.watch.take_up(list(self.store.behaviors_with_ids()), [], 0.0)

    def _publish(self, topic, body, **_):
        self.published.append((topic, body))

    def live(self, behaviors):
        for each in behaviors:
            event = Event(each.time, each.device, each.device, "", each.control, momentary=True)
            rows = self.store.record([Entry(Message("t", b"", each.time), (event,), (each,))])
            self.watch.live(each, rows[0][0], each.time)

    def settle(self):
        """Tick until nothing is under way or waiting."""
        deadline = time.monotonic() + 60
        self.jobs.tick()
        while self.jobs.status()["busy"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
            self.jobs.tick()

    def learn(self):
        self.jobs.ask(Request("learn"))
        self.settle()
        assert self.watch.model is not None, self.jobs.last_report

    def close(self):
        self.jobs.close()
        self.store.close()


@pytest.fixture
def house(tmp_path):
    opened = House(tmp_path, nightly=False)
    yield opened
    opened.close()


def test_nobody_is_told_anything_before_enough_real_days_never_trained_on(house, tmp_path):
    house.live(lively(0, 14))
    house.learn()
    began = house.jobs.status()["calibrating"]
    assert began["sequences"] < began["needed"]
    assert began["days"] < began["needed_days"]
    seen = [began["sequences"]]
    for day in range(14, 20):
        house.live(
            [*lively(day, 1), *[Behavior(homes.MONDAY + (day + 0.99) * DAY + n, "fan1", "state ON") for n in range(2)]]
        )
        house.settle()
        progress = house.jobs.status()["calibrating"]
        if progress is None:
            break
        seen.append(progress["sequences"])
        assert house.store.alerts() == [], "nobody was told"
    assert seen == sorted(set(seen)), "it goes on every night"
    assert 3 <= len(seen) <= 6, "and comes to an end within days"
    assert set(house.store.alert_states()) == {SHADOW}
    assert house.watch.alerts.shadow_mode == ""
    again = House(tmp_path)
    assert again.jobs.status()["calibrating"] is None, "for good"
    assert again.watch.model.limits == house.watch.model.limits, "and the limits of the night hold after a restart"
    again.close()


def test_a_night_learns_what_is_new_in_the_slots_scene_and_not_twice(tmp_path):
    house = House(tmp_path, nightly=True)
    house.live(lively(0, 30))
    house.learn()
    first = house.watch.model.slot
    assert house.jobs.status()["calibrating"] is None
    count = house.jobs.outcomes
    house.settle()
    assert house.jobs.outcomes == count, "nothing was lived since"
    house.live(lively(30, 1))
    house.settle()
    assert house.jobs.outcomes == count + 1
    report = house.jobs.last_report
    assert report["gate"]["reasons"]
    if "swap" in report:
        assert house.watch.model.slot != first
        assert house.watch.model.scene == "winter"
    house.settle()
    assert house.jobs.outcomes == count + 1, "once a night"
    house.close()


def test_nothing_is_learned_at_night_while_real_days_decide_on_the_model(tmp_path):
    house = House(tmp_path, nightly=True)
    house.live(lively(0, 30))
    house.learn()
    house.watch.shadow = house.watch.model
    house.live(lively(30, 1))
    count = house.jobs.outcomes
    house.settle()
    assert house.jobs.outcomes == count
    house.watch.shadow = None
    house.jobs.scenery.since = house.jobs.now() - 3 * DAY
    house.live(lively(31, 1))
    house.settle()
    assert house.jobs.outcomes == count, "nor in a scene that is three days old"
    house.close()


def test_what_is_asked_during_the_nights_work_waits_and_is_answered(tmp_path):
    house = House(tmp_path, nightly=True)
    house.live(lively(0, 30))
    house.learn()
    house.live(lively(30, 1))
    house.jobs.tick()
    assert house.jobs.status()["busy"]
    house.jobs.ask(Request("rollback", transaction="mine"))
    house.settle()
    house.settle()
    assert [what for what, _, _ in house.told.answers].count("rollback") == 1
    house.close()


def test_a_crash_after_the_promotion_and_before_the_swap_is_taken_up(tmp_path):
    house = House(tmp_path, nightly=False)
    house.live(lively(0, 30))
    outcome = house.jobs.slow.learn(house.jobs.home(), house.jobs.scenery.scene, house.jobs.now())
    house.close()
    again = House(tmp_path, nightly=False)
    assert again.watch.model.slot == outcome.model.slot
    assert again.watch.model.limits == outcome.model.limits
    again.live(lively(30, 1))
    again.settle()
    assert again.watch.model.limits.n > 0
    again.close()


def test_drift_is_shown_and_is_a_reason_of_the_next_report(house):
    house.live(lively(0, 30))
    house.learn()
    assert house.jobs.status()["drift"] is False
    house.watch._alarms.extend([True] * 60)
    house.settle()
    assert house.jobs.status()["drift"] is True
    since = house.jobs.status()["drift_since"]
    assert since == pytest.approx(house.jobs.now())
    house.learn()
    assert house.jobs.last_report["drift"] == {"since": since}
    if "swap" in house.jobs.last_report:
        house.settle()
        assert house.jobs.status()["drift"] is False


def test_a_device_that_joins_is_named_before_it_is_scored(house):
    house.live(lively(0, 20))
    house.learn()
    lamp = homes.DEVICES[0]
    house.watch.devices["lamp9"] = type(lamp)("lamp9", "New lamp", "light")
    house.live([Behavior(homes.MONDAY + 20 * DAY + 8 * HOUR, "lamp9", "state ON")])
    assert ("lamp9", "state ON") in house.watch.model.scorer.vocabulary.controls
    house.watch.devices["siren9"] = type(lamp)("siren9", "Siren", "siren")
    before = house.watch.model
    house.live([Behavior(homes.MONDAY + 20 * DAY + 9 * HOUR, "siren9", "state ON")])
    assert house.watch.model is before, "like nothing here: it stays unknown"


def test_an_alert_of_a_day_that_counts_lifts_no_limit_by_more_than_a_little(house):
    house.live(lively(0, 30))
    house.learn()
    rows = [row for row, _ in house.store.behaviors_with_ids()]
    house.live(lively(30, 2))
    for row, each in house.store.behaviors_with_ids(after=rows[-1]):
        if row % 5 == 0:
            house.store.add_alert(Alert(each.time, row, 3.0, 1.0, "Odd.", SENT))
    before = house.watch.model.limits
    house.settle()
    after = house.watch.model.limits
    assert after != before
    assert after.what <= 1.5 * before.what


def test_a_dictionary_of_nothing_admits_nothing(tmp_path):
    from edge.history import gather, lived_since

    store = Store.open(tmp_path)
    empty = Dictionary({}, ())
    assert gather(store, UTC, empty).sequences == ()
    assert lived_since(store, UTC, 0.0, empty).sequences == ()
    store.close()
