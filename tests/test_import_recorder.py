"""Home Assistant's recorder into the record: every generation of its schema, while it is written, as it is lived."""

import re
import shutil
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing, nullcontext
from datetime import UTC

import pytest

from edge.core.errors import SettingsError, StoreError
from edge.importers import Wanted, opened
from edge.importers import recorder as door
from edge.importers.past import AUTOMATION, DEVICE, EXCLUDED, MEASURED, PERSON, REPLAYED, UNHEARD
from edge.importing import AUTOMATED, UNCHANGED, Importing, Rules
from edge.settings import Settings
from edge.sources import StatestreamSource, Zigbee2MqttSource
from edge.store import Store
from tests.recorders import GENERATIONS, PARENT, USER, sqlite
from tests.test_import import lived

START = 1.74e9
NOW = START + 40 * 86400
STREAM = Settings(sources=(StatestreamSource(dialect="statestream"),))


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path / "data")
    yield opened
    opened.close()


def bring(path, store, rules=None, settings=STREAM, now=NOW, **wanted):
    reader = opened(str(path), Wanted(UTC, **wanted), settings, [])
    try:
        return Importing(reader, store, rules or Rules(), now).run()
    finally:
        reader.close()


def morning(recording):
    """Record a morning; return what was done in it: seconds after START, device, control, and the causes."""
    lamp, door_ = {"friendly_name": "Kitchen lamp", "brightness": 90}, {"device_class": "door"}
    recording.started(START)
    for entity, state, attributes in (
        ("light.kitchen", "off", lamp), ("binary_sensor.front", "off", door_), ("switch.pump", "off", {}),
        ("climate.hall", "heat", {"temperature": 19}), ("light.all", "off", {"entity_id": ["light.kitchen"]}),
        ("event.bell", "unknown", {"event_type": None}), ("sensor.power", "3.5", {}),
    ):  # fmt: skip
        recording.state(START + 5, entity, state, attributes)
    recording.state(START + 100.25, "light.kitchen", "on", lamp, user=USER)
    recording.state(START + 100.5, "light.all", "on", {"entity_id": ["light.kitchen"]}, user=USER)
    recording.state(START + 150, "light.kitchen", "on", {**lamp, "brightness": 200})  # no other state
    recording.state(START + 200, "binary_sensor.front", "on", door_)
    recording.state(START + 210, "switch.pump", "on", {}, parent=PARENT)
    recording.state(START + 220, "automation.night", "on", {}, context="context-of-the-night-run")
    recording.state(START + 221, "switch.pump", "off", {}, context="context-of-the-night-run")
    recording.state(START + 300, "climate.hall", "heat", {"temperature": 21}, user=USER)
    recording.state(START + 310, "event.bell", "2025-02-19T21:25:09+00:00", {"event_type": "press"})
    recording.state(START + 320, "sensor.power", "4.5", {})
    recording.state(START + 400, "binary_sensor.front", "unavailable", {})
    recording.state(START + 450, "binary_sensor.front", "off", door_)  # closed nobody knows when
    recording.state(START + 460, "binary_sensor.front", "on", door_)
    recording.started(START + 1000)
    recording.state(START + 1005, "light.kitchen", "off", lamp)  # told at the start: done while it was down
    recording.state(START + 1006, "event.bell", "2025-02-19T21:25:09+00:00", {"event_type": "press"})
    recording.state(START + 1100, "light.kitchen", "on", lamp)
    recording.state(START + 1200, "light.kitchen", "", {})  # removed
    recording.flush()
    done = [
        (100.25, "light.kitchen", "state on"), (200, "binary_sensor.front", "state open"),
        (210, "switch.pump", "state on"), (221, "switch.pump", "state off"), (300, "climate.hall", "setpoint 21"),
        (310, "event.bell", "action press"), (460, "binary_sensor.front", "state open"),
        (1100, "light.kitchen", "state on"),
    ]  # fmt: skip
    return [(START + after, *pair) for after, *pair in done], {PERSON: 2, AUTOMATION: 2, DEVICE: 4}


@pytest.mark.parametrize("version", GENERATIONS)
def test_every_generation_of_the_schema_tells_the_same_morning(store, tmp_path, version):
    done, causes = morning(sqlite(tmp_path / "ha.db", version))
    tally = bring(tmp_path / "ha.db", store)
    assert lived(store) == done
    assert tally.causes == causes
    assert (tally.rows, tally.new) == (24, 8)
    assert tally.left_out[MEASURED] == 3, "two rows of a sensor, one of an automation"
    assert tally.left_out[REPLAYED] == 1
    assert {device.id: (device.name, device.kind) for device in store.devices()} == {
        "light.kitchen": ("Kitchen lamp", "light"), "binary_sensor.front": ("front", "contact"),
        "switch.pump": ("pump", "switch"), "climate.hall": ("hall", "thermostat"), "event.bell": ("bell", "remote"),
    }  # fmt: skip


