"""The fast loop on a real store: durable, then acknowledged, then scored."""

from datetime import UTC

import pytest

from edge.adapt import Model
from edge.core.errors import StoreError
from edge.core.events import Message
from edge.core.sequences import Window
from edge.store import Store
from tests import homes
from tests.hearing import LIMITS, Fixed, message, watching


@pytest.fixture
def heard(tmp_path):
    store = Store.open(tmp_path)
    acknowledged, published = [], []
    watch = watching(store, published, acknowledged=acknowledged)
    yield watch, store, acknowledged, published
    store.close()


def test_a_behavior_is_stored_acknowledged_scored_and_told(heard):
    watch, store, acknowledged, published = heard
    sent = [message(homes.MONDAY), message(homes.MONDAY + 60, "kettle1")]
    assert watch.handle(sent) == 2
    assert [each.device for each in store.behaviors()] == ["lamp1", "kettle1"]
    assert acknowledged == sent
    assert [topic for topic, _ in published] == ["behavior", "behavior"]
    assert published[1][1]["next"][0]["device"] == "lamp1"


def test_a_sequence_alarms_once_and_the_next_one_again(heard):
    watch, store, _, published = heard
    watch.handle([message(homes.MONDAY + n, "heat1") for n in range(5)])
    watch.handle([message(homes.MONDAY + 86400, "heat1")])
    alerts = [body for topic, body in published if topic == "alert"]
    assert len(alerts) == 2 == len(store.alerts())
    assert alerts[0]["sentence"].startswith("On Monday at 00 h heat1 turned on, ")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Message("home/lamp1", b"\xff\xfe", homes.MONDAY), "utf"),
        (Message("home/lamp1", b"x" * 300_000, homes.MONDAY), "oversized"),
        (Message("elsewhere", b"{}", homes.MONDAY), "topic"),
        (Message("home/lamp1", b'{"control": ', homes.MONDAY), "malformed"),
        (Message("home/lamp1", b'{"control": "state ON"}', 100.0), "clock"),
    ],
)
def test_what_cannot_be_read_is_counted_and_kept_nowhere(heard, bad, reason):
    watch, store, acknowledged, _ = heard
    watch.handle([bad])
    assert store.count() == 0
    assert acknowledged == [bad]
    ((told, count),) = store.counters().items()
    assert count == 1
    assert reason in told


def test_replayed_messages_are_no_behavior(heard):
    watch, store, acknowledged, _ = heard
    first = message(homes.MONDAY)
    watch.handle([first])
    watch.handle([message(homes.MONDAY, duplicate=True), message(homes.MONDAY + 5, retained=True)])
    assert store.count() == 1
    assert len(acknowledged) == 3
    assert len(watch.window.steps) == 1


def test_nothing_is_acknowledged_that_is_not_on_disk(heard, monkeypatch):
    watch, store, acknowledged, _ = heard

    def full(batch):
        raise StoreError("disk full")

    monkeypatch.setattr(store, "record", full)
    with pytest.raises(StoreError):
        watch.handle([message(homes.MONDAY)])
    assert acknowledged == []


def test_the_shadow_scores_and_alerts_nobody(heard):
    watch, _, _, published = heard
    watch.shadow = Model("0000", "winter", Fixed("lamp1"), LIMITS)
    for day in range(4):
        watch.handle([message(homes.MONDAY + day * 86400)])
    assert not [topic for topic, _ in published if topic == "alert"]
    assert [(trial.candidate, trial.incumbent) for trial in watch.trials] == [(1.0, 9.0)] * 3


def test_without_a_model_everything_is_still_recorded(heard):
    watch, store, _, published = heard
    watch.model = None
    watch.handle([message(homes.MONDAY)])
    assert store.count() == 1
    assert published == []


def test_a_device_that_acts_for_the_first_time_is_told_once(heard):
    watch = heard[0]
    watch.handle([message(homes.MONDAY), message(homes.MONDAY + 1)])
    assert watch.take_fresh() == ["lamp1"]
    assert watch.take_fresh() == []


def test_a_clock_set_back_begins_a_new_sequence():
    lived = homes.behaviors(2)
    window = Window().extended(lived[-1], UTC).extended(lived[0], UTC)
    assert len(window.steps) == 1
