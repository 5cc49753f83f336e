"""Forgetting: what is named, by id or name and in whatever form, is in no byte of any file; all else stays right."""

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.behaviors import Behavior, Entry
from edge.core.calibration import Limits
from edge.core.devices import Device
from edge.core.errors import SettingsError, StoreError
from edge.core.events import Event, Message
from edge.core.manifest import SlotManifest
from edge.core.mentions import Mentions
from edge.core.prompts import clean
from edge.core.vocabulary import Vocabulary
from edge.database import Database, migrations
from edge.forget import GONE, Forgetting, forget_all
from edge.slots import Slots
from edge.store import FILE, Store
from tests.hearing import message, watching

ROOT = Path(__file__).parent.parent
NAME = 'Grandma\'s "Küche" lamp: 100%+more 🕯'
SECRET = Device("0xplanted0001", NAME, "light")
OTHERS = (Device("lamp1", "Hall lamp", "light"), Device("kettle1", "Kettle", "kettle"))
DAY = 86400.0
START = 1.75e9


def slot(scene: str, devices: tuple[str, ...], created: float) -> SlotManifest:
    return SlotManifest(
        scene=scene, created=created, model="detector", model_version=1,
        vocabulary=Vocabulary().grown([(device, "state ON") for device in devices]),
        limits=Limits(7.5, 3.5, 4.5, 0.01, 10), origin="learned", steps=1, seconds=0.1,
    )  # fmt: skip


def entry(time: float, device: Device, control: str = "ON") -> Entry:
    event = Event(time, device.id, device.name, "state", control, kind=device.kind)
    return Entry(
        Message(f"z/{device.name}", b"", time, mid=1), (event,), (Behavior(time, device.id, f"state {control}"),)
    )


def fill(directory: Path, days: int = 20) -> list[Behavior]:
    """Live a home in which everything that can name a device names the planted one."""
    store = Store.open(directory)
    devices = [*OTHERS, SECRET]
    lived = [
        entry(START + day * DAY + n * 3600, device) for day in range(days) for n, device in enumerate(devices)
    ]  # fmt: skip
    rows = [row for (row,) in store.record(lived)]
    store.add_scores({row: row / 10 for row in rows})
    published: list[object] = []
    watch = watching(store, published, odd=f"kettle1 {SECRET.id}")
    watch.alerts.devices |= {device.id: device for device in devices}
    for behavior in (each for one in lived[:30] for each in one.behaviors):
        watch.alerts.habits.add(behavior)
    odd = [("lamp1", 1), (SECRET.id, 2), ("kettle1", 3), ("kettle1", 14 * 3600), ("lamp1", 33 * 3600)]
    watch.handle([message(START + days * DAY + after, device, "state OFF") for device, after in odd])
    for alert in store.alerts():  # a name it had once, where only a sentence tells of it
        if alert.explanation.device == SECRET.id:
            older = replace(alert, explanation=replace(alert.explanation, name="Nightstand"))
            store.add_alert(older)
            why = replace(alert.explanation, after=("Nightstand", "state ON"), device="kettle1", expected=())
            store.add_alert(replace(alert, behavior=None, sentence="After Nightstand turned on.", explanation=why))
    store.remember([replace(SECRET, name="Lamp of old")])
    store.remember([*OTHERS, SECRET])  # as the bridge names it
    store.set_fact("mutes", {NAME: 9e9, "Kettle": 9e9})
    store.set_fact("scene", f"winter+removed-device:{NAME.replace('%', '%25').replace('+', '%2B').replace(':', '%3A')}")
    store.set_fact("heartbeat", {"time": 1, "scene": NAME})
    store.set_fact("learned", {"behaviors": 60, "said": [0, 0]})
    store.set_fact("calibrations", {"0001-winter": {"a_day": 1.0}, "0003-spring": {"a_day": 2.0}})
    store.set_fact("probation", {"incumbent": "0001-winter", "since": 1.0})
    place = {"position": 7, "states": [[SECRET.id, "state", NAME], ["lamp1", "state", "ON"]]}
    store.set_fact("imports", {"0f": place})
    store.set_fact("new", {"what": [{SECRET.id: 1}]})
    store.add_adaptation(START + 2 * DAY, f"winter+new-device:{NAME}", {"gate": {}})
    store.add_adaptation(START + 3 * DAY, "winter", {"source": {"by_hour": {SECRET.id: [0] * 24}}})
    store.add_adaptation(START + 4 * DAY, "winter", {"gate": {"accepted": True}})
    store.close()
    slots = Slots(directory / "slots")
    flat = np.zeros(64, np.float32)
    for scene, known, created in (
        ("winter", ("lamp1",), 3), ("winter", ("lamp1", SECRET.id), 5), ("spring", ("lamp1", "kettle1"), 19),
        (f"new-device:{NAME}", ("lamp1",), 19.5),
    ):  # fmt: skip
        slots.promote(slots.write(slot(scene, known, START + created * DAY), flat))
    (directory / "states").mkdir()
    (directory / "states" / "x.state").write_bytes(b"tokens " + NAME.encode())
    return [behavior for each in lived for behavior in each.behaviors]


