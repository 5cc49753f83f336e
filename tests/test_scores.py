"""Scores kept beside the record: found by row and time, at almost no cost to an SD card, never in a batch's way."""

import math
import sqlite3
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.behaviors import Behavior, Entry
from edge.core.errors import StoreError
from edge.core.events import Message
from edge.database import Database, migrations
from edge.scores import KEPT, TOGETHER
from edge.store import FILE, Store
from tests.hearing import bodies, message, watching

DAY = 86400.0


def lived(*times: float) -> list[Entry]:
    return [Entry(Message("x", b"", time), behaviors=(Behavior(time, "lamp", "on"),)) for time in times]


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


def test_scores_are_found_before_and_after_they_are_written(store, tmp_path):
    store.record(lived(10.0, 20.0, 30.0))
    store.add_scores({1: 0.5, 3: 2.5})
    for _ in range(2):
        assert store.scores() == {1: 0.5, 3: 2.5}
        assert store.scores(since=10.5) == {3: 2.5}
        assert store.scores(until=30.0) == {1: 0.5}
        store.flush()
    reader = Store.open(tmp_path, read_only=True)
    assert reader.scores() == {1: 0.5, 3: 2.5}
    reader.close()
    store.add_scores({1: 0.75})
    assert store.scores() == {1: 0.75, 3: 2.5}
    store.flush()
    assert store.scores() == {1: 0.75, 3: 2.5}


def test_what_is_no_number_or_no_behavior_is_not_kept(store):
    store.record(lived(10.0))
    store.add_scores({1: math.nan, 7: 1.0})
    store.add_scores({1: math.inf})
    store.flush()
    assert store.scores() == {}
    assert len(store.record(lived(11.0))) == 1


def test_scores_wait_for_each_other_and_cost_no_commit(store, tmp_path):
    log = tmp_path / f"{FILE}-wal"
    store.record(lived(*range(TOGETHER)))
    size = log.stat().st_size
    store.add_scores(dict.fromkeys(range(1, TOGETHER + 1), 0.5))
    assert log.stat().st_size == size
    reader = Store.open(tmp_path, read_only=True)
    store.record([Entry(Message("x", b"", 0.0), rejected="malformed")])
    assert reader.scores() == {}
    store.record(lived(99.0))
    assert len(reader.scores()) == TOGETHER
    reader.close()


def test_a_batch_that_fails_loses_no_score(store):
    store.record(lived(*range(TOGETHER)))
    store.add_scores(dict.fromkeys(range(1, TOGETHER + 1), 0.5))
    with pytest.raises(StoreError):
        store.record(lived(math.nan))
    assert len(store.scores()) == TOGETHER
    store.record(lived(99.0))
    assert len(store.scores()) == TOGETHER


def test_only_the_newest_weeks_are_kept(store):
    for day in range(80):
        times = [day * DAY + n * 3600.0 for n in range(20)]
        rows = [row for (row,) in store.record(lived(*times))]
        store.add_scores(dict.fromkeys(rows, 0.5))
    store.flush()
    kept = store.scores()
    newest = 79 * DAY + 19 * 3600.0
    assert set(kept) >= set(store.scores(since=newest - KEPT))
    assert min(time for row, time in _times(store).items() if row in kept) > newest - KEPT - DAY
    assert store.count() == 1600


def _times(store):
    return {row: behavior.time for row, behavior in store.behaviors_with_ids()}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 20), st.floats(), st.sampled_from(["flush", "record", "open", ""]))))
def test_whatever_is_written_when_the_last_word_holds(said):
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder))
        store.record(lived(*range(20)))
        expected = {}
        for row, score, then in said:
            store.add_scores({row: score})
            expected |= {row: score} if math.isfinite(score) else {}
            if then == "flush":
                store.flush()
            elif then == "record":
                store.record(lived(50.0))
            elif then == "open":
                store.close()
                store = Store.open(Path(folder))
            assert store.scores() == dict(sorted(expected.items()))
        store.close()


def test_a_page_may_look_while_a_home_is_lived(tmp_path):
    store = Store.open(tmp_path)
    seen = []

    def live():
        for n in range(400):
            ((row,),) = store.record(lived(float(n)))
            store.add_scores({row: 0.5})

    def look():
        while living.is_alive():
            seen.append(len(store.scores()))

    living = threading.Thread(target=live, daemon=True)
    looking = threading.Thread(target=look, daemon=True)
    for thread in (living, looking):
        thread.start()
    for thread in (living, looking):
        thread.join(60)
        assert not thread.is_alive(), "they wait for each other"
    assert seen == sorted(seen)
    assert len(store.scores()) == 400
    store.close()


def test_a_database_of_the_second_schema_takes_scores(tmp_path):
    scripts = migrations()
    database = Database.open(tmp_path / FILE, {1: scripts[1], 2: scripts[2]})
    with database.transaction():
        database.write("INSERT INTO devices VALUES ('lamp', 'Lamp', 'light')")
        database.write("INSERT INTO pairs VALUES (1, 'lamp', 'on')")
        database.write("INSERT INTO behaviors VALUES (1, 10, 1)")
    database.close()
    for _ in range(2):
        store = Store.open(tmp_path)
        assert store.count() == 1
        store.add_scores({1: 0.5})
        assert store.scores() == {1: 0.5}
        store.close()
    raw = sqlite3.connect(tmp_path / FILE)
    assert raw.execute("SELECT * FROM scores").fetchall() == [(1, 0.5)]
    raw.close()


def test_the_fast_loop_keeps_the_score_of_every_behavior_it_judges(store):
    published = []
    watch = watching(store, published, exclude=("fan1",))
    devices = ["lamp1", "heat1", "fan1", "lamp1"]
    watch.handle([message(1.75e9 + n * 60, device) for n, device in enumerate(devices)])
    told = [body["score"] for body in bodies(published, "behavior")]
    assert {row: round(score, 3) for row, score in store.scores().items()} == {1: told[0], 2: told[1], 4: told[3]}
    assert told[2] is None
