"""The past merged into the record: numbered in order of time, each once, what points at it right, all or nothing."""

import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.behaviors import Behavior, Entry
from edge.core.devices import Device
from edge.core.dictionary import Dictionary
from edge.core.errors import EdgeError, StoreError
from edge.core.events import Event, Message
from edge.core.verdicts import Alert
from edge.history import gather
from edge.lock import alone
from edge.merge import ALIKE, Merged
from edge.store import FILE, Store
from tests import homes

ROOT = Path(__file__).parent.parent


def lived(*behaviors: Behavior) -> list[Entry]:
    return [Entry(Message("x", b"", each.time), behaviors=(each,)) for each in behaviors]


def past(*behaviors: Behavior):
    return [(each, f"Old {each.device}") for each in behaviors]


def act(time: float, device: str = "lamp", control: str = "on") -> Behavior:
    return Behavior(time, device, control)


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


def test_the_past_comes_before_and_between_and_rows_follow_time(store):
    store.record(lived(act(100.0), act(200.0), act(150.0, "fan")))  # as they arrived
    merged = store.merge(past(act(50.0, "heat"), act(170.0, "heat"), act(300.0, "heat")), [])
    assert merged == Merged(3, 0)
    assert [(row, each.time, each.device) for row, each in store.behaviors_with_ids()] == [
        (1, 50.0, "heat"), (2, 100.0, "lamp"), (3, 150.0, "fan"), (4, 170.0, "heat"), (5, 200.0, "lamp"),
        (6, 300.0, "heat"),
    ]  # fmt: skip
    assert store.record(lived(act(400.0, "new"))) == [[7]]
    assert store.began() == 50.0


def test_alerts_and_scores_stay_with_their_behaviors(store):
    (first,), (second,) = store.record(lived(act(100.0), act(200.0, "fan")))
    store.add_scores({first: 0.25, second: 2.5})
    number = store.add_alert(Alert(200.0, second, 2.5, 1.0, "odd"))
    lost = store.add_alert(Alert(201.0, None, 2.5, 1.0, "of a behavior that was forgotten"))
    store.merge(past(act(10.0), act(150.0), act(180.0)), [])
    rows = dict(store.behaviors_with_ids())
    assert rows[store.alert(number).behavior] == act(200.0, "fan")
    assert store.alert(lost).behavior is None
    assert {rows[row]: score for row, score in store.scores().items()} == {act(100.0): 0.25, act(200.0, "fan"): 2.5}


def test_a_second_time_and_what_is_told_twice_is_no_news(store):
    told = past(act(10.0), act(20.0), act(20.0), act(20.0, "fan"), act(21.5))
    assert store.merge(told, []) == Merged(4, 1)  # 1.5 s apart in one telling: somebody pressed twice
    before = list(store.behaviors_with_ids())
    assert store.merge(told, []) == Merged(0, 5)
    assert store.merge(past(act(20.0 + ALIKE), act(10.0 - ALIKE), act(10.1 - 2 * ALIKE)), []) == Merged(1, 2)
    assert [each for _, each in store.behaviors_with_ids()] == [act(10.1 - 2 * ALIKE), *(each for _, each in before)]


def test_names_that_are_known_stay_and_unknown_ones_come_with_the_past(store):
    store.record(
        [Entry(Message("x", b"", 1.0), (Event(1.0, "lamp", "Hall lamp", "", "on", momentary=True),), (act(1.0),))]
    )
    store.record(lived(act(2.0, "0x2")))
    devices = [Device("lamp", "Wrong", "kettle"), Device("0x2", "Desk fan", "fan"), Device("idle", "Idle", "plug")]
    store.merge([(act(5.0, "0x3"), "Bath heater"), (act(6.0, "lamp"), "Wrong")], devices)
    assert store.devices() == [
        Device("0x2", "Desk fan", "fan"), Device("0x3", "Bath heater", "heater"), Device("idle", "Idle", "plug"),
        Device("lamp", "Hall lamp", "light"),
    ]  # fmt: skip
    store.record(lived(act(7.0, "0x3", "off")))  # the recorder knows what was merged
    assert len(store.pairs()) == len(set(store.pairs())) == 4


TIMES = st.integers(0, 400).map(lambda n: n / 4)
ACTS = st.builds(Behavior, TIMES, st.sampled_from(["a", "b"]), st.sampled_from(["on", "off"]))


@settings(max_examples=40, deadline=None)
@given(st.lists(ACTS, max_size=25), st.lists(st.lists(ACTS, max_size=25), max_size=3))
def test_whatever_is_merged_the_record_is_what_a_plain_list_would_be(first, told):
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder))
        rows = [row for (row,) in store.record(lived(*first))]
        store.add_scores({row: row / 7 for row in rows})
        for row in rows:
            store.add_alert(Alert(1.0, row, row / 7, 1.0, f"{first[row - 1]}"))
        expected = list(first)
        for each in told:
            fresh = [
                behavior for behavior in dict.fromkeys(each)
                if not any((behavior.device, behavior.control) == (known.device, known.control)
                           and abs(behavior.time - known.time) <= ALIKE for known in expected)
            ]  # fmt: skip
            assert store.merge(past(*each), []) == Merged(len(fresh), len(each) - len(fresh))
            first = min((behavior.time for behavior in fresh), default=float("inf"))
            place = next((n for n, known in enumerate(expected) if known.time > first), len(expected))
            expected[place:] = sorted([*expected[place:], *fresh], key=lambda behavior: behavior.time)
        found = dict(store.behaviors_with_ids())
        assert list(found) == list(range(1, len(expected) + 1))
        assert list(found.values()) == expected
        assert all(f"{found[alert.behavior]}" == alert.sentence for alert in store.alerts())
        by_score = {score: row for row, score in store.scores().items()}
        assert {alert.score: alert.behavior for alert in store.alerts()} == by_score
        store.close()


