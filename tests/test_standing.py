"""Days that were learned, and how often a home was told of what was fine; on a real store."""

import pytest

from edge.core.behaviors import Behavior, Entry
from edge.core.events import Message
from edge.core.verdicts import Alert
from edge.standing import DAY, days, false_alarms
from edge.store import Store
from tests import homes


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


def live(store, *moments):
    for time in moments:
        store.record([Entry(Message("", b"", time), (), (Behavior(time, "lamp1", "state ON"),))])


def test_before_the_first_behavior_nothing_was_lived(store):
    assert days(store, None, homes.MONDAY) == {"recorded": 0.0, "learned": 0.0}
    assert false_alarms(store, homes.MONDAY)["per_week"] == 0


def test_days_are_counted_from_the_first_behavior_to_what_was_learned(store):
    live(store, homes.MONDAY, homes.MONDAY + 20 * DAY)
    now = homes.MONDAY + 21 * DAY
    assert days(store, None, now) == {"recorded": 21.0, "learned": 0.0}
    assert days(store, homes.MONDAY + 14.5 * DAY, now) == {"recorded": 21.0, "learned": 14.5}
    assert days(store, now + DAY, now)["learned"] == 21.0
    assert days(store, homes.MONDAY - DAY, now)["learned"] == 0.0


def test_only_what_was_called_fine_is_a_false_alarm_and_only_of_the_last_days(store):
    live(store, homes.MONDAY)
    now = homes.MONDAY + 60 * DAY
    for ago, state in ((1, "fine"), (2, "fine"), (3, "fine"), (4, "wrong"), (5, "sent"), (6, "muted"), (15, "fine")):
        store.add_alert(Alert(now - ago * DAY, None, 2.0, 1.0, "odd", state))
    found = false_alarms(store, now)
    assert (found["told"], found["fine"], found["wrong"]) == (5, 3, 1)
    assert found["per_week"] == 1.5
    assert found["share"] == 0.75


def test_a_young_home_is_counted_over_the_days_it_has(store):
    now = homes.MONDAY + 7 * DAY
    live(store, homes.MONDAY)
    store.add_alert(Alert(now - DAY, None, 2.0, 1.0, "odd", "fine"))
    assert false_alarms(store, now)["per_week"] == 1.0
    assert false_alarms(store, now)["share"] == 1.0
