"""What leaves the record: the oldest only, a little a night, whole or not at all; what stays is as it was."""

import os
import shutil
import subprocess
import sys
from contextlib import closing
from datetime import UTC
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.behaviors import Behavior, Entry
from edge.core.events import Event, Message
from edge.core.verdicts import Alert
from edge.database import Database, migrations
from edge.nightly import CLEARED, Clearing, Nightly
from edge.retention import REPORTS, SHARE, SPARED, STEP
from edge.store import FILE, Room, Store
from tests import homes

ROOT = Path(__file__).parent.parent
DAY = 86400.0
YEAR = 365 * DAY


def lived(store, times, device="lamp1"):
    """Record behaviors at these times, in this order; return their rows."""
    behaviors = [Behavior(time, device, "state ON") for time in times]
    entries = [Entry(Message("t", b"", each.time), behaviors=(each,)) for each in behaviors]
    return [row for rows in store.record(entries) for row in rows]


def alarmed(store, marks, words=1):
    """Keep an alert of so many words for each (row, time), in one transaction."""
    insert = "INSERT INTO alerts (behavior, time, score, threshold, sentence, state) VALUES (?, ?, 2, 1, ?, 'sent')"
    with store._database.transaction():
        store._database.write_many(insert, ((row, time, "odd " * words) for row, time in marks))


def cleared(store, room, nights=1):
    """Clear so many nights; return how many rows went."""
    return sum(sum(store.release(room)) for _ in range(nights))


def sound(store, directory):
    """Assert that rows follow each other, and that nothing points at what is not there."""
    rows = [row for row, _ in store.behaviors_with_ids()]
    assert rows == list(range(rows[0], rows[0] + len(rows)))
    assert rows[-1] == store.newest()
    with closing(Database.open(directory / FILE, migrations(), read_only=True)) as database:
        assert database.rows("PRAGMA foreign_key_check") == []
        assert database.rows("PRAGMA integrity_check") == [("ok",)]
        assert not database.rows("SELECT 1 FROM pairs WHERE device NOT IN (SELECT id FROM devices)")
    assert {each.behavior for each in store.alerts()} <= {*rows, None}
    assert set(store.scores()) <= set(rows)


TIMES = st.lists(st.floats(0, 3 * YEAR), min_size=1, max_size=40).map(sorted)
WRONG = st.lists(st.tuples(st.integers(0, 39), st.floats(0, 40 * YEAR)), max_size=3)


@settings(max_examples=15, deadline=None)
@given(TIMES, WRONG, st.floats(30, 800), st.integers(1, 3))
def test_only_the_oldest_goes_and_nothing_younger_than_the_limit(tmp_path_factory, times, wrong, days, nights):
    """Also where a few behaviors carry the time of a clock that was wrong."""
    directory = tmp_path_factory.mktemp("home")
    times = [homes.MONDAY + each for each in times]
    for place, time in wrong:
        if place < len(times):
            times[place] = homes.MONDAY - 20 * YEAR + time
    with closing(Store.open(directory)) as store:
        rows = lived(store, times)
        store.add_scores(dict.fromkeys(rows[::2], 0.5))
        store.flush()
        alarmed(store, zip(rows[::3], times[::3], strict=True))
        for _ in range(nights):
            limit = median(times) - days * DAY
            gone = cleared(store, Room(days, 1e9))
            assert not [time for time in times[:gone] if time >= limit]
            times = times[gone:]
            assert wrong or times[0] >= limit, "what is older is gone"
        assert [each.time for each in store.behaviors()] == times
        sound(store, directory)
        (row,) = lived(store, [times[-1] + 1])
        assert row == rows[-1] + 1, "rows count on"
        sound(store, directory)


@pytest.fixture
def home(tmp_path):
    with closing(Store.open(tmp_path)) as store:
        yield store


def test_a_night_takes_little_however_far_a_clock_jumps(home):
    lived(home, [homes.MONDAY + n * 3600 for n in range(20_000)])
    lived(home, [homes.MONDAY + 30 * YEAR + n for n in range(2000)])  # a clock ran thirty years ahead, for long
    assert cleared(home, Room(730, 1e9)) == 22_000 * SHARE
    assert cleared(home, Room(730, 1e9)) < 22_000 * SHARE
    lived(home, [homes.MONDAY + 20_000 * 3600 + n for n in range(2000)])
    assert cleared(home, Room(730, 1e9)) <= 2 * STEP, "right again, and two years of hours are kept"


def test_one_wrong_time_takes_nothing(home):
    lived(home, [homes.MONDAY + n * 60 for n in range(1500)])
    lived(home, [homes.MONDAY + 50 * YEAR])
    assert cleared(home, Room(30, 1e9)) == 0


def test_by_size_the_oldest_goes_but_never_what_is_learned_from(home, tmp_path):
    rows = lived(home, [homes.MONDAY + n * 60 for n in range(SPARED + 3000)])
    alarmed(home, ((row, homes.MONDAY + row * 60) for row in rows[:2000]), 200)
    assert home.alert_states() == {"sent": 2000}
    assert [cleared(home, Room(730, 1.0)) for _ in range(4)] == [1400, 1330, 270, 0]
    assert home.count() == SPARED
    assert home.alert_states() == {}, "alerts go with their behaviors"
    sound(home, tmp_path)


