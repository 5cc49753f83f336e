"""What becomes of an unusual behavior, through the real fast loop and store: told with its why, or kept quiet."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.errors import SettingsError
from edge.core.quiet import BUDGET, COOLDOWN, EXCLUDED, MUTED, SAME_SEQUENCE, SHADOW
from edge.core.sequences import CARRIED, LENGTH
from edge.store import Store
from tests import homes
from tests.hearing import LIMITS, bodies, message, watching

HOUR, DAY = 3600, 86400


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def heard(store):
    published = []
    return watching(store, published), store, published


def test_an_alert_carries_its_sentence_and_its_why(heard):
    watch, store, published = heard
    for day in range(5):
        watch.handle([message(homes.MONDAY + day * DAY + 7 * HOUR, "lamp1")])
    watch.handle([message(homes.MONDAY + 4 * DAY + 12 * HOUR, "heat1")])
    (alert,) = bodies(published)
    assert alert["sentence"] == (
        "On Friday at 12 h heat1 turned on, a device that was never seen to act before; "
        "expected rather: lamp1 turned on (70%), kettle1 turned on (15%), lamp1 turned off (10%)."
    )
    why = alert["explanation"]
    assert (why["odd"], why["model"], why["limits"][:3], why["surprise"][:3]) == ("device", "0001", [5] * 3, [9, 0, 0])
    assert [each["probability"] for each in why["expected"]] == pytest.approx([0.7, 0.15, 0.1], abs=1e-3)
    kept = store.alert(alert["alert"])
    assert kept.sentence == alert["sentence"]
    assert kept.explanation.as_json() == why
    watch.handle([message(homes.MONDAY + 7 * DAY, "heat1")])
    assert "; seen once before, on 2025-01-10; " in bodies(published)[1]["sentence"]


def test_an_excluded_device_is_recorded_and_context_and_never_judged(heard):
    _, store, published = heard
    watch = watching(store, published, exclude=["heat*"])
    watch.handle([message(homes.MONDAY + n * 60, "heat1") for n in range(3)])
    watch.handle([message(homes.MONDAY + 300, "lamp1")])
    assert store.count() == 4
    assert len(watch.window.steps) == 4
    assert not bodies(published)
    assert [(body["score"], body["quiet"]) for body in bodies(published, "behavior")] == [(None, EXCLUDED)] * 3 + [
        (0.2, "")
    ]
    assert watch.scored == 1
    assert watch.alerts.kept_quiet == {EXCLUDED: 3}


def test_a_mute_keeps_a_device_quiet_and_holds_on_until_what_goes_on_is_over(heard):
    watch, store, published = heard
    now = homes.MONDAY
    watch.alerts.mute("heat*", 10, now)
    watch.handle([message(now + 60, "heat1")])
    watch.handle([message(now + 3600, "heat1")])  # the mute is over, the run of behaviors is not
    assert [body["quiet"] for body in bodies(published, "behavior")] == [MUTED, MUTED]
    watch.handle([message(now + DAY, "heat1")])
    assert len(bodies(published)) == 1
    assert [alert.state for alert in store.alerts(states=(MUTED, "sent"))] == [MUTED, "sent"]


def test_a_mute_in_the_midst_of_an_event_holds_at_once(heard):
    _, store, published = heard
    watch = watching(store, published, odd="heat1 fan1", cooldown=0.0)
    watch.handle([message(homes.MONDAY, "heat1")])
    watch.alerts.mute("fan1", 600, homes.MONDAY + 30)
    later = [message(homes.MONDAY + 60 + n * 60, "fan1") for n in range(2 * LENGTH)]
    watch.handle(later)
    assert [body["device"] for body in bodies(published)] == ["heat1"]
    assert {body["quiet"] for body in bodies(published, "behavior")[1:]} == {MUTED}


def test_a_mute_that_is_ended_is_over_at_once_and_mutes_outlive_a_restart(heard):
    watch, store, published = heard
    watch.alerts.mute("heat1", 600, homes.MONDAY)
    again = watching(store, published)
    again.take_up([], [], homes.MONDAY + 60)
    again.handle([message(homes.MONDAY + 120, "heat1")])
    assert not bodies(published)
    again.alerts.mute("heat1", 0, homes.MONDAY + 130)
    again.handle([message(homes.MONDAY + 180, "heat1")])
    assert len(bodies(published)) == 1
    last = watching(store, published)
    last.take_up([], [], homes.MONDAY + 200)
    assert last.alerts.status(homes.MONDAY + 200, homes.MONDAY)["mutes"] == {}


@pytest.mark.parametrize(("device", "minutes"), [("", 5), ("x" * 300, 5), ("lamp", -1), ("lamp", 1e9), ("a", np.nan)])
def test_a_mute_that_is_none_is_refused(heard, device, minutes):
    with pytest.raises(SettingsError):
        heard[0].alerts.mute(device, minutes, homes.MONDAY)


def test_a_cooldown_is_charged_by_an_alert_that_was_sent_and_by_no_other(heard):
    _, store, published = heard
    watch = watching(store, published, cooldown=2.0 * DAY)
    watch.alerts.mute("heat1", 60, homes.MONDAY)
    for day in range(4):
        watch.handle([message(homes.MONDAY + day * DAY, "heat1")])
    assert [body["quiet"] for body in bodies(published, "behavior")] == [MUTED, "", COOLDOWN, ""]
    assert [alert.state for alert in store.alerts(states=("sent", MUTED, COOLDOWN))] == [
        MUTED, "sent", COOLDOWN, "sent",
    ]  # fmt: skip


def test_no_more_is_told_in_a_day_than_the_budget_and_what_is_not_is_kept_with_its_reason(heard):
    _, store, published = heard
    watch = watching(store, published, odd="heat1 fan1 lamp1 kettle1", budget_per_day=2, cooldown=0.0)
    for n, device in enumerate(["heat1", "fan1", "lamp1", "kettle1"]):
        for k in range(LENGTH):  # a whole sequence each, so that the next begins another
            watch.handle([message(homes.MONDAY + n * 3600 + k, device)])
    assert len(bodies(published)) == 2
    assert store.alert_states()["sent"] == 2
    assert store.alert_states()[BUDGET] >= 1
    assert watch.alerts.status(homes.MONDAY, homes.MONDAY)["budget"] == {"told": 2, "of": 2}
    watch.handle([message(homes.MONDAY + 2 * DAY, "heat1")])
    assert len(bodies(published)) == 3


def test_in_shadow_mode_verdicts_are_kept_and_nobody_is_told_or_charged(heard):
    watch, store, published = heard
    watch.alerts.shadow_mode = "3 of 40 sequences"
    for day in range(3):
        watch.handle([message(homes.MONDAY + day * DAY + n, "heat1") for n in range(3)])
    assert not bodies(published)
    assert store.alert_states() == {SHADOW: 3}
    assert watch.alerts.kept_quiet == {SHADOW: 3, SAME_SEQUENCE: 6}
    assert all(alert.sentence and alert.explanation for alert in store.alerts(states=(SHADOW,)))
    watch.alerts.shadow_mode = ""
    watch.handle([message(homes.MONDAY + 3 * DAY, "heat1")])
    assert len(bodies(published)) == 1


def test_every_unusual_behavior_is_told_or_has_its_reason_and_is_counted(heard):
    _, store, published = heard
    watch = watching(store, published, odd="heat1 fan1", budget_per_day=1, cooldown=30.0 * HOUR)
    rng = np.random.default_rng(0)
    now = homes.MONDAY
    for _ in range(200):
        now += float(rng.choice([60, 1800, 20 * HOUR]))
        if rng.random() < 0.05:
            watch.alerts.mute("fan1", 300, now)
        watch.handle([message(now, str(rng.choice(["heat1", "fan1", "lamp1"])))])
    odd = [body for body in bodies(published, "behavior") if body["unusual"]]
    quiet = [body["quiet"] for body in odd if body["quiet"]]
    assert set(quiet) == {MUTED, COOLDOWN, BUDGET, SAME_SEQUENCE}
    assert len(bodies(published)) == len(odd) - len(quiet) == store.alert_states()["sent"]
    assert watch.alerts.kept_quiet.total() == len(quiet)
    assert all(body["sentence"].endswith(".") for body in bodies(published))


def test_a_sequence_whose_odd_behaviors_add_up_is_told_once_and_the_oddest_is_explained(heard):
    _, store, published = heard
    watch = watching(store, published, odd="heat1=4.6 fan1=4.2 kettle1=0.5")
    watch.handle([message(homes.MONDAY + 60 * n, name) for n, name in enumerate(["lamp1", "heat1", "kettle1", "fan1"])])
    (alert,) = bodies(published)
    assert (alert["device"], alert["t"]) == ("heat1", homes.MONDAY + 60)
    assert "heat1 turned on" in alert["sentence"]
    assert alert["score"] == pytest.approx((0.2**4 + 0.92**4 + 0.1**4 + 0.84**4) ** 0.25, abs=1e-3)
    assert store.alert(alert["alert"]).behavior == 2  # the row of what is explained
    assert [body["unusual"] for body in bodies(published, "behavior")] == [False, False, False, True]
    watch.handle([message(homes.MONDAY + 600, "kettle1")])
    assert not bodies(published, "behavior")[-1]["unusual"]
    watch.handle([message(homes.MONDAY + 660 + 60 * n, "lamp1") for n in range(2 * LENGTH)])
    assert len(bodies(published)) == 1
    watch.handle([message(homes.MONDAY + DAY, "heat1")])  # another day begins at nothing
    assert len(bodies(published)) == 1
    watch.handle([message(homes.MONDAY + DAY + 60, "fan1")])
    assert len(bodies(published)) == 2


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([("lamp1", 1.0), ("fan1", 4.0), ("heat1", 4.9), ("kettle1", 6.0)]), max_size=LENGTH))
def test_live_a_sequence_alarms_where_its_stored_score_is_beyond_the_limit(order):
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder))
        published = []
        watch = watching(store, published, odd="fan1=4 heat1=4.9 kettle1=6", cooldown=0.0)
        watch.handle([message(homes.MONDAY + n, device) for n, (device, _) in enumerate(order)])
        stored = LIMITS.scores([np.array([(nats, 0.0, 0.0) for _, nats in order]).reshape(-1, 3)])[0]
        assert (len(bodies(published)) == 1) == (stored > 1.0)
        assert any(body["unusual"] for body in bodies(published, "behavior")) == (stored > 1.0)
        store.close()


def test_a_run_that_goes_on_is_told_again_only_when_what_was_odd_is_carried_no_more(heard):
    _, store, published = heard
    watch = watching(store, published, cooldown=0.0)
    order = [*["lamp1"] * (LENGTH - 1), "heat1", "heat1", *["lamp1"] * (LENGTH - CARRIED - 1), "heat1"]
    watch.handle([message(homes.MONDAY + n * 60, device) for n, device in enumerate(order)])
    told = [body["quiet"] for body in bodies(published, "behavior") if body["unusual"]]
    assert told == ["", SAME_SEQUENCE, ""]


def test_after_a_restart_no_alert_is_repeated_and_the_cooldown_goes_on(heard):
    watch, store, published = heard
    lived = [message(homes.MONDAY + n * 60, device) for n, device in enumerate(["lamp1", "heat1", "lamp1"])]
    watch.handle(lived)
    again = watching(store, published)
    again.take_up(store.behaviors_with_ids(), store.alerts(), homes.MONDAY + 200)
    assert (again.window.steps, again.window.alarmed) == (watch.window.steps, True)
    assert len(again.alerts.habits) == 3
    again.handle([message(homes.MONDAY + 240, "heat1")])
    assert len(bodies(published)) == 1
    third = watching(store, published, cooldown=2.0 * DAY)
    third.take_up(store.behaviors_with_ids(), store.alerts(), homes.MONDAY + 300)
    third.handle([message(homes.MONDAY + DAY, "heat1")])
    assert bodies(published, "behavior")[-1]["quiet"] == COOLDOWN


def test_feedback_changes_what_is_known_of_an_alert(heard):
    watch, store, published = heard
    watch.handle([message(homes.MONDAY, "heat1")])
    number = bodies(published)[0]["alert"]
    assert watch.alerts.feedback(number, "fine") == {"alert": number, "verdict": "fine"}
    assert store.alert(number).state == "fine"
    watch.alerts.feedback(number, "wrong")
    assert store.alert_states() == {"wrong": 1}
    for alert, said in ((number, "maybe"), (number + 1, "fine"), (number, "sent")):
        with pytest.raises(SettingsError):
            watch.alerts.feedback(alert, said)
    assert store.alert_states() == {"wrong": 1}


def test_what_is_unusual_counts_for_drift_whether_or_not_anybody_is_told(heard):
    watch = heard[0]
    watch.alerts.mute("*", 60 * 24 * 365, homes.MONDAY)
    for day in range(60):
        watch.handle([message(homes.MONDAY + day * DAY, "heat1")])
    assert watch.drifting()
    assert watch.alerts.suspended_until(homes.MONDAY) == homes.MONDAY + 365 * DAY
