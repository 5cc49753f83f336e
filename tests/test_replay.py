"""A replay says what the agent would have told: the same loop, the same model; and leaves no trace."""

import json
import threading
import time
from dataclasses import replace

import pytest

from edge import compose
from edge.calibrator import Calibrator
from edge.catchup import catch_up
from edge.core.behaviors import Behavior, Entry
from edge.core.errors import ArtifactError, SettingsError
from edge.core.events import Message
from edge.importers import Wanted, opened
from edge.replay import Scratch, Silent, read, replay
from edge.sections import Adapt, Alerts, Data
from edge.settings import Settings
from edge.slots import Slots
from edge.store import FILE, Store
from edge.watch import Watch
from tests import homes
from tests.test_cli import sceneshift

DAYS = 80
DAY = 86400.0
LATER = homes.MONDAY + 90 * DAY


def later() -> list[Behavior]:
    """Return three weeks after the learned ones, with a fan at night every fifth day."""
    lived = [replace(each, time=each.time + 91 * DAY) for each in homes.behaviors(42, seed=3)]
    odd = [Behavior(LATER + day * DAY + 3 * 3600, "fan1", "state ON") for day in range(2, 21, 5)]
    return sorted([*lived, *odd], key=lambda each: each.time)


def entries(behaviors):
    return [Entry(Message("x", b"", each.time), behaviors=(each,)) for each in behaviors]


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Return the settings of a home that has lived eighty days and learned them."""
    folder = tmp_path_factory.mktemp("home")
    settings = Settings(data=Data(directory=folder / "data"), adapt=Adapt(steps=50), alerts=Alerts(budget_per_day=1000))
    store = Store.open(settings.data.directory)
    store.record(entries(homes.behaviors(2 * DAYS)))
    store.remember(homes.DEVICES)
    caught = catch_up(settings, store, homes.MONDAY + DAYS * DAY)
    assert caught.slot, caught.report
    store.set_fact("calibrating", "over")
    store.set_fact("mutes", {"*": time.time() + 1e6})
    store.close()
    toml = (
        f'[data]\ndirectory = "{folder}/data"\n[alerts]\nbudget_per_day = 1000\n[broker]\nurl = "mqtt://127.0.0.1:1"\n'
    )
    (folder / "s.toml").write_text(toml)
    write(folder / "later.jsonl", later())
    return settings


def write(path, behaviors):
    rows = ({"t": each.time, "device": each.device, "control": each.control} for each in behaviors)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def replayed(settings, path, slot=""):
    scratch = Scratch.open(settings.data.directory, read_only=True)
    reader = opened(str(path), Wanted(settings.home.zone), settings, scratch.pairs())
    read(scratch, reader, settings, time.time())
    try:
        return replay(settings, scratch, slot)
    finally:
        scratch.close()


def told_live(settings, behaviors, folder):
    """Return what the agent's own parts tell of behaviors, on a copy of the record."""
    source = Store.open(settings.data.directory, read_only=True)
    source._database.copy(folder / FILE)
    source.close()
    store = Store.open(folder)
    store.set_fact("mutes", {})
    alerts = compose.alerts(settings, store, lambda *_: None)
    watch = Watch(store, lambda _: None, lambda *_: None, Silent(), settings.home.zone, alerts=alerts)
    watch.devices.update({device.id: device for device in store.devices()})
    slow = compose.slow_loop(settings, Slots(settings.data.directory / "slots"), threading.Event())
    watch.model = Calibrator(store).taken_up(slow.open("0001-home"))
    watch.take_up(store.behaviors_with_ids(), (), behaviors[0].time)
    for (row,), behavior in zip(store.record(entries(behaviors)), behaviors, strict=True):
        watch.live(behavior, row, behavior.time)
    found = store.alerts()
    store.close()
    return found


def files(settings):
    folder = settings.data.directory
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "-shm" not in path.name}