def test_the_file_keeps_its_size_as_years_pass(home, tmp_path):
    """What leaves makes room for what comes."""
    sizes = []
    for month in range(24):
        start = homes.MONDAY + month * 30 * DAY
        rows = lived(home, [start + n * 30 * DAY / 2000 for n in range(2000)])
        alarmed(home, ((row, start) for row in rows[::50]), 200)
        cleared(home, Room(60, 1e9), 8)
        home._database.settle()
        sizes.append((tmp_path / FILE).stat().st_size)
    assert max(sizes[6:]) < 1.3 * sizes[6]
    assert home.count() < 5 * 2000


def test_a_file_that_was_far_larger_is_written_anew(home, tmp_path):
    rows = lived(home, [homes.MONDAY + n * 60 for n in range(SPARED + 2000)])
    alarmed(home, ((row, homes.MONDAY + row * 60) for row in rows[:2000]), 2000)
    home._database.settle()
    large = (tmp_path / FILE).stat().st_size
    cleared(home, Room(730, 5e5), 2)
    assert (tmp_path / FILE).stat().st_size < large / 5
    sound(home, tmp_path)


def test_a_device_is_forgotten_with_its_last_behavior_and_may_come_back(home, tmp_path):
    told = Event(homes.MONDAY, "old1", "Old lamp", "state", "ON")
    home.record([Entry(Message("t", b"x", 1.0), (told,), (Behavior(homes.MONDAY, "old1", "state ON"),))])
    lived(home, [homes.MONDAY + n for n in range(10)])
    lived(home, [homes.MONDAY + YEAR + n for n in range(1500)])
    assert cleared(home, Room(100, 1e9)) == 11
    assert [each.id for each in home.devices()] == ["lamp1"]
    assert home.pairs() == [("lamp1", "state ON")]
    assert home.states() == {}
    told = Event(homes.MONDAY + YEAR, "old1", "Old lamp", "state", "ON")
    home.record([Entry(Message("t", b"y", 2.0), (told,), (Behavior(homes.MONDAY + YEAR, "old1", "state ON"),))])
    assert {each.id for each in home.devices()} == {"lamp1", "old1"}
    assert home.states() == {("old1", "state"): "ON"}
    sound(home, tmp_path)
    with closing(Store.open(tmp_path, read_only=True)) as other:
        assert (other.devices(), other.pairs(), other.states()) == (home.devices(), home.pairs(), home.states())


def test_reports_and_alerts_are_bounded(home):
    lived(home, [homes.MONDAY, *(homes.MONDAY + YEAR + n for n in range(1500))])
    reports = ((homes.MONDAY + YEAR, f'{{"n": {n}}}') for n in range(REPORTS + 20))
    with home._database.transaction():
        home._database.write_many("INSERT INTO adaptations (time, scene, report) VALUES (?, 'winter', ?)", reports)
    home.add_alert(Alert(homes.MONDAY, None, 2.0, 1.0, "old"))
    kept = home.add_alert(Alert(homes.MONDAY + YEAR, None, 2.0, 1.0, "new"))
    cleared(home, Room(100, 1e9))
    assert [each.report["n"] for each in home.adaptations()] == list(range(20, REPORTS + 20))
    assert [each.id for each in home.alerts()] == [kept]


def test_an_empty_record_is_left_alone(home):
    assert cleared(home, Room(30, 1.0)) == 0


def test_killed_at_any_step_the_record_is_whole_and_another_night_goes_on(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from edge.store import Room, Store\n"
        "store = Store.open(Path(sys.argv[1])); steps = store.release(Room(30, 1e9))\n"
        "[next(steps) for _ in range(int(sys.argv[2]))]; os.kill(os.getpid(), 9)\n"
    )
    with closing(Store.open(tmp_path / "home")) as store:
        rows = lived(store, [homes.MONDAY + n * 60 for n in range(3 * STEP)] + [homes.MONDAY + YEAR] * 60 * STEP)
        alarmed(store, ((row, homes.MONDAY) for row in rows[::100]))
    for steps in (1, 2, 4):
        directory = tmp_path / f"killed after {steps}"
        shutil.copytree(tmp_path / "home", directory)
        command = [sys.executable, "-c", code, str(directory), str(steps)]
        assert subprocess.run(command, cwd=ROOT, env=os.environ).returncode == -9
        with closing(Store.open(directory)) as store:
            sound(store, directory)
            assert store.count() == 63 * STEP - min(steps, 3) * STEP
            cleared(store, Room(30, 1e9))
            assert store.count() == 60 * STEP
            sound(store, directory)


def test_a_clearing_is_begun_once_a_night_and_does_a_step_at_each_look(home):
    begun = []

    def begin():
        begun.append(True)
        return iter([3, 2])

    clearing = Clearing(Nightly(home, home, UTC, 4, CLEARED), begin)
    night = Nightly(home, home, UTC, 4)
    for hour in range(3 * 24):
        clearing.look(homes.MONDAY + hour * 3600)
    assert len(begun) == 3
    assert night.due(homes.MONDAY + 10 * 3600), "the night's other work is another matter"
