"""Text files of the past into the record: every line is a behavior or a counted reason, once, whatever stops it."""

import json
import os
import random
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from edge.core.errors import MessageError, SettingsError, StoreError
from edge.dialects.payloads import LONGEST
from edge.importers import Wanted, casas, form_of, jsonl, lines, opened, table
from edge.importers.past import Gone, Reported, moment
from edge.importing import AUTOMATED, EXCLUDED, FUTURE, IMPORTS, OUTSIDE, UNCHANGED, Importing, Rules
from edge.lock import alone
from edge.settings import Settings
from edge.sources import StatestreamSource
from edge.store import Store

NOW = 1.75e9
BERLIN = ZoneInfo("Europe/Berlin")
ROOT = Path(__file__).parent.parent
SETTINGS = Settings(sources=(StatestreamSource(dialect="statestream"),))


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path / "data")
    yield opened
    opened.close()


def bring(path, store, rules=None, **wanted):
    reader = opened(str(path), Wanted(wanted.pop("zone", UTC), **wanted), SETTINGS, [])
    return Importing(reader, store, rules or Rules(), NOW).run()


def lived(store):
    return [(each.time, each.device, each.control) for each in store.behaviors()]


def rows(count, step=60.0, start=NOW - 9e6):
    return [{"t": start + n * step, "device": f"lamp{n % 7}", "control": f"state {'ON' if n % 2 else 'OFF'}"}
            for n in range(count)]  # fmt: skip


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_what_export_writes_comes_back_the_same(store, tmp_path):
    tally = bring(written(tmp_path / "a.jsonl", rows(50)), store)
    assert lived(store) == [(row["t"], row["device"], row["control"]) for row in rows(50)]
    assert (tally.rows, tally.new, tally.duplicates, tally.left_out) == (50, 50, 0, Counter())
    assert tally.days == pytest.approx(49 * 60 / 86400)
    assert len(tally.devices) == len(store.devices()) == 7


@pytest.mark.parametrize(
    ("said", "zone", "seconds"),
    [
        (1_700_000_000, UTC, 1.7e9),
        (1_700_000_000_000, UTC, 1.7e9),
        ("1700000000.5", UTC, 1.7e9 + 0.5),
        ("2023-11-14T22:13:20Z", BERLIN, 1.7e9),
        ("2023-11-14 23:13:20+01:00", UTC, 1.7e9),
        ("2023-11-14 23:13:20.25", BERLIN, 1.7e9 + 0.25),
        ("14.11.2023 23:13:20", BERLIN, 1.7e9),
        ("11/14/2023 10:13:20 PM", UTC, 1.7e9),
    ],
)
def test_times_are_read_in_every_spelling(said, zone, seconds):
    assert moment(said, zone) == seconds


@pytest.mark.parametrize(
    "said", ["", "yesterday", "14/11/2023 10:00", "1999-01-01T00:00:00Z", "nan", True, None, [], {}]
)
def test_what_is_no_time_is_said_to_be_none(said):
    with pytest.raises(MessageError, match="bad time"):
        moment(said, UTC)


def test_a_second_import_brings_nothing_and_what_was_appended_is_all_that_is_read(store, tmp_path):
    path = written(tmp_path / "a.jsonl", rows(100))
    bring(path, store)
    again = bring(path, store)
    assert (again.rows, again.new, again.resumed) == (0, 0, True)
    line, next_line = (json.dumps(row) + "\n" for row in rows(102)[100:])
    with path.open("a", encoding="utf-8") as file:
        file.write(line + next_line[:20])
    more = bring(path, store)
    assert (more.rows, more.new, dict(more.left_out)) == (2, 1, {"malformed": 1})
    with path.open("a", encoding="utf-8") as file:
        file.write(next_line[20:])
    assert bring(path, store).new == 1, "a line that was being written is read again"
    assert len(lived(store)) == 102