@pytest.mark.parametrize("version", GENERATIONS)
def test_what_automations_did_can_be_left_out(store, tmp_path, version):
    done, _ = morning(sqlite(tmp_path / "ha.db", version))
    tally = bring(tmp_path / "ha.db", store, Rules(automations=False))
    assert lived(store) == [each for each in done if each[1] != "switch.pump"]
    assert tally.left_out[AUTOMATED] == 2


@pytest.mark.parametrize("version", GENERATIONS)
def test_days_can_be_chosen_and_what_was_known_before_them_is_not_guessed(store, tmp_path, version):
    done, _ = morning(sqlite(tmp_path / "ha.db", version))
    tally = bring(tmp_path / "ha.db", store, Rules(START + 205, START + 350), since=START + 205, until=START + 350)
    assert lived(store) == [each for each in done if START + 205 <= each[0] < START + 350 and each[1] != "climate.hall"
                            and each[2] != "state on"]  # fmt: skip
    assert tally.rows < 24


def test_an_import_goes_on_where_it_was_and_sees_what_came_since(store, tmp_path, monkeypatch):
    monkeypatch.setattr(door, "PAGE", 4)
    recording = sqlite(tmp_path / "ha.db")
    done, _ = morning(recording)
    bring(tmp_path / "ha.db", store)
    assert lived(store) == done
    assert bring(tmp_path / "ha.db", store).rows == 0
    recording.state(START + 2000, "switch.pump", "on", {})  # told the first time since the start
    recording.state(START + 2100, "switch.pump", "off", {})
    recording.flush()
    more = bring(tmp_path / "ha.db", store)
    assert (more.rows, more.new, more.resumed) == (2, 1, True)
    assert lived(store) == [*done, (START + 2100, "switch.pump", "state off")]
    with sqlite3.connect(tmp_path / "ha.db") as connection:  # as a nightly purge does
        connection.execute("DELETE FROM states WHERE state_id <= 20")
    connection.close()
    assert bring(tmp_path / "ha.db", store).rows == 0


@pytest.mark.parametrize("page", [1, 3, 1000])
def test_pages_of_any_size_tell_the_same(store, tmp_path, monkeypatch, page):
    monkeypatch.setattr(door, "PAGE", page)
    done, causes = morning(sqlite(tmp_path / "ha.db"))
    with sqlite3.connect(tmp_path / "ha.db") as connection:
        connection.execute("UPDATE states SET state_id = state_id + 5000 WHERE state_id > 12")  # a hole
    connection.close()
    tally = bring(tmp_path / "ha.db", store)
    assert lived(store) == done
    assert (tally.rows, tally.causes) == (24, causes)


def test_another_database_in_its_place_is_read_from_the_start(store, tmp_path):
    morning(sqlite(tmp_path / "ha.db"))
    bring(tmp_path / "ha.db", store)
    for path in tmp_path.glob("ha.db*"):
        path.unlink()
    other = sqlite(tmp_path / "ha.db")
    for number in range(60):
        other.state(START + 90_000 + number * 60, "light.other", "on" if number % 2 else "off", {})
    other.flush()
    tally = bring(tmp_path / "ha.db", store)
    assert (tally.rows, tally.new) == (60, 59)


def test_it_is_read_while_home_assistant_writes_and_never_waited_for(store, tmp_path):
    recording = sqlite(tmp_path / "ha.db")
    done, _ = morning(recording)
    stop, wrote, refused = threading.Event(), Counter(), []

    def write():
        connection = sqlite3.connect(tmp_path / "ha.db", timeout=0, isolation_level=None)
        while not stop.is_set():
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO states (state, metadata_id, last_updated_ts) VALUES ('9', 7, 1741e6)")
                time.sleep(0.002)
                connection.execute("COMMIT")
                wrote["rows"] += 1
            except sqlite3.OperationalError as error:
                refused.append(str(error))
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO states (state, metadata_id) VALUES ('never committed', 1)")
        finished.wait(30)
        connection.close()

    finished = threading.Event()
    writer = threading.Thread(target=write)
    writer.start()
    while wrote["rows"] < 20:
        time.sleep(0.01)
    before = wrote["rows"]
    assert bring(tmp_path / "ha.db", None).new == 8
    while wrote["rows"] < before + 20:
        time.sleep(0.01)
    stop.set()
    bring(tmp_path / "ha.db", store)  # also while a transaction is open
    finished.set()
    writer.join()
    assert lived(store) == done
    assert not refused, "no write had to wait for the reading"


