"""Learning goes on, through the real store, retraining, scorer, gate and slots: what people say is learned."""

import threading
from dataclasses import replace
from datetime import UTC

import numpy as np
import pytest

from edge import compose
from edge.adapt import Plan
from edge.calibrator import Calibrator
from edge.core.behaviors import Behavior, Entry
from edge.core.devices import Device
from edge.core.dictionary import Dictionary
from edge.core.events import Event, Message
from edge.core.recalibration import NORMAL, UNCLEARED, WRONG
from edge.core.scenes import Scene
from edge.core.sequences import split
from edge.core.verdicts import FINE, SENT, Alert
from edge.history import RECENT, STRIDE, anchor, gather, lived_since
from edge.sections import Adapt
from edge.settings import Settings
from edge.slots import Slots
from edge.store import Store
from tests import homes

DAY, HOUR = 86400.0, 3600.0
WINTER = Scene.parse("winter")
EMPTY = Dictionary({}, ())


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path)
    opened.remember(homes.DEVICES)
    yield opened
    opened.close()


def live(store, behaviors):
    """Record behaviors; return their rows."""
    entries = [
        Entry(
            Message("t", b"", each.time),
            (Event(each.time, each.device, each.device, "", each.control, momentary=True),),
            (each,),
        )
        for each in behaviors
    ]
    return [row for rows in store.record(entries) for row in rows]


def alert(store, row, time, state=SENT):
    return store.add_alert(Alert(time, row, 2.0, 1.0, "It was odd.", state))


def make(folder, steps=100, seed=0):
    return compose.slow_loop(Settings(adapt=Adapt(steps=steps)), Slots(folder), threading.Event(), Plan(seed=seed))


def score(model, sequences):
    return model.limits.scores(model.scorer.surprise(sequences))


def as_lamp2(each):
    """Return a behavior as another lamp would do it."""
    return replace(each, device="lamp2") if each.device == "lamp1" else each


def at(day, hour, pair):
    return Behavior(homes.MONDAY + day * DAY + hour * HOUR, *homes.PAIRS[pair])


@pytest.fixture
def odd(store):
    """A home of 80 days, and one unusual act: the fan, in winter, at three in the night; with its alert."""
    act = at(60, 3, 6)
    lived = sorted([*homes.behaviors(160), act], key=lambda each: each.time)
    rows = live(store, lived)
    row = rows[lived.index(act)]
    return row, act, alert(store, row, act.time)


def sequence_of(home, act):
    """Return the sequences of a home that hold an act."""
    return [each for each in home.sequences if any((s.device, s.control) == (act.device, act.control) for s in each)]


def test_what_was_fine_is_learned_by_the_next_fit_and_what_was_not_said_is_not(store, odd, tmp_path):
    _, act, number = odd
    slow = make(tmp_path / "slots")
    before = gather(store, UTC, homes.HOME)
    assert not sequence_of(before, act)
    first = slow.learn(before, WINTER, now=act.time)
    assert first.report["admission"]["left_out"] == 1
    store.mark_alert(number, FINE)
    cleared = gather(store, UTC, homes.HOME)
    ((_, held),) = cleared.cleared
    assert held[-1].device == act.device
    second = slow.learn(cleared, WINTER, now=act.time)
    assert second.report["admission"]["cleared"] == 1
    assert score(first.model, [held])[0] > 1
    assert score(second.model, [held])[0] <= 1


def test_what_was_wrong_stays_out_and_is_measured_on(store, odd, tmp_path):
    _, act, number = odd
    slow = make(tmp_path / "slots", steps=60)
    store.mark_alert(number, "wrong")
    home = gather(store, UTC, homes.HOME)
    assert not sequence_of(home, act)
    assert len(home.anomalies) == 1
    *before, last = home.anomalies[0]
    assert (last.device, last.control) == (act.device, act.control)
    assert all(step.carried for step in before)
    outcome = slow.learn(home, WINTER, now=act.time)
    told = slow.learn(replace(home, anomalies=()), WINTER, act.time, outcome.model).report
    assert outcome.report["metrics"]["anomalies"] == told["metrics"]["anomalies"] + 1
    assert score(outcome.model, home.anomalies)[0] > 1