def test_another_file_in_its_place_is_read_from_the_start(store, tmp_path):
    path = written(tmp_path / "a.jsonl", rows(300))
    bring(path, store)
    head = "".join(json.dumps(row) + "\n" for row in rows(60))  # the same beginning, and then another story
    other = rows(240, start=NOW - 8e6)
    path.write_text(head + "".join(json.dumps(row) + "\n" for row in other), encoding="utf-8")
    tally = bring(path, store)
    assert (tally.rows, tally.new, tally.duplicates) == (300, 240, 60)


def test_what_the_agent_has_recorded_itself_is_recognized(store, tmp_path):
    bring(written(tmp_path / "live.jsonl", [{**row, "t": row["t"] + 0.7} for row in rows(20)]), store)
    tally = bring(written(tmp_path / "b.jsonl", rows(25)), store)
    assert (tally.new, tally.duplicates) == (5, 20)


class Failing:
    """A store that dies at its nth write, before it or right after it."""

    def __init__(self, store, at, *, after):
        self.store, self.left, self.after = store, at, after

    def fact(self, key, default):
        return self.store.fact(key, default)

    def merge(self, behaviors, devices):
        return self._do(lambda: self.store.merge(behaviors, devices))

    def set_fact(self, key, value):
        return self._do(lambda: self.store.set_fact(key, value))

    def _do(self, write):
        self.left -= 1
        if self.left == 0 and not self.after:
            raise StoreError("disk full")
        done = write()
        if self.left == 0:
            raise StoreError("killed")
        return done


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_stopped_at_any_write_it_goes_on_and_ends_the_same(store, tmp_path, monkeypatch, at, after):
    monkeypatch.setattr("edge.importing.CHUNK", 30)
    monkeypatch.setattr(lines, "PAGE", 20)
    told = [f"2025-0{month}-{day:02d} 08:00:0{n} M00{n} {word}" for month in (1, 2) for day in range(1, 28)
            for n, word in enumerate(("ON", "OFF", "ON" if day % 2 else "OFF"))]  # fmt: skip
    path = tmp_path / "home.txt"
    path.write_text("\n".join(told) + "\n", encoding="utf-8")
    whole = Store.open(tmp_path / "whole")
    bring(path, whole)
    with pytest.raises(StoreError):
        bring(path, Failing(store, at, after=after))
    tally = bring(path, store)
    assert lived(store) == lived(whole)
    assert tally.resumed is (at > 2 or (at == 2 and after))
    whole.close()


def test_killed_in_the_middle_the_same_command_goes_on(tmp_path):
    settings = tmp_path / "s.toml"
    settings.write_text(f'[data]\ndirectory = "{tmp_path / "data"}"\n')
    path = written(tmp_path / "a.jsonl", rows(50_000, step=100.0, start=NOW - 9e7))
    command = [sys.executable, "-m", "edge", "import", str(path), "--settings", str(settings), "--no-learn"]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    count = 0
    while count == 0 and running.poll() is None:
        time.sleep(0.02)
        count = counted(tmp_path / "data")
    running.kill()
    running.communicate()
    assert 0 < counted(tmp_path / "data") < 50_000, "it was killed in the middle"
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "50,000 behaviors" not in done.stdout
    assert counted(tmp_path / "data") == 50_000


def counted(directory):
    try:
        store = Store.open(directory, read_only=True)
    except StoreError:
        return 0
    with_rows = store.count()
    store.close()
    return with_rows


def test_the_rules_leave_out_and_count(store, tmp_path):
    told = [{"t": NOW - day * 86400, "device": device, "control": "on"} for day in (1, 5, 9) for device in ("a", "tv")]
    told.append({"t": NOW + 3600, "device": "a", "control": "on"})
    path = written(tmp_path / "a.jsonl", told)
    tally = bring(path, store, Rules(NOW - 6 * 86400, NOW - 2 * 86400, ("t*",)))
    assert lived(store) == [(NOW - 5 * 86400, "a", "on")]
    assert tally.left_out == {EXCLUDED: 3, OUTSIDE: 3}
    assert bring(path, store).left_out == {FUTURE: 1}


def test_a_dry_run_writes_nothing(store, tmp_path):
    path = written(tmp_path / "a.jsonl", rows(10))
    assert bring(path, None).new == 10
    assert store.count() == 0