def raw(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file())


def behaviors(directory: Path) -> list[Behavior]:
    store = Store.open(directory, read_only=True)
    rows = list(store.behaviors_with_ids())
    store.close()
    assert [row for row, _ in rows] == list(range(1, len(rows) + 1))
    return [behavior for _, behavior in rows]


@pytest.fixture
def home(tmp_path):
    fill(tmp_path / "data")
    return tmp_path / "data"


FORMS = (
    NAME.encode(),
    json.dumps(NAME)[1:-1].encode(),
    b"planted0001",
    "Küche".encode(),
    b"K\\u00fcche",
    b"Nightstand",
)


@pytest.mark.parametrize("glob", [SECRET.id, NAME, "0xplant*", "Grandma*"])
def test_a_device_is_in_no_byte_of_any_file_afterwards(home, glob):
    before = behaviors(home)
    assert all(form in raw(home) for form in FORMS)
    forgetting = Forgetting(home, device=glob)
    assert forgetting.found.devices == (SECRET,)
    assert forgetting.found.behaviors == sum(each.device == SECRET.id for each in before) > 20
    assert forgetting.do() > 3
    assert not [form for form in FORMS if form in raw(home)]  # while it is still open, log and all
    forgetting.close()
    assert not [form for form in FORMS if form in raw(home)]
    assert behaviors(home) == [each for each in before if each.device != SECRET.id]
    check = sqlite3.connect(home / FILE)
    assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert check.execute("PRAGMA foreign_key_check").fetchall() == []
    check.close()


def test_a_name_is_itself_before_it_is_a_glob(home):
    store = Store.open(home)
    named = [Device("d1", "Lamp [left]", "light"), Device("d2", "Lamp *", "light"), Device("d3", "Lamp l", "light")]
    store.remember(named)
    store.close()
    for device, wanted in (("Lamp [left]", named[:1]), ("Lamp *", named[1:2]), ("Lamp [lr]", named[2:])):
        forgetting = Forgetting(home, device=device)
        assert list(forgetting.found.devices) == wanted
        forgetting.close()


