"""What is done once a week is no alarm after two weeks: a simulated home, the real fit and the real nightly limits."""

import threading
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import numpy as np
import pytest

from edge import compose
from edge.calibrator import Calibrator
from edge.core.behaviors import Behavior, Entry
from edge.core.devices import Device
from edge.core.dictionary import Dictionary
from edge.core.events import Message
from edge.core.scenes import Scene
from edge.core.sequences import split
from edge.history import gather, lived_since
from edge.settings import Settings
from edge.slots import Slots
from edge.store import Store
from trainer.homes.home import Home
from trainer.homes.life import live

MONDAY = date(2025, 3, 3)
MOWER = Device("mower1", "Mower", "mower")


def at(home, day, hour):
    """Return a time of the home's clock, `hour` on its day `day` (seconds since the epoch)."""
    return (datetime.combine(MONDAY + timedelta(days=day), time(), home.clock) + timedelta(hours=hour)).timestamp()


def mown(home, day, hour, rng):
    """Return the mower's 40 minutes, about `hour`."""
    start = at(home, day, hour) + rng.normal(0, 900)
    return [Behavior(start, "mower1", "state ON"), Behavior(start + 2400 + rng.normal(0, 300), "mower1", "state OFF")]


def record(store, behaviors):
    store.record([Entry(Message("", b"", each.time), (), (each,)) for each in behaviors])


@pytest.mark.parametrize("seed", [6, 21])
def test_what_is_done_on_sundays_does_not_alarm_on_the_third(tmp_path, seed):
    home = Home.draw(seed)
    rng = np.random.default_rng(seed)
    usual = live(home, Scene(), MONDAY, 21, seed)
    sundays = [each for day in (6, 13, 20) for each in mown(home, day, 10, rng)]
    lived = sorted([*usual, *sundays], key=lambda each: each.time)
    learned, sunday = at(home, 14, 0), at(home, 20, 0)
    known = Dictionary.of([], [*home.dictionary.devices.values(), MOWER])
    store = Store.open(tmp_path)
    record(store, [each for each in lived if each.time < learned])

    slow = compose.slow_loop(Settings(), Slots(tmp_path / "slots"), threading.Event())
    outcome = slow.learn(gather(store, home.clock, known), Scene(), now=learned)
    assert outcome.model is not None, outcome.report
    calibrator = Calibrator(store)
    model = calibrator.keep(outcome, [outcome.model.slot])
    record(store, [each for each in lived if learned <= each.time < sunday])
    limits = calibrator.refit(model, lived_since(store, home.clock, learned, known))
    model = calibrator.hold(model, limits)

    past = split([each for each in lived if each.time < sunday], home.clock)
    found = split(lived, home.clock)[len(past) - 1 :]
    mowing = [each for each in found if any(step.device == "mower1" and not step.carried for step in each)]
    strange = [tuple(replace(step, device="drill1", hour=3) for step in each) for each in found]
    assert mowing
    known, never = (model.limits.scores(model.scorer.surprise(each)).max() for each in (mowing, strange))
    assert known <= 1
    assert never > 1.5 * known, "the test can tell"
    store.close()