def test_while_an_agent_runs_nothing_is_taken_in(store, tmp_path):
    with alone(tmp_path / "data"), pytest.raises(StoreError, match="an agent runs there"):
        bring(written(tmp_path / "a.jsonl", rows(3)), store)
    assert store.fact(IMPORTS) is None


# JSON lines, CASAS, CSV: whatever is in a line


def read(reading, line):
    """Return what a line tells, or the reason it tells nothing."""
    try:
        return reading(line)
    except MessageError as error:
        return error.reason


HEADER = table.Header(",", ("time", "device", "control", "name"), {"time": 0, "device": 1, "control": 2, "name": 3})
ENTITIES = table.Header(",", ("last_changed", "entity_id", "state"), {"time": 0, "device": 1, "control": 2})
READINGS = [jsonl.reading(UTC), casas.reading(BERLIN), table.reading(HEADER, UTC), table.reading(ENTITIES, BERLIN)]
anything = st.one_of(
    st.text(max_size=200),
    st.tuples(
        st.sampled_from(["2010-11-04 00:03:50.209589", "2010-02-30 25:61:00", "1700000000", "nan", "1e999", "-1", ""]),
        st.one_of(st.text(max_size=20), st.sampled_from(["M003", "D1", "light.kitchen", "event.bell", "T002"])),
        st.one_of(st.text(max_size=20), st.sampled_from(["ON", "OFF", "on", "unavailable", "OPEN", "21.5"])),
    ).flatmap(lambda parts: st.sampled_from([mark.join((*parts, "x")) for mark in (" ", "\t", ",")])),
    st.builds(
        lambda **row: json.dumps(row),
        t=st.one_of(st.floats(), st.integers(), st.text(max_size=30), st.none()),
        device=st.one_of(st.text(max_size=200), st.integers(), st.none()),
        control=st.one_of(st.text(max_size=100), st.floats(), st.lists(st.integers(), max_size=2)),
    ),
)  # fmt: skip


@examples(deadline=None)
@given(line=anything, reading=st.sampled_from(READINGS))
def test_any_line_is_a_report_or_a_reason(line, reading):
    found = read(reading, line)
    if isinstance(found, Reported):
        assert 946_684_800 <= found.event.time < 4_102_444_800
        for text in (found.event.device, found.event.name, found.event.value):
            assert text.strip()
            assert "\n" not in text
    else:
        assert isinstance(found, Gone) or (isinstance(found, str) and len(found) < 60)


@examples(deadline=None)
@given(raw=st.binary(max_size=2000), form=st.sampled_from(["jsonl", "casas"]))
def test_any_bytes_are_counted_line_by_line(tmp_path_factory, raw, form):
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(raw)
    try:
        reader = opened(str(path), Wanted(UTC, form), SETTINGS, [])
    except SettingsError:
        assert raw.startswith((b"\xff\xfe", b"\xfe\xff"))
        return
    pages = list(reader.pages(None))
    assert sum(page.rows for page in pages) == len(raw.removesuffix(b"\n").split(b"\n")) * bool(raw)
    assert all(sum(page.left_out.values()) + len(page.items) <= page.rows for page in pages)


@examples(deadline=None)
@given(cut=st.integers(0, 3000))
def test_a_truncated_file_gives_what_is_whole(tmp_path_factory, cut):
    whole = "".join(json.dumps(row) + "\n" for row in rows(30)).encode()
    path = tmp_path_factory.getbasetemp() / "cut.jsonl"
    path.write_bytes(whole[:cut])
    (page,) = list(opened(str(path), Wanted(UTC, "jsonl"), SETTINGS, []).pages(None)) or [None]
    assert (0 if page is None else len(page.items)) in {whole[:cut].count(b"\n"), whole[:cut].count(b"\n") + 1}


def test_a_line_without_end_costs_no_memory(store, tmp_path):
    path = written(tmp_path / "a.jsonl", rows(2))
    with path.open("ab") as file:
        file.truncate(path.stat().st_size + 2**28)  # a hole of zeros
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + json.dumps(rows(3)[-1]).encode() + b"\n")
    tracemalloc.start()
    tally = bring(path, store, form="jsonl")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tally.rows, tally.new, dict(tally.left_out)) == (4, 3, {"too long": 1})
    assert peak < 16 * 2**20