def test_what_is_of_others_stays(home):
    store = Store.open(home, read_only=True)
    was = {each.id: each for each in store.alerts()}
    store.close()
    forgetting = Forgetting(home, device=SECRET.id)
    found = forgetting.found
    forgetting.do()
    forgetting.close()
    assert (len(found.alerts), len(found.sentences)) == (2, 1)
    assert len(found.reports) == 2
    store = Store.open(home)
    now = {each.id: each for each in store.alerts()}
    rows = dict(store.behaviors_with_ids())
    assert set(now) == set(was) - set(found.alerts)
    pointing = [each for each in now.values() if each.id not in found.sentences]
    assert pointing
    assert all(rows[each.behavior].device == "kettle1" and each.score == was[each.id].score for each in pointing)
    assert [now[number].sentence for number in found.sentences] == [GONE]
    assert any(each.explanation is not None for each in now.values())
    assert {store.fact("scene"), *store.fact("mutes")} == {"winter", "Kettle"}
    assert store.fact("calibrations") == {"0001-winter": {"a_day": 1.0}, "0003-spring": {"a_day": 2.0}}
    assert store.fact("probation") is not None
    assert store.fact("imports") == {"0f": {"position": 7, "states": [["lamp1", "state", "ON"]]}}
    assert store.fact("learned") is store.fact("new") is None
    assert store.devices() == sorted(OTHERS, key=lambda device: device.id)
    assert {device for device, _ in store.states()} <= {"lamp1", "kettle1"}
    assert all(rows[row].device != SECRET.id for row in store.scores())
    assert len(store.adaptations()) == 1
    new = store.record([entry(START + 99 * DAY, OTHERS[0])])
    assert new == [[len(rows) + 1]]
    store.close()
    slots = Slots(home / "slots")
    assert slots.names() == ["0001-winter", "0003-spring"]
    assert (slots.current(), slots.previous()) == ("0003-spring", "0001-winter")


def test_what_came_before_a_day_goes_with_what_was_made_of_it(home):
    whole = behaviors(home)
    day = START + 10 * DAY
    forgetting = Forgetting(home, before=day)
    assert forgetting.found.devices == ()
    forgetting.do()
    forgetting.close()
    left = behaviors(home)
    assert left == [each for each in whole if each.time >= day]
    store = Store.open(home)
    assert all(each.time >= day for each in store.alerts())
    assert store.adaptations() == []
    assert store.devices() == sorted([*OTHERS, SECRET], key=lambda device: device.id)
    store.close()
    assert Slots(home / "slots").names() == []  # each learned from days before
    assert Slots(home / "slots").current() is None


def test_a_model_that_learned_from_later_days_only_stays(home, monkeypatch):
    monkeypatch.setattr("edge.forget.RECENT", 20)  # rows a model learns from
    forgetting = Forgetting(home, before=START + 10 * DAY)
    forgetting.do()
    forgetting.close()
    assert Slots(home / "slots").names() == ["0003-spring", "0004-new-device-grandma-s-k-c"]


def test_models_stay_where_that_is_wanted(home):
    forgetting = Forgetting(home, device=SECRET.id)
    assert forgetting.do(keep_models=True) == 0
    forgetting.close()
    assert len(Slots(home / "slots").names()) == 4


def test_all_leaves_nothing_of_a_home(home):
    (home / "lock").touch()
    shutil.copytree(home / "slots", home / ".restoring-x7")
    (home / "notes.txt").write_text("mine")
    assert forget_all(home) == ["notes.txt"]
    assert not [form for form in (*FORMS, b"lamp1", b"Kettle", b"winter") if form in raw(home)]
    with pytest.raises(StoreError, match="nothing has been recorded"):
        Forgetting(home, device="*")
    store = Store.open(home)
    assert store.count() == 0
    store.close()


def test_a_device_that_is_not_there_is_said_and_nothing_changes(home):
    before = behaviors(home)
    with pytest.raises(SettingsError, match="no device"):
        Forgetting(home, device="Grandpa")
    assert behaviors(home) == before


def test_a_file_that_still_holds_it_is_named(home):
    (home / "copy.json").write_bytes(b"x" + NAME.encode())
    forgetting = Forgetting(home, device=SECRET.id)
    with pytest.raises(StoreError, match=r"forgotten, but .*copy\.json .*by hand"):
        forgetting.do()
    forgetting.close()


@contextmanager
def reading(database):
    """Read on and on, as a copy that is being made."""
    database._connection.execute("BEGIN")
    database._connection.execute("SELECT count(*) FROM behaviors").fetchall()
    yield
    database._connection.execute("ROLLBACK")