def test_nothing_of_it_is_ever_written(store, tmp_path):
    morning(sqlite(tmp_path / "ha.db", wal=False))
    (tmp_path / "ha.db").chmod(0o444)
    before = (tmp_path / "ha.db").read_bytes()
    bring(tmp_path / "ha.db", store)
    assert (tmp_path / "ha.db").read_bytes() == before
    assert [path.name for path in tmp_path.glob("ha.db*")] == ["ha.db"]
    with opened(str(tmp_path / "ha.db"), Wanted(UTC), STREAM, [])._engine.connect() as connection, \
            pytest.raises(Exception, match="readonly"):  # fmt: skip
        connection.exec_driver_sql("DELETE FROM states")


def test_a_database_of_something_else_and_a_broken_one_are_said_to_be_so(store, tmp_path):
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE songs (id)")
    connection.close()
    with pytest.raises(SettingsError, match="no table of states; its tables: songs"):
        bring(tmp_path / "other.db", store)
    morning(sqlite(tmp_path / "ha.db", wal=False))
    whole = (tmp_path / "ha.db").read_bytes()
    for cut in range(100, len(whole), len(whole) // 7):
        (tmp_path / "cut.db").write_bytes(whole[:cut])
        with pytest.raises(SettingsError, match=r"cut\.db"):
            bring(tmp_path / "cut.db", store)
    assert store.count() == 0
    folder = tmp_path / "a b%20c"
    folder.mkdir()
    (folder / "text.db").write_text("no database")
    for name, said in (("text.db", "not a database"), ("absent.db", "No such file")):
        with pytest.raises(SettingsError, match=f"^{re.escape(str(folder / name))}: .*{said}"):
            opened(str(folder / name), Wanted(UTC, "recorder"), STREAM, [])


def test_rows_that_make_no_sense_are_counted(store, tmp_path):
    recording = sqlite(tmp_path / "ha.db", 33)
    morning(recording)
    with sqlite3.connect(tmp_path / "ha.db") as connection:
        for entity, state, when in (
            (None, None, None), ("light.kitchen", "on", "nonsense"), ("no entity", "on", 1.741e9),
            ("light.kitchen", "x" * 300, 1.741e9), ("light.küche", "on", 1.741e9), ("", "", 1.741e9),
            ("light.kitchen", b"\xff\xfe", 1.741e9), ("switch.pump", "on", 1e300),
        ):  # fmt: skip
            connection.execute(
                "INSERT INTO states (entity_id, state, last_updated_ts) VALUES (?, ?, ?)", (entity, state, when)
            )
        connection.execute("UPDATE state_attributes SET shared_attrs = '{broken' WHERE attributes_id = 1")
    connection.close()
    tally = bring(tmp_path / "ha.db", store)
    assert tally.rows == 32
    assert tally.left_out["bad time"] == 2
    assert sum(tally.left_out.values()) + tally.new >= 30


def test_what_no_source_reports_live_is_not_taken_in(store, tmp_path):
    morning(sqlite(tmp_path / "ha.db"))
    bridge = Settings(sources=(Zigbee2MqttSource(dialect="zigbee2mqtt"),))
    with pytest.raises(SettingsError, match="statestream"):
        bring(tmp_path / "ha.db", store, settings=bridge)
    only = Settings(
        sources=(StatestreamSource(dialect="statestream", include=("light.*", "Hall"), exclude=("light.x",)),)
    )
    tally = bring(tmp_path / "ha.db", store, settings=only)
    assert {device for _, device, _ in lived(store)} == {"light.kitchen"}
    assert tally.left_out[EXCLUDED] > 5
    assert UNHEARD not in tally.left_out
    assert tally.left_out[UNCHANGED] > 0


def test_a_password_is_never_told(store, monkeypatch):
    monkeypatch.setenv(door.PASSWORD, "secret-word")
    for url in ("mariadb://ann@127.0.0.1:1/ha", "postgresql://ann@127.0.0.1:1/ha"):
        with pytest.raises(SettingsError) as refused:
            bring(url, store)
        assert "secret-word" not in str(refused.value)
        assert "127.0.0.1" in str(refused.value)
    with pytest.raises(SettingsError, match="mysql://user@host"):
        bring("oracle://ann@127.0.0.1/ha", store)


@pytest.mark.parametrize(
    "address",
    [
        "mysql://ann:secret-word@127.0.0.1:1/ha", "postgresql://ann:secret-word@127.0.0.1:1/ha",
        "postgresql://ann@127.0.0.1:1/ha?password=secret-word", "mysql://ann@127.0.0.1:1/ha?passwd=secret-word",
    ],
)  # fmt: skip
def test_a_password_in_the_address_is_refused_for_the_process_list_shows_it(store, address):
    with pytest.raises(SettingsError, match=door.PASSWORD) as refused:
        bring(address, store)
    assert "secret-word" not in str(refused.value)


def test_a_store_that_fails_in_the_middle_leaves_a_place_to_go_on_from(store, tmp_path, monkeypatch):
    monkeypatch.setattr(door, "PAGE", 5)
    monkeypatch.setattr("edge.importing.CHUNK", 1)
    done, _ = morning(sqlite(tmp_path / "ha.db"))
    merge, calls = store.merge, Counter()

    def failing(behaviors, devices):
        calls["merge"] += 1
        if calls["merge"] == 3:
            raise StoreError("disk full")
        return merge(behaviors, devices)

    monkeypatch.setattr(store, "merge", failing)
    with pytest.raises(StoreError):
        bring(tmp_path / "ha.db", store)
    assert 0 < len(lived(store)) < len(done)
    assert bring(tmp_path / "ha.db", store).resumed
    assert lived(store) == done


def test_a_column_that_holds_another_type_is_no_state(store, tmp_path):
    done, _ = morning(sqlite(tmp_path / "ha.db"))
    connection = sqlite3.connect(tmp_path / "ha.db")
    connection.execute("INSERT INTO states_meta (entity_id) VALUES (7), (x'ff')")
    connection.execute("UPDATE state_attributes SET shared_attrs = x'00ff' WHERE attributes_id = 3")
    for entity, state in ((1, 5), (1, b"\xff"), (8, "on"), (9, "on"), ("x", "off")):
        connection.execute(
            "INSERT INTO states (metadata_id, state, last_updated_ts) VALUES (?, ?, ?)", (entity, state, START + 9e4)
        )
    connection.commit()
    connection.close()
    bring(tmp_path / "ha.db", store)
    assert {pair[1:] for pair in lived(store)} <= {pair[1:] for pair in done}


def test_a_schema_that_is_no_text_is_told_as_a_damaged_database(store, tmp_path):
    sqlite(tmp_path / "ha.db", wal=False)
    content = (tmp_path / "ha.db").read_bytes()
    place = content.index(b"CREATE TABLE states")
    for offset in (9, 13, 16, 30):
        (tmp_path / "bad.db").write_bytes(content[: place + offset] + b"\xff" + content[place + offset + 1 :])
        with pytest.raises(SettingsError, match="bad.db"):
            bring(tmp_path / "bad.db", store)


def test_a_column_that_is_another_by_damage_is_told_or_done_without(store, tmp_path):
    sqlite(tmp_path / "ha.db", wal=False)
    for table, column, needed in (
        ("states_meta", "metadata_id", True), ("states_meta", "entity_id", True), ("states", "state_id", True),
        ("states", "last_updated_ts", False), ("states", "metadata_id", False),
        ("state_attributes", "attributes_id", False),
    ):  # fmt: skip
        shutil.copy(tmp_path / "ha.db", tmp_path / "bad.db")
        with closing(sqlite3.connect(tmp_path / "bad.db")) as connection:
            connection.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO damaged")
            connection.commit()
        with pytest.raises(SettingsError, match="Home Assistant") if needed else nullcontext():
            bring(tmp_path / "bad.db", store)


def test_a_size_that_no_memory_has_room_for_is_told_as_a_damaged_database(store, tmp_path):
    sqlite(tmp_path / "ha.db", wal=False)
    content = (tmp_path / "ha.db").read_bytes()
    place = content.index(b"tablestatesstates") - 10  # the size of the row that says how the states are kept
    (tmp_path / "bad.db").write_bytes(content[:place] + b"\xff\xff\xff\xff\x65" + content[place + 5 :])
    with pytest.raises(SettingsError, match=r"bad\.db: .+ \(a copied database"):
        bring(tmp_path / "bad.db", store)
