"""The store on real SQLite: one transaction a batch, duplicates recognized, migrations whole or not at all."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.behaviors import Behavior, Entry
from edge.core.devices import Device
from edge.core.errors import StoreError
from edge.core.events import Event, Message
from edge.core.explanations import explain
from edge.core.habits import Habits
from edge.core.sequences import Window
from edge.core.verdicts import Alert
from edge.database import Database, migrations
from edge.recorder import LAG, SEEN, _key
from edge.store import FILE, Store
from tests import homes

ROOT = Path(__file__).parent.parent


def message(payload: str, mid: int = 0, *, duplicate: bool = False, time: float = 1.0) -> Message:
    return Message("home/lamp", payload.encode(), time, duplicate=duplicate, mid=mid)


def act(payload: str, mid: int = 0, *, duplicate: bool = False, time: float = 1.0) -> Entry:
    """A momentary act: always a behavior."""
    event = Event(time, "lamp", "Lamp", "", payload, momentary=True)
    return Entry(message(payload, mid, duplicate=duplicate, time=time), (event,), (Behavior(time, "lamp", payload),))


def told(value: str, mid: int = 0, *, duplicate: bool = False, behaves: bool = False) -> Entry:
    """A state, as the fast loop would enter it."""
    behaviors = (Behavior(1.0, "lamp", f"state {value}"),) if behaves else ()
    return Entry(message(value, mid, duplicate=duplicate), (Event(1.0, "lamp", "Lamp", "state", value),), behaviors)


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path)
    yield opened
    opened.close()


def test_a_batch_is_recorded_and_read_back_in_order_of_arrival(store, tmp_path):
    rows = store.record(
        [act("b", 1, time=5.0), told("ON", 2), act("a", 3, time=4.0), Entry(message("?"), rejected="malformed")]
    )
    assert rows == [[1], [], [2], []]
    assert list(store.behaviors()) == [Behavior(5.0, "lamp", "b"), Behavior(4.0, "lamp", "a")]
    assert list(store.behaviors_with_ids(since=4.5)) == [(1, Behavior(5.0, "lamp", "b"))]
    assert list(store.behaviors(until=5.0)) == [Behavior(4.0, "lamp", "a")]
    assert list(store.behaviors_with_ids(after=1)) == [(2, Behavior(4.0, "lamp", "a"))]
    assert store.count() == 2
    assert store.devices() == [Device("lamp", "Lamp", "light")]
    assert store.pairs() == [("lamp", "b"), ("lamp", "a")]
    assert store.states() == {("lamp", "state"): "ON"}
    assert store.counters() == {"malformed": 1}
    other = Store.open(tmp_path, read_only=True)  # another process, while we run
    assert (other.count(), other.counters(), other.states()) == (2, {"malformed": 1}, store.states())
    store.record([act("c", 4)])
    assert other.count() == 3
    other.close()


def test_iterating_while_recording_sees_what_comes(store):
    store.record([act(str(n), n + 1) for n in range(5000)])
    reading = store.behaviors()
    assert next(reading).control == "0"
    store.record([act("later")])
    rest = [behavior.control for behavior in reading]
    assert (len(rest), rest[-1]) == (5000, "later")


def test_a_rename_keeps_the_id_and_a_known_kind_stays(store):
    store.record([Entry(message("1"), (Event(1.0, "0x1", "Lamp", "state", "ON", kind="plug"),))])
    store.record([Entry(message("2"), (Event(1.0, "0x1", "Lamp", "state", "OFF"),))])
    assert store.devices() == [Device("0x1", "Lamp", "plug")]
    store.record([Entry(message("3"), (Event(1.0, "0x1", "Kettle", "state", "ON"),))])
    store.remember([Device("0x2", "Heater", "heater")])
    assert store.devices() == [Device("0x1", "Kettle", "kettle"), Device("0x2", "Heater", "heater")]


def test_behaviors_without_events_are_welcome(store):
    store.record([Entry(message("x"), behaviors=(Behavior(1.0, "Kitchen fan", "on"),))])
    assert store.devices() == [Device("Kitchen fan", "Kitchen fan", "fan")]


def test_duplicates_are_recognized_across_processes(tmp_path):
    store = Store.open(tmp_path)
    store.record([act("a", 1), act("b", 2)])
    store.close()
    store = Store.open(tmp_path)
    again = [act("a", 1, duplicate=True), act("b", 2, duplicate=True), act("c", 3, duplicate=True)]
    assert [store.known(entry.message) for entry in again] == [True, True, False]
    assert store.record(again) == [[], [], [3]]
    assert store.counters() == {"duplicate": 2}
    assert [behavior.control for behavior in store.behaviors()] == ["a", "b", "c"]
    store.close()


def test_the_same_words_again_are_no_duplicate(store):
    entries = [act("on", 1), act("on", 2), act("on", 1), act("on", 0, duplicate=True), act("off", 1, duplicate=True)]
    assert [bool(rows) for rows in store.record(entries)] == [True] * 5


def test_sent_twice_within_one_batch(store):
    assert store.record([act("a", 1), act("a", 1, duplicate=True)]) == [[1], []]


def test_a_repetition_sent_twice_behind_a_change_is_no_change(store):
    """ON (again), then OFF; both sent again: that ON must not look like switching on."""
    store.record([told("ON", 1)])
    store.record([told("ON", 2)])
    store.record([told("OFF", 3, behaves=True)])
    assert store.record(
        [told("ON", 2, duplicate=True, behaves=True), told("OFF", 3, duplicate=True, behaves=True)]
    ) == [[], []]
    assert store.states() == {("lamp", "state"): "OFF"}
    assert store.count() == 1


@pytest.mark.parametrize("make", [act, told])
def test_what_is_remembered_is_bounded(store, tmp_path, make):
    for start in range(0, 3 * SEEN, 512):
        store.record([make(str(n), n + 1) for n in range(start, start + 512)])
    assert not store.known(make("0", 1, duplicate=True).message)
    assert store.known(make(str(3 * SEEN - 1), 3 * SEEN, duplicate=True).message)
    assert store.known(make(str(2 * SEEN), 2 * SEEN + 1, duplicate=True).message)
    assert len(store._recorder._seen) == SEEN
    with sqlite3.connect(tmp_path / FILE) as raw:
        assert raw.execute("SELECT count(*) FROM seen").fetchone() == (0 if make is act else SEEN,)
    raw.close()


def test_a_repetition_of_another_state_costs_no_write(store, tmp_path):
    other = Entry(message("x", 1), (Event(1.0, "fan", "Fan", "state", "ON"),))
    store.record([other, told("ON", 2)])
    for mid in range(3, 100):
        store.record([replace(other, message=message("x", mid))])
    store.record([told("OFF", 100)])
    with sqlite3.connect(tmp_path / FILE) as raw:
        assert raw.execute("SELECT mid FROM seen ORDER BY n").fetchall() == [(1,), (2,), (100,)]
    raw.close()
    assert store.known(message("x", 99, duplicate=True))


def test_duplicates_are_recognized_behind_an_import_and_from_before_marks_stood_in_rows(tmp_path):
    three = {number: script for number, script in migrations().items() if number <= 3}
    database = Database.open(tmp_path / FILE, three)
    entries = [act("a", 7), act("b", 8)]
    with database.transaction():
        database.write("INSERT INTO devices VALUES ('lamp', 'Lamp', 'light')")
        database.write("INSERT INTO pairs (device, control) VALUES ('lamp', 'a')")
        for row, entry in enumerate(entries, 1):
            database.write("INSERT INTO behaviors (time, pair) VALUES (1, 1)")
            database.write("INSERT INTO seen VALUES (?, ?, ?, ?)", row, row, *_key(entry.message))
            database.write("INSERT INTO scores VALUES (?, 0.5)", row)
            columns = "time, behavior, score, threshold, sentence, state"
            database.write(f"INSERT INTO alerts ({columns}) VALUES (1, ?, 2, 1, '', 'sent')", row)
    database.close()
    store = Store.open(tmp_path)
    assert [each.behavior for each in store.alerts()] == [1, 2]
    assert store.scores() == {1: 0.5, 2: 0.5}
    store.record([act("c", 9, time=50.0)])
    store.close()
    store = Store.open(tmp_path)
    store.merge([(Behavior(float(n), "lamp", "a"), "Lamp") for n in range(10, 40, 3)], [])
    store.close()
    store = Store.open(tmp_path)
    again = [act("a", 7, duplicate=True), act("b", 8, duplicate=True), act("c", 9, duplicate=True, time=50.0)]
    assert [store.known(entry.message) for entry in again] == [True, True, True]
    assert store._database.rows("PRAGMA foreign_key_check") == []
    store.close()


def test_what_changes_nothing_writes_nothing(store, tmp_path):
    store.record([told("ON", 1)])
    before = (tmp_path / f"{FILE}-wal").stat().st_size
    for mid in range(2, 200):
        assert store.record([told("ON", mid)]) == [[]]
    assert (tmp_path / f"{FILE}-wal").stat().st_size == before


def test_a_thousand_behaviors_cost_little_of_an_sd_card(store, tmp_path):
    def written() -> int:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("write_bytes")).split()[1])

    if not Path("/proc/self/io").exists():
        pytest.skip("no /proc/self/io here")
    before = written()
    for n in range(1000):
        ((row,),) = store.record([told("ON" if n % 2 else "OFF", n + 1, behaves=True)])
        store.add_scores({row: n / 1000})
    assert written() - before < 7e6  # measured: 5.5 MB at pages of 512 bytes; scores 0.1 MB of them


def test_counts_are_exact_at_first_and_lag_a_thousandth_later(store, tmp_path):
    reader = Store.open(tmp_path, read_only=True)
    for n in range(1, 200):
        store.record([Entry(message("x"), rejected="malformed")])
        assert reader.counters() == {"malformed": n}
    store.record([Entry(message("x"), rejected="malformed")] * (20 * LAG))
    for _ in range(50):
        store.record([Entry(message("x"), rejected="malformed")])
    assert store.counters() == {"malformed": 20 * LAG + 249}
    assert reader.counters()["malformed"] >= (20 * LAG + 249) * (1 - 1 / LAG)
    store.close()
    assert reader.counters() == {"malformed": 20 * LAG + 249}
    reader.close()
    store._database = Database.open(tmp_path / FILE, migrations())  # for the fixture to close


def test_a_failed_batch_leaves_nothing_and_may_come_again(store):
    store.record([act("a", 1)])
    broken = Entry(
        message("x", 2), (Event(1.0, "lamp", "Lamp", "state", "ON"),), (Behavior(float("nan"), "lamp", "b"),)
    )
    with pytest.raises(StoreError):
        store.record([act("c", 3), broken])
    assert store.count() == 1
    assert store.states() == {}
    assert store.record([act("c", 3, duplicate=True), act("b", 2)]) == [[2], [3]]
    assert store.pairs() == [("lamp", "a"), ("lamp", "c"), ("lamp", "b")]


def test_alerts_facts_adaptations(store):
    ((row,),) = store.record([act("a", 1)])
    first = store.add_alert(Alert(10.0, row, 5.0, 3.0, "odd"))
    second = store.add_alert(Alert(20.0, None, 6.0, 3.0, "odder"))
    assert store.mark_alert(first, "fine")
    assert not store.mark_alert(99, "fine")
    assert store.alerts() == [
        Alert(10.0, row, 5.0, 3.0, "odd", "fine", first),
        Alert(20.0, None, 6.0, 3.0, "odder", "sent", second),
    ]
    assert [alert.id for alert in store.alerts(since=15.0)] == [second]
    assert store.fact("scene", "none") == "none"
    store.set_fact("scene", {"season": "winter", "ü": [1, None]})
    assert store.fact("scene") == {"season": "winter", "ü": [1, None]}
    number = store.add_adaptation(30.0, "spring", {"gate": {"accepted": True}})
    (adaptation,) = store.adaptations()
    assert (adaptation.id, adaptation.scene, adaptation.report) == (number, "spring", {"gate": {"accepted": True}})


def explanation():
    """Return a why as the fast loop makes it."""
    habits = Habits(UTC)
    habits.extend(homes.behaviors(40))
    odd = Behavior(homes.MONDAY + 40 * 86400 + 3 * 3600, "kettle1", "state ON")
    steps = Window().extended(odd, UTC).steps
    told = {"habits": habits, "dictionary": homes.HOME, "expected": [(homes.PAIRS[0], 0.7)], "model": "0001-winter"}
    return explain(odd, steps, (1.0, 9.0, 1.0), (4.0, 4.0, 4.0), **told)


def test_alerts_are_kept_with_their_why_and_found_by_state(store):
    rows = [row for (row,) in store.record([act(str(n), n + 1) for n in range(4)])]
    states = ("sent", "muted", "shadow", "sent")
    kept = [
        Alert(float(n), row, 2.0, 1.0, "odd", state, explanation=explanation())
        for n, (row, state) in enumerate(zip(rows, states, strict=True))
    ]
    numbers = [store.add_alert(alert) for alert in kept]
    assert [alert.id for alert in store.alerts()] == [numbers[0], numbers[3]]
    assert [alert.id for alert in store.alerts(states=("muted", "shadow"))] == numbers[1:3]
    assert store.alerts(states=()) == []
    assert store.alert(numbers[1]) == replace(kept[1], id=numbers[1])
    assert store.alert(999) is None
    assert store.alert_states() == {"sent": 2, "muted": 1, "shadow": 1}
    assert store.alert_states(since=1.0) == {"sent": 1, "muted": 1, "shadow": 1}
    store.mark_alert(numbers[0], "fine")
    store.mark_alert(numbers[2], "wrong")
    assert [(alert.behavior, alert.state) for alert in store.alerts()] == [
        (rows[0], "fine"),
        (rows[2], "wrong"),
        (rows[3], "sent"),
    ]


def test_a_database_of_the_first_schema_keeps_its_alerts_and_takes_new_ones(tmp_path):
    database = Database.open(tmp_path / FILE, {1: migrations()[1]})
    with database.transaction():
        database.write("INSERT INTO alerts (time, score, threshold, sentence, state) VALUES (1, 2, 1, 'odd', 'sent')")
    database.close()
    with pytest.raises(StoreError, match="not brought up to date"):
        Store.open(tmp_path, read_only=True)
    for _ in range(2):
        store = Store.open(tmp_path)
        old = store.alert(1)
        assert (old.sentence, old.state, old.explanation) == ("odd", "sent", None)
        number = store.add_alert(Alert(2.0, None, 3.0, 1.0, "odder", explanation=explanation()))
        assert store.alert(number).explanation == explanation()
        store.close()


def test_threads_may_share_it(store):
    def write(thread: int) -> None:
        for n in range(50):
            store.record([act(f"{thread}-{n}", thread * 100 + n + 1)])

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.count() == 200
    assert len(set(store.pairs())) == 200


def test_migrations_run_once(tmp_path):
    for _ in range(2):
        Store.open(tmp_path).close()
    raw = sqlite3.connect(tmp_path / FILE)
    assert raw.execute("PRAGMA user_version").fetchone() == (max(migrations()),)
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()


def test_a_migration_broken_halfway_leaves_the_old_schema(tmp_path):
    store = Store.open(tmp_path)
    store.record([act("a", 1)])
    store.close()
    newest = max(migrations())
    broken = migrations() | {newest + 1: "CREATE TABLE half (x);\nINSERT INTO nowhere VALUES (1);\n"}
    for _ in range(2):
        with pytest.raises(StoreError, match="nowhere"):
            Database.open(tmp_path / FILE, broken)
    store = Store.open(tmp_path)
    assert store.count() == 1
    store.close()
    mended = migrations() | {newest + 1: "CREATE TABLE half (x TEXT DEFAULT ';');\nINSERT INTO half VALUES (1);\n"}
    database = Database.open(tmp_path / FILE, mended)
    assert database.rows("SELECT x FROM half") == [("1",)]
    database.close()
    with pytest.raises(StoreError, match="newer version"):
        Store.open(tmp_path)


def test_what_is_no_database_is_said(tmp_path):
    with pytest.raises(StoreError, match="nothing has been recorded"):
        Store.open(tmp_path, read_only=True)
    (tmp_path / FILE).write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store.open(tmp_path)
    (tmp_path / "file").write_text("x", encoding="ascii")
    with pytest.raises(StoreError):
        Store.open(tmp_path / "file")


def test_killed_while_writing_every_returned_batch_is_there(tmp_path):
    """A child records, prints each batch once `record` has returned, and is killed at full speed."""
    code = (
        "import sys; from pathlib import Path; from test_store import act; from edge.store import Store\n"
        "store = Store.open(Path(sys.argv[1])); n = store.count()\n"
        "while True:\n"
        "    store.record([act(str(n + k), (n + k) % 60000 + 1) for k in range(7)]); n += 7; print(n, flush=True)\n"
    )
    promised = 0
    for _ in range(3):
        environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
        child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, env=environment)
        assert child.stdout is not None
        for _, line in zip(range(40), child.stdout, strict=False):
            promised = int(line)
        child.send_signal(signal.SIGKILL)
        promised = int((child.stdout.read().splitlines() or [str(promised).encode()])[-1])
        child.stdout.close()
        child.wait()
        store = Store.open(tmp_path)
        controls = [behavior.control for behavior in store.behaviors()]
        assert controls == [str(n) for n in range(len(controls))]
        assert len(controls) >= promised
        assert len(controls) % 7 == 0
        store.close()


PAYLOADS = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)


@settings(max_examples=40, deadline=None)
@given(st.lists(PAYLOADS, max_size=30), st.lists(st.integers(0, 29), max_size=6))
def test_any_delivery_with_crashes_stores_each_once_in_order(acts, crashes):
    """The broker re-sends, flagged, everything from any unacknowledged place on; the result is as if it had not."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder))
        entries = [act(payload, mid + 1) for mid, payload in enumerate(acts)]
        done = 0
        for back in crashes:
            store.record([_again(entry) for entry in entries[max(0, done - back) : done]])
            store.record(entries[done : done + 3])
            done = min(done + 3, len(entries))
            store.close()
            store = Store.open(Path(folder))
        store.record([_again(entry) for entry in entries[:done]])
        store.record(entries[done:])
        assert [behavior.control for behavior in store.behaviors()] == acts
        store.close()


def _again(entry: Entry) -> Entry:
    return replace(entry, message=replace(entry.message, duplicate=True))


def test_a_schema_that_is_no_text_any_more_is_a_store_error(tmp_path):
    Store.open(tmp_path).close()
    path = tmp_path / FILE
    content = path.read_bytes()
    for place in range(content.index(b"CREATE TABLE"), content.rindex(b"CREATE TABLE"), 97):
        path.write_bytes(content[:place] + b"\x8c" + content[place + 1 :])
        with contextlib.suppress(StoreError):
            Database.open(path, migrations()).close()