def test_what_was_told_on_three_days_is_learned_through_the_gate(store, tmp_path):
    acts = [at(day, 3, 6) for day in (50, 55, 61)]
    lived = sorted([*homes.behaviors(160), *acts], key=lambda each: each.time)
    rows = live(store, lived)
    for act in acts[:2]:
        alert(store, rows[lived.index(act)], act.time)
    assert len(sequence_of(gather(store, UTC, homes.HOME), acts[0])) == 1, "only what was not told yet"
    number = alert(store, rows[lived.index(acts[2])], acts[2].time)
    home = gather(store, UTC, homes.HOME)
    assert len(sequence_of(home, acts[0])) == 3
    assert home.admission.figures()["habits"] == 1
    store.mark_alert(number, "wrong")
    assert not sequence_of(gather(store, UTC, homes.HOME), acts[0])


def test_a_crash_between_fit_and_promotion_leaves_the_incumbent(store, tmp_path):
    class Crashing(Slots):
        def promote(self, name):
            raise KeyboardInterrupt

    live(store, homes.behaviors(100))
    home = gather(store, UTC, homes.HOME)
    first = make(tmp_path / "slots", steps=40).learn(home, WINTER, now=homes.MONDAY)
    broken = compose.slow_loop(Settings(adapt=Adapt(steps=40)), Crashing(tmp_path / "slots"), threading.Event())
    with pytest.raises(KeyboardInterrupt):
        broken.learn(home, WINTER, homes.MONDAY, None)
    slots = Slots(tmp_path / "slots")
    assert slots.load_healthy().name == first.model.slot
    assert len(slots.names()) == 2, "it was written, and is not used"
    again = make(tmp_path / "slots", steps=40).learn(home, WINTER, homes.MONDAY, None)
    assert slots.current() == again.model.slot


def test_a_new_device_is_scored_as_its_class_at_once_and_after_the_next_fit(store, tmp_path):
    """A second lamp that does what the first does alarms neither before it was learned nor when it hardly was."""
    lived = homes.behaviors(156)
    past = [each for each in lived if each.time < homes.MONDAY + 60 * DAY]
    live(store, past)
    slow = make(tmp_path / "slots", steps=100)
    model = slow.learn(gather(store, UTC, homes.HOME), WINTER, now=homes.MONDAY + 60 * DAY).model
    store.remember([Device("lamp2", "Kitchen lamp", "light")])
    joined = slow.joined(model, Dictionary.of(store.pairs(), store.devices()))
    fresh = set(joined.scorer.vocabulary.controls) - set(model.scorer.vocabulary.controls)
    assert fresh == {("lamp2", "state ON"), ("lamp2", "state OFF")}
    assert slow.joined(joined, Dictionary.of(store.pairs(), store.devices())) is joined, "once is enough"

    days = [each for each in lived if each.time >= homes.MONDAY + 60 * DAY]
    first, second = (
        split([*past, *each], UTC)[len(split(past, UTC)) :] for each in (days, [as_lamp2(each) for each in days])
    )
    usual, now, same = (score(each, of) for each, of in ((model, first), (joined, second), (joined, first)))
    unknown = score(model, second)
    assert (unknown > 1).all(), "unknown, it alarms: the test can tell"
    assert np.median(now) <= np.median(usual) + 0.1
    assert now.max() < unknown.min()
    assert (same <= usual + 0.1).all(), "and what was there before alarms no more than before"

    live(store, [as_lamp2(each) for each in days if each.time < homes.MONDAY + 64 * DAY])
    learned = slow.learn(gather(store, UTC, homes.HOME), WINTER, homes.MONDAY + 64 * DAY)
    assert np.median(score(learned.model, second[-8:])) < 1


def test_a_device_of_no_class_here_stays_unknown(store, tmp_path):
    live(store, homes.behaviors(100))
    slow = make(tmp_path / "slots", steps=20)
    model = slow.learn(gather(store, UTC, homes.HOME), WINTER, now=homes.MONDAY).model
    store.remember([Device("lock1", "Door", "door_lock")])
    assert slow.joined(model, Dictionary.of(store.pairs(), store.devices())) is model