def test_another_encoding_is_counted_and_a_byte_order_mark_is_none_of_the_line(store, tmp_path):
    path = tmp_path / "a.jsonl"
    good = json.dumps({"t": NOW - 60, "device": "Küche", "control": "an"}, ensure_ascii=False)
    path.write_bytes(b"\xef\xbb\xbf" + good.encode() + b"\r\n" + good.replace("60", "61").encode("latin-1") + b"\n")
    tally = bring(path, store)
    assert (tally.new, dict(tally.left_out)) == (1, {"not utf-8": 1})
    path.write_bytes(good.encode("utf-16"))
    with pytest.raises(SettingsError, match="UTF-16; save it as UTF-8"):
        bring(path, store)


# CASAS


def test_casas_sensors_become_what_people_did(store, tmp_path):
    path = tmp_path / "aruba.txt"
    path.write_text(
        "2010-11-04 00:03:50.209589 M003 OFF Sleeping begin\n"
        "2010-11-04 00:03:57.399391\tM003\tON\n"
        "2010-11-04 00:15:08.984841 T002 21.5\n"
        "2010-11-04 8:01:12 D001 CLOSE\n"
        "2010-11-04 08:02:12.2 D001 OPEN Leave_Home begin\n"
        "2010/11/04 08:03:12.2 I006 PRESENT\n"
        "2010-11-04 08:04:12.2 I006 ABSENT\n"
        "2010-11-04 08:05:12.2 L002 OFF\n"
        "2010-11-04 08:06:12.2 L002 ON\n"
        "2010-11-04 08:06:13.2 LS002 88\n"
        "2010-11-04 08:07:12.2 M003 Ignore Ignore OFF Control4-Motion\n"
        "end of file\n",
        encoding="utf-8",
    )
    assert form_of(str(path)) == "casas"
    tally = bring(path, store, zone=ZoneInfo("America/Los_Angeles"))
    assert [(device, control) for _, device, control in lived(store)] == [
        ("M003", "motion detected"), ("D001", "contact open"), ("I006", "presence absent"), ("L002", "state on"),
        ("M003", "motion clear"),
    ]  # fmt: skip
    assert lived(store)[0][0] == datetime(2010, 11, 4, 7, 3, 57, 399391, tzinfo=UTC).timestamp()
    assert {device.id: device.kind for device in store.devices()} == {
        "M003": "motion", "D001": "contact", "I006": "other", "L002": "light",
    }  # fmt: skip
    assert dict(tally.left_out) == {"a measurement or housekeeping": 2, UNCHANGED: 4, "malformed": 1}


# CSV


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_is_read_by_the_names_of_its_columns(store, tmp_path, delimiter):
    path = tmp_path / "a.csv"
    head = ["note", "Control", "Device", "Time"]
    body = [
        ["x", "on", '"the ""big"" lamp"', "2025-01-01 08:00:00"],
        ["", "off", "lamp2", "2025-01-01T09:00:00Z"],
        ["y"],
    ]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(delimiter.join(row) for row in (head, *body)).encode())
    tally = bring(path, store, form="csv", zone=BERLIN)
    assert [(device, control) for _, device, control in lived(store)] == [('the "big" lamp', "on"), ("lamp2", "off")]
    assert lived(store)[0][0] == datetime(2025, 1, 1, 7, tzinfo=UTC).timestamp()
    assert dict(tally.left_out) == {"malformed": 1}
    assert bring(path, store, form="csv", zone=BERLIN).new == 0