def snapshot(directory):
    raw = sqlite3.connect(directory / FILE)
    told = list(raw.iterdump())
    raw.close()
    return told


def broken(count):
    """Yield some of the past, then fail as a reader does whose file is cut off."""
    yield from past(*(act(float(n), f"heat{n % 5}") for n in range(count)))
    raise EdgeError("the file ends in the middle")


def test_what_fails_midway_leaves_everything_as_it_was(store, tmp_path):
    store.record(lived(act(100.0), act(200.0)))
    store.add_scores({1: 0.5})
    store.flush()
    before = snapshot(tmp_path)
    with pytest.raises(EdgeError, match="in the middle"):
        store.merge(broken(12_000), [])
    with pytest.raises(StoreError, match="no time"):
        store.merge(past(act(1.0), act(float("nan"))), [])
    assert snapshot(tmp_path) == before
    assert store.record(lived(act(300.0, "new"))) == [[3]]
    assert store.merge(past(act(1.0)), []) == Merged(1, 0)


@pytest.mark.parametrize("pages", [60, 200, 400])
def test_a_full_disk_leaves_everything_as_it_was(tmp_path, pages):
    store = Store.open(tmp_path)
    store.record(lived(*(act(1e6 + n * 5, f"lamp{n % 3}") for n in range(500))))
    store.add_alert(Alert(1e6, 7, 2.0, 1.0, "odd"))
    before = snapshot(tmp_path)
    used = store._database.rows("PRAGMA page_count")[0][0]
    store._database.rows(f"PRAGMA max_page_count = {used + pages}")
    with pytest.raises(StoreError, match="full"):
        store.merge(past(*(act(n * 5.0, f"heat{n % 90}") for n in range(20_000))), [])
    assert snapshot(tmp_path) == before
    store._database.rows("PRAGMA max_page_count = 1000000")
    assert store.merge(past(*(act(n * 5.0, f"heat{n % 90}") for n in range(20_000))), []) == Merged(20_000, 0)
    store.close()


def test_killed_at_any_moment_all_or_nothing_is_there(tmp_path):
    code = (
        "import sys; from pathlib import Path; from test_merge import act, past; from edge.store import Store\n"
        "store = Store.open(Path(sys.argv[1])); print('go', flush=True)\n"
        "store.merge(past(*(act(n * 5.0, f'heat{n % 90}') for n in range(30_000))), [])\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    store = Store.open(tmp_path)
    store.record(lived(*(act(1e6 + n) for n in range(200))))
    store.close()
    draw, outcomes = random.Random(0), set()
    for delay in [*(draw.uniform(0, 0.3) for _ in range(4)), 30.0]:
        with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, env=environment) as child:
            assert child.stdout.readline() == b"go\n"
            try:
                child.wait(delay)
            except subprocess.TimeoutExpired:
                child.kill()
        store = Store.open(tmp_path)
        assert store.count() in {200, 30_200}
        assert [row for row, _ in store.behaviors_with_ids()] == list(range(1, store.count() + 1))
        outcomes.add(store.count())
        store.close()
    assert 30_200 in outcomes
    raw = sqlite3.connect(tmp_path / FILE)
    assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    raw.close()


def test_what_is_learned_from_is_the_same_as_had_it_been_lived_in_order(tmp_path):
    whole = homes.behaviors(60)
    merged, straight = Store.open(tmp_path / "merged"), Store.open(tmp_path / "straight")
    straight.record(lived(*whole))
    merged.record(lived(*whole[100:]))
    for behaviors in (whole[:60:2], whole[1:60:2], whole[50:120]):
        merged.merge(past(*behaviors), [])
    for store in (merged, straight):
        store.add_alert(Alert(whole[30].time, 31, 2.0, 1.0, "odd"))
    assert list(merged.behaviors_with_ids()) == list(straight.behaviors_with_ids())
    found = [gather(store, UTC, Dictionary({}, ())) for store in (merged, straight)]
    assert found[0].sequences == found[1].sequences
    assert found[0].admission == found[1].admission
    for store in (merged, straight):
        store.close()


def test_while_an_agent_lives_there_nothing_is_merged(store, tmp_path):
    with alone(tmp_path), pytest.raises(StoreError, match="stop it first"):
        store.merge(past(act(1.0)), [])
    assert store.count() == 0


def test_many_are_merged_in_little_time(store):
    store.record(lived(*(act(1e9 + n * 60, f"lamp{n % 5}") for n in range(1000))))
    started = time.process_time()
    merged = store.merge(past(*(act(n * 60.0, f"heat{n % 50}") for n in range(100_000))), [])
    assert merged == Merged(100_000, 0)
    assert time.process_time() - started < 10  # measured: 0.7 s
