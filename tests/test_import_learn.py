"""After an import a model scores from the agent's first minute: the command as typed, and what it leaves."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from glob import escape

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from edge.agent import Agent
from edge.catchup import MOST_CONTROLS, MOST_DEVICES, catch_up, crowded
from edge.core.errors import StoreError
from edge.core.vocabulary import Vocabulary
from edge.lock import alone
from edge.settings import load
from edge.store import Store
from tests import homes
from tests.test_import import ROOT, written

DAY = 86400.0


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "sceneshift.toml"
    path.write_text(
        f'[broker]\nurl = "mqtt://127.0.0.1:1"\n[data]\ndirectory = "{tmp_path / "data"}"\n[adapt]\nsteps = 20\n'
    )
    return path


def told(source, settings, *words):
    command = [sys.executable, "-m", "edge", "import", str(source), "--settings", str(settings), *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def history(path, days):
    """Write the days of the home of tests/homes.py, the last of them a day ago."""
    lived = homes.behaviors(2 * days)
    later = (time.time() - lived[-1].time) // DAY * DAY - DAY
    return written(path, [{"t": each.time + later, "device": each.device, "control": each.control} for each in lived])


def test_a_year_is_learned_at_once_and_the_agent_alerts_from_its_first_minute(settings, tmp_path):
    source = history(tmp_path / "a.jsonl", 365)
    done = told(source, settings)
    assert done.returncode == 0, done.stderr
    for part in ("365 days", "3 devices", "it scores from the first minute", "alerts are on"):
        assert part in done.stdout
    agent = Agent(load(settings))
    try:
        assert agent.watch.model is not None
        assert agent.watch.alerts.shadow_mode == ""
        assert agent.jobs.slots.names() == [agent.watch.model.slot]
        assert not agent.jobs.nightly.worth(), "the night has nothing to learn that this has not"
        limits, home = agent.watch.model.limits, agent.jobs.home()
        held = len(home.sequences) // 4
        assert 0.6 * held < limits.n < 1.4 * held, "limits by what was held out, never trained on"
        (report,) = agent.store.adaptations()
        assert report.report["swap"]["to"] == agent.watch.model.slot
    finally:
        agent.close()
    again = told(source, settings)
    assert "nothing to learn" in again.stdout
    with source.open("a") as file:
        file.write(json.dumps({"t": time.time() - 3600, "device": "lamp1", "control": "state ON"}) + "\n")
    more = told(source, settings)
    assert "1 behaviors are new" in more.stdout
    assert "0002" in more.stdout or "no new model" in more.stdout, "through the gate as any other"


def test_learning_that_was_broken_off_is_taken_up_by_the_same_command(settings, tmp_path):
    source = history(tmp_path / "a.jsonl", 60)
    rows = source.read_text().splitlines(keepends=True)
    source.write_text("".join(rows[: len(rows) // 2]))
    assert "it scores from the first minute" in told(source, settings).stdout
    source.write_text("".join(rows))
    assert told(source, settings, "--no-learn").returncode == 0

    def stopped(*_):
        raise KeyboardInterrupt

    loaded = load(settings)
    store = Store.open(loaded.data.directory)
    with pytest.raises(KeyboardInterrupt):
        catch_up(loaded, store, time.time(), stopped)
    store.close()
    again = told(source, settings)
    assert "nothing to learn" not in again.stdout
    assert "0002" in again.stdout or "no new model" in again.stdout
    assert "nothing to learn" in told(source, settings).stdout


def test_of_too_few_days_it_says_what_is_still_needed(settings, tmp_path):
    done = told(history(tmp_path / "a.jsonl", 15), settings)
    assert done.returncode == 0, done.stderr
    assert "sequences were lived yet; 40 are needed" in done.stdout
    start = (time.time() // DAY - 12) * DAY
    busy = [{"t": start + day * DAY + 7 * 3600 + n * 1200, "device": f"lamp{n % 3}", "control": f"state {n % 2}"}
            for day in range(11) for n in range(40)]  # fmt: skip
    done = told(written(tmp_path / "b.jsonl", busy), settings)
    assert done.returncode == 0, done.stderr
    assert "alerts begin when its limits hold: " in done.stdout


def test_a_home_of_too_many_devices_says_which_to_leave_out(settings, tmp_path):
    rows = [
        {"t": time.time() - 40 * DAY + 3600 * n, "device": f"d{n % 70:02d} [x]", "control": "state ON"}
        for n in range(700) if n % 70 < 62 or n < 70
    ]  # fmt: skip
    source = written(tmp_path / "a.jsonl", rows)
    done = told(source, settings)
    assert done.returncode == 1
    left = [escape(f"d{n} [x]") for n in range(62, 70)]
    assert f"exclude = [{', '.join(json.dumps(name) for name in left)}]" in done.stdout.replace("\n", " ")
    other = tmp_path / "other.toml"
    other.write_text(settings.read_text().replace("data", "data2", 2).replace("[data2]", "[data]"))
    globs = [word for name in left for word in ("--exclude", name)]
    done = told(source, other, *globs)
    assert done.returncode == 0, done.stderr
    assert "it scores from the first minute" in done.stdout


@examples(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 30)), max_size=600))
def test_what_is_not_crowded_out_fits_into_a_model(drawn):
    pairs = [(f"d{device}", f"c{control}") for device, control in drawn]
    left = crowded(pairs)
    kept = [pair for pair in pairs if pair[0] not in left]
    Vocabulary().grown(kept)
    uses = Counter(device for device, _ in pairs)
    if len(uses) <= MOST_DEVICES and len(set(pairs)) <= MOST_CONTROLS:
        assert left == []
    if len(set(pairs)) <= MOST_CONTROLS and left:
        assert min(uses[device] for device, _ in kept) >= max(uses[device] for device in left)


def test_while_the_agent_runs_and_for_what_cannot_be_read_it_says_what_to_do(settings, tmp_path):
    source = written(tmp_path / "a.jsonl", [{"t": 1.7e9, "device": "a", "control": "on"}])
    assert "1 behaviors would be taken in" in told(source, settings, "--dry-run").stdout
    assert not (tmp_path / "data").exists()
    with alone(tmp_path / "data"):
        done = told(source, settings)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "stop it first" in done.stderr
    for words, said in ((("--since", "lately"), "is no day: write"), (("--time-zone", "Mars"), "no such time zone")):
        refused = told(source, settings, *words)
        assert (refused.returncode, "Traceback" in refused.stderr) == (2, False)
        assert said in refused.stderr


def stored(directory):
    """Return how many behaviors another process has stored by now."""
    try:
        store = Store.open(directory, read_only=True)
    except StoreError:
        return 0
    try:
        return store.count()
    finally:
        store.close()


def test_interrupted_it_says_that_it_goes_on(settings, tmp_path):
    count = 120_000
    rows = [{"t": 1.6e9 + 100 * n, "device": f"d{n % 9}", "control": "on"} for n in range(count)]
    source = written(tmp_path / "a.jsonl", rows)
    command = [sys.executable, "-m", "edge", "import", str(source), "--settings", str(settings), "--no-learn"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what runs behind it ignore this
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    while running.poll() is None and not stored(tmp_path / "data"):
        time.sleep(0.005)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "the same command goes on from here" in said
    assert 0 < stored(tmp_path / "data") < count
    assert told(source, settings, "--no-learn").returncode == 0
    assert stored(tmp_path / "data") == count