def test_columns_can_be_named_and_what_lacks_is_said_with_what_is_there(store, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("Day,When,Thing,What\n2025-01-01,08:00:00,lamp,on\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="its columns are day, when, thing, what: say which"):
        bring(path, store)
    said = table.parse_columns("date=Day, time=when,device=Thing,control=What")
    assert bring(path, store, columns=said).new == 1
    for wrong in ("tme=When", "time"):
        with pytest.raises(SettingsError, match="--columns"):
            table.parse_columns(wrong)


def test_home_assistants_own_table_is_read_as_its_stream_is(store, tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(
        "entity_id,state,last_changed\n"
        "light.kitchen,off,2025-01-01T08:00:00.000Z\n"
        "light.kitchen,on,2025-01-01T08:10:00.000Z\n"
        "light.kitchen,unavailable,2025-01-01T08:20:00.000Z\n"
        "light.kitchen,off,2025-01-01T08:21:00.000Z\n"
        "light.kitchen,on,2025-01-01T08:22:00.000Z\n"
        "sensor.power,12.5,2025-01-01T08:23:00.000Z\n"
        "person.ann,not_home,2025-01-01T08:24:00.000Z\n"
        "person.ann,home,2025-01-01T08:25:00.000Z\n",
        encoding="utf-8",
    )
    tally = bring(path, store)
    assert [(device, control) for _, device, control in lived(store)] == [
        ("light.kitchen", "state on"), ("light.kitchen", "state on"), ("person.ann", "state present"),
    ]  # fmt: skip
    assert dict(tally.left_out) == {UNCHANGED: 3, "a measurement or housekeeping": 1}
    assert tally.kinds() == {"light": 1, "presence": 1}


def test_what_is_no_source_is_said_with_its_mend(store, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("hello\n")
    with pytest.raises(SettingsError, match="--format"):
        bring(path, store)
    with pytest.raises(SettingsError, match="home-assistant_v2.db"):
        bring(tmp_path, store)
    for absent in (tmp_path / "absent", "~nobody-of-this-name/a.jsonl"):
        with pytest.raises(SettingsError, match="cannot be read"):
            bring(absent, store)
    (tmp_path / "empty").write_text(" \n")
    with pytest.raises(SettingsError, match="is empty"):
        bring(tmp_path / "empty", store)


def test_what_can_be_read_only_once_is_refused_rather_than_half_read(store, tmp_path):
    ours, theirs = os.pipe()
    os.write(theirs, b'{"t": 1700000000, "device": "lamp", "control": "on"}\n')
    os.close(theirs)
    with pytest.raises(SettingsError, match="save it to a file"):
        bring(f"/dev/fd/{ours}", store)
    os.close(ours)


def test_a_file_that_cannot_be_read_on_is_said_and_not_a_crash(store, tmp_path):
    path = written(tmp_path / "a.jsonl", rows(3))
    reader = opened(str(path), Wanted(UTC), SETTINGS, [])
    path.unlink()
    with pytest.raises(SettingsError, match="cannot be read"):
        Importing(reader, store, Rules(), NOW).run()


def test_the_longest_control_that_is_recorded_comes_back_from_an_export(store, tmp_path):
    told = [{"t": NOW - 9e5, "device": "lamp", "control": f"{'p' * LONGEST} {'v' * LONGEST}"}]
    assert bring(written(tmp_path / "a.jsonl", told), store).new == 1
    (tmp_path / "a.csv").write_text(f"t,device,control\n{NOW - 8e5},lamp,{told[0]['control']}\n")
    assert bring(tmp_path / "a.csv", store).new == 1


def test_shuffled_lines_are_recorded_in_order_of_time(store, tmp_path):
    told = rows(100)
    random.Random(1).shuffle(told)
    bring(written(tmp_path / "a.jsonl", told), store)
    assert [time for time, *_ in lived(store)] == sorted(row["t"] for row in told)
    assert AUTOMATED not in bring(written(tmp_path / "a.jsonl", told), store).left_out


def test_a_position_of_another_world_is_read_from_the_start(tmp_path):
    path = tmp_path / "lived.jsonl"
    path.write_text('{"t": 1750000000, "device": "lamp", "control": "on"}\n')
    reader = opened(str(path), Wanted(BERLIN), SETTINGS, [])
    for position in ({"offset": float("inf"), "mark": ""}, {"offset": "x"}, [], 7, {"offset": 10**400, "mark": ""}):
        assert sum(page.rows for page in reader.pages(position)) == 1