def test_the_days_of_another_scene_are_cut_to_what_stays_valid_and_this_scenes_stay_whole(store, tmp_path):
    from edge.fit import Split

    live(store, homes.behaviors(120))
    turned = homes.MONDAY + 40 * DAY
    home = gather(store, UTC, homes.HOME, turned)
    assert 0 < home.turned < len(home.sequences)
    split = Split.of(home, Scene.parse("spring"), home.turned)
    whole = Split.of(home, Scene(), 0)
    heating = [
        sum(
            step.device == "heat1"
            for part in (each.train, each.calibrate, each.measure)
            for run in part
            for step in run
        )
        for each in (split, whole)
    ]
    assert 0 < heating[0] < heating[1]
    lived = [s for s in home.sequences[home.turned :] for step in s if step.device == "heat1"]
    assert heating[0] == len(lived)


def test_the_record_is_looked_at_from_a_row_that_moves_seldom():
    assert anchor(0) == anchor(RECENT) == 0
    seen = [anchor(count) for count in range(0, 3 * RECENT, 7)]
    assert set(seen) == {STRIDE * n for n in range(9)}
    assert seen == sorted(seen)
    assert all(count - anchor(count) <= RECENT for count in range(0, 3 * RECENT, 7))


def test_what_was_lived_since_is_marked_by_what_is_known_of_it(store, odd):
    _, act, number = odd
    since = act.time - 5 * DAY
    for state, mark in ((SENT, UNCLEARED), (FINE, NORMAL), ("wrong", WRONG), ("shadow", NORMAL)):
        store.mark_alert(number, state)
        lived = lived_since(store, UTC, since, homes.HOME)
        marks = [
            known
            for sequence, each in zip(lived.sequences, lived.known, strict=True)
            for step, known in zip([s for s in sequence if not s.carried], each, strict=True)
            if (step.device, step.control) == (act.device, act.control)
        ]
        assert marks == [mark]
        assert sum(map(len, lived.known)) == sum(each.time > since for each in store.behaviors())
    assert lived_since(store, UTC, homes.MONDAY + 900 * DAY, homes.HOME).sequences == ()


def test_the_limits_of_a_slot_follow_the_days_and_outlive_a_restart(store, tmp_path):
    live(store, homes.behaviors(100))
    slow = make(tmp_path / "slots", steps=60)
    outcome = slow.learn(gather(store, UTC, homes.HOME), WINTER, now=homes.MONDAY + 50 * DAY)
    calibrator = Calibrator(store)
    model = calibrator.keep(outcome, [outcome.model.slot])
    live(store, [each for each in homes.behaviors(140) if each.time > homes.MONDAY + 50 * DAY])
    lived = lived_since(store, UTC, model.created, homes.HOME)
    limits = calibrator.refit(model, lived)
    assert limits.n == model.limits.n + len(lived.sequences)
    held = calibrator.hold(model, limits)
    again = Calibrator(store).taken_up(slow.open(outcome.model.slot))
    assert again.limits == held.limits == limits
    assert again.limits != outcome.model.limits


@pytest.mark.parametrize(
    "junk", [7, [], "x", {"0001-winter": 3}, {"0001-winter": {"limits": {"what": 1}, "held": [[1]]}}]
)
def test_where_what_was_kept_is_corrupt_the_slots_own_limits_hold(store, tmp_path, junk):
    live(store, homes.behaviors(100))
    slow = make(tmp_path / "slots", steps=5)
    model = slow.learn(gather(store, UTC, homes.HOME), WINTER, now=homes.MONDAY).model
    for key in ("calibrations", "held_out"):
        store.set_fact(key, junk)
    calibrator = Calibrator(store)
    assert calibrator.taken_up(model).limits == model.limits
    few = lived_since(store, UTC, homes.MONDAY + 45 * DAY, homes.HOME)
    assert calibrator.refit(model, few) is None, "too few to stand alone"
    limits = calibrator.refit(model, lived_since(store, UTC, homes.MONDAY, homes.HOME))
    assert calibrator.hold(model, limits).limits == limits
    assert Calibrator(store).taken_up(model).limits == limits