def test_a_replay_tells_what_the_agent_would_have_told(learned, tmp_path):
    before = files(learned)
    found = replayed(learned, learned.data.directory.parent / "later.jsonl")
    live = told_live(learned, later(), tmp_path)
    assert [(each.time, each.score, each.sentence) for each in found.told()] == [
        (each.time, each.score, each.sentence) for each in live
    ]
    odd = [each for each in found.told() if "Desk fan" in each.sentence]
    assert len(odd) == 4
    assert (found.slot, found.known, found.behaviors) == ("0001-home", 0, len(later()))
    assert {each.time: each.explanation.habit.count for each in odd}[odd[0].time] == 0
    assert all(len(each.explanation.habit.by_hour) == 24 for each in odd)
    assert {path: content for path, content in files(learned).items() if content} == {
        path: content for path, content in before.items() if content
    }


def test_weeks_without_anything_have_their_zero(learned, tmp_path):
    lived = later()
    path = write(tmp_path / "gap.jsonl", [*lived, replace(lived[0], time=lived[-1].time + 30 * DAY)])
    found = replayed(learned, path)
    assert list(found.weeks) == sorted(found.weeks)
    assert sum(count for count, _ in found.weeks.values()) == len(lived) + 1
    assert sum(told for _, told in found.weeks.values()) == len(found.told())
    assert (0, 0) in found.weeks.values()
    assert not found.quiet.get("muted")


def test_what_the_model_learned_from_is_said(learned, tmp_path):
    found = replayed(learned, write(tmp_path / "known.jsonl", homes.behaviors(20)))
    assert found.known == found.behaviors == len(homes.behaviors(20))
    assert any("before that model learned" in line for line in found.summary())


def test_what_cannot_be_replayed_is_said(learned, tmp_path):
    with pytest.raises(SettingsError, match="no behavior"):
        replayed(learned, write(tmp_path / "x.jsonl", [Behavior(time.time() + 40 * DAY, "lamp1", "state ON")]))
    with pytest.raises(ArtifactError, match="9999"):
        replayed(learned, write(tmp_path / "x.jsonl", later()), "9999-nowhere")
    Store.open(tmp_path / "data").close()
    unlearned = Settings(data=Data(directory=tmp_path / "data"))
    with pytest.raises(SettingsError, match="sceneshift import"):
        replayed(unlearned, write(tmp_path / "x.jsonl", later()))


def test_the_command_prints_the_alerts_and_the_weeks(learned):
    folder = learned.data.directory.parent
    done = sceneshift("replay", folder / "later.jsonl", "--settings", folder / "s.toml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Desk fan turned on") >= 4
    assert "week of 2025-04-07" in done.stdout
    told = json.loads(sceneshift("replay", folder / "later.jsonl", "--settings", folder / "s.toml", "--json").stdout)
    assert sum(week["alerts"] for week in told["weeks"].values()) == len(
        [each for each in told["alerts"] if each["state"] == "sent"]
    )
    with (folder / "torn.jsonl").open("w") as file:
        file.write((folder / "later.jsonl").read_text() + "{nonsense\n")
    torn = sceneshift("replay", folder / "torn.jsonl", "--settings", folder / "s.toml", "--json")
    assert json.loads(torn.stdout) == told
    assert "left out" in torn.stderr
    missing = sceneshift("replay", folder / "nowhere", "--settings", folder / "s.toml")
    assert (missing.returncode, "Traceback" in missing.stderr) == (2, False)


def test_what_is_exported_between_two_days_is_replayed_alike_as_lines_and_as_a_table(learned, tmp_path):
    folder = learned.data.directory.parent
    found = []
    for form in ("jsonl", "csv"):
        out = tmp_path / f"out.{form}"
        words = ("--out", out, "--format", form, "--since", "2025-01-10", "--until", "2025-01-20T12:00")
        done = sceneshift("export", "--settings", folder / "s.toml", *words)
        assert done.returncode == 0, done.stderr
        found.append(replayed(learned, out))
        assert done.stdout.startswith(f"{found[-1].behaviors} behaviors")
    assert found[0] == found[1]
    lived = [each for each in homes.behaviors(2 * DAYS) if 1736467200 <= each.time < 1737374400]
    assert found[0].behaviors == len(lived) > 20
    done = sceneshift("export", "--settings", folder / "s.toml", "--out", tmp_path / "no" / "where")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