def test_a_reader_is_told_of_and_a_second_time_ends_it(home, monkeypatch):
    monkeypatch.setattr("edge.database._WAIT", 0.1)
    reader = Database.open(home / FILE, migrations(), read_only=True)
    with reading(reader):
        forgetting = Forgetting(home, device=SECRET.id)
        with pytest.raises(StoreError, match="another process reads it"):
            forgetting.do()
        forgetting.close()
    reader.close()
    with pytest.raises(SettingsError):
        Forgetting(home, device=SECRET.id)
    assert not [form for form in FORMS if form in raw(home)]


def test_a_failure_midway_leaves_every_row(home, monkeypatch):
    before = behaviors(home)
    forgetting = Forgetting(home, device=SECRET.id)

    def fail(*_):
        raise StoreError("disk full")

    monkeypatch.setattr(forgetting, "_write_facts", fail)
    with pytest.raises(StoreError, match="disk full"):
        forgetting.do()
    forgetting.close()
    assert behaviors(home) == before
    again = Forgetting(home, device=SECRET.id)
    again.do()
    again.close()
    assert not [form for form in FORMS if form in raw(home)]


WORDS = st.text(st.sampled_from("ab%+:.é\"'"), min_size=1, max_size=5).filter(str.strip)


@settings(max_examples=100, deadline=None)
@given(WORDS)
def test_a_name_is_found_in_every_form_it_is_kept_in(name):
    device = Device("id-1", name, "light")
    mentions = Mentions([device])
    for value in (name, f"x {name} y", {name: 1}, [[{"k": ("id-1",)}]]):
        assert mentions.within(value)
    inside = f"z{name}z" if name == clean(name) else "zz"  # as sentences have it, it may be a word of this
    assert not mentions.within({"other": [1, None, "zzz", "id-12", inside]})
    assert any(form in json.dumps({"k": name}).encode() for form in mentions.forms())


def test_a_name_is_found_as_sentences_have_it():
    mentions = Mentions([Device("kids_lamp", "Kid's “big” lamp: left", "light"), Device("id-2", "🎈", "light")])
    for sentence in ("expected rather: kids lamp turned on (9%)", "moved Kid's big lamp left to 18 h"):
        assert mentions.within([sentence])
    assert not mentions.within("a device that never acts at this hour")
    assert not Mentions([Device("a_b", "x", "")], [Device("a b", "y", "")]).within("a b turned on")


def test_a_name_that_another_device_bears_is_no_sign_of_one():
    mine, other = Device("id-1", "Lamp", "light"), Device("id-2", "Lamp", "light")
    mentions = Mentions([mine], [other, replace(other, id="id-3", name="Hall lamp")])
    assert mentions.words == ["id-1"]
    assert not mentions.within("Lamp turned on")
    assert not Mentions([]).within("anything")


def test_killed_at_any_moment_a_second_time_ends_it(tmp_path):
    code = (
        "import sys; from pathlib import Path; from edge.forget import Forgetting\n"
        "forgetting = Forgetting(Path(sys.argv[1]), device='0xplanted0001'); print('go', flush=True); forgetting.do()\n"
    )
    kept = [each for each in fill(tmp_path / "home") if each.device != SECRET.id]
    for delay in (0.0, 0.01, 0.03, 0.06, 0.1):
        home = tmp_path / f"killed after {delay} s"
        shutil.copytree(tmp_path / "home", home)
        with subprocess.Popen([sys.executable, "-c", code, home], stdout=subprocess.PIPE, cwd=ROOT) as child:
            assert child.stdout.readline() == b"go\n"
            time.sleep(delay)
            child.kill()
        try:
            forgetting = Forgetting(home, device=SECRET.id)
            forgetting.do()
            forgetting.close()
        except SettingsError:  # it was gone from the record; what was left in the files is gone now
            pass
        assert not [form for form in FORMS if form in raw(home)]
        assert behaviors(home)[: len(kept)] == kept
