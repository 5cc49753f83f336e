"""Clocks: they jump by years, they are set back, they are changed twice a year; order, quiet and learning hold."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.calibrator import Calibrator
from edge.core.behaviors import Behavior, Entry
from edge.core.chronology import DAY, believed, lived_days
from edge.core.events import CLOCK_SET, Message
from edge.core.quiet import LONGEST_MUTE, Quiet
from edge.core.sequences import SET_BACK, Window, split
from edge.history import gather, lived
from edge.mqtt import Session
from edge.nightly import Nightly
from edge.probation import Probation
from edge.report import status_of
from edge.scenery import Scenery
from edge.sections import Home
from edge.store import Store
from tests import homes
from tests.running import Running, settings_for
from tests.test_cli import ROOT

YEAR = 365.25 * DAY
NOW = 1_790_000_000.0
BACK = [-50 * YEAR, -10 * YEAR, -YEAR, -3 * DAY, -2 * SET_BACK]
jumps = st.sampled_from([*BACK, 2 * SET_BACK, 3 * DAY, YEAR, 10 * YEAR])


class Facts(dict):
    """Facts in memory, through JSON as in the store."""

    def fact(self, key, default=None):
        return json.loads(self[key]) if key in self else default

    def set_fact(self, key, value):
        self[key] = json.dumps(value)


@given(st.lists(st.floats(0, 600), min_size=1, max_size=60))
def test_a_clock_that_only_goes_on_is_believed(gaps):
    times = [NOW]
    for gap in gaps:
        times.append(times[-1] + gap)
    assert all(believed(times))


@given(st.lists(st.floats(-SET_BACK / 2, SET_BACK / 2), min_size=1, max_size=60))
def test_devices_whose_clocks_are_apart_are_believed(shifts):
    assert all(believed([NOW + 600 * place + shift for place, shift in enumerate(shifts)]))


@given(st.integers(20, 60), st.data())
def test_what_a_wrong_clock_stamped_for_a_while_is_not_believed_and_all_else_is(count, data):
    length = data.draw(st.integers(0, count // 3 - 1))
    begin = data.draw(st.sampled_from([*range(length + 1, count - 2 * length), count - length]))
    end = begin + length
    jump = data.draw(jumps.filter(lambda each: abs(each) >= 3 * DAY))
    times = [NOW + 600 * place for place in range(count)]
    shown = [time + jump if begin <= place < end else time for place, time in enumerate(times)]
    if jump > 0 and end == count:  # nothing came after it: it may be right
        assert all(believed(shown))
    else:
        assert believed(shown) == [not begin <= place < end for place in range(count)]


@given(st.lists(st.floats(0, 20 * YEAR), max_size=40))
def test_whatever_was_stamped_the_believed_go_forward(times):
    kept = [time for time, right in zip(times, believed(times), strict=True) if right]
    assert len(kept) >= min(1, len(times))
    assert all(after >= before - 2 * SET_BACK for before, after in zip(kept, kept[1:], strict=False))


def test_days_are_those_lived():
    assert lived_days([]) == lived_days([NOW]) == 0
    assert lived_days([NOW + hour * 3600 for hour in range(0, 241, 6)]) == 10
    assert lived_days([NOW, NOW + 3600, NOW + 10 * YEAR]) == pytest.approx(1 + 1 / 24)


@given(st.floats(60, LONGEST_MUTE), jumps, st.booleans())
def test_a_mute_is_over_when_its_time_has_passed_wherever_the_clock_jumped(length, jump, restarted):
    quiet = Quiet()
    quiet.mute("*", NOW + length, NOW)
    now = NOW + jump
    if restarted:
        kept, quiet = json.loads(json.dumps(quiet.kept())), Quiet()
        quiet.take_up(kept, now)
    held = quiet.mutes(now)
    assert all(now < mute.until <= now + length + SET_BACK for mute in held)  # never for years
    assert bool(held) == (-SET_BACK <= jump < length)


@given(st.lists(jumps, min_size=1, max_size=4), st.floats(1, 30))
def test_a_probation_ends_however_often_the_clock_jumps(jumped, days):
    facts, now = Facts(), NOW
    probation = Probation(facts, days)
    probation.begin("0001-winter", now)
    for jump in jumped:
        now += jump
        probation = Probation(facts, days)
        if probation.decide([], now) is not None:
            return
    assert probation.decide([], now + days * DAY + 1) is not None


@given(jumps)
def test_the_scene_began_never_later_than_now(jump):
    facts = Facts()
    scenery = Scenery(facts, Home(scene="winter"), notice=False)
    scenery.settle(scenery.scene.__class__(season="spring"), NOW)
    scenery.look(NOW + jump)
    assert scenery.since <= NOW + max(jump, 0) + SET_BACK
    assert Scenery(facts, Home(), notice=False).since == scenery.since
    assert (scenery.since == NOW) == (jump >= -SET_BACK)


@pytest.mark.parametrize("junk", ["nonsense", 7, None, [], {"incumbent": 3, "since": "x"}])
def test_facts_that_make_no_sense_are_as_if_they_had_never_been_kept(junk):
    facts = Facts(scene=json.dumps(junk), scene_since=json.dumps(junk), probation=json.dumps(junk))
    scenery = Scenery(facts, Home(scene="winter"), notice=False)
    assert (str(scenery.scene), Probation(facts, 3).incumbent) == ("winter", None)
    scenery.look(NOW)


def test_limits_follow_the_days_also_of_a_model_made_ahead_of_the_clock():
    facts = Facts()
    right, ahead = (SimpleNamespace(slot=slot, created=at) for slot, at in (("0001", NOW - DAY), ("0002", NOW + YEAR)))
    calibrator = Calibrator(facts)
    assert calibrator.since(right, NOW) == NOW - DAY
    assert calibrator.since(ahead, NOW) == NOW
    assert Calibrator(facts).since(ahead, NOW + 5 * DAY) == NOW
    assert Calibrator(facts).since(ahead, NOW - YEAR) == NOW - YEAR


@given(st.lists(jumps, max_size=5))
def test_a_night_is_worked_once_whatever_the_clock_does(jumped):
    nightly, now, done = Nightly(Facts(), SimpleNamespace(), UTC, 3), NOW, 0
    for jump in [*jumped, DAY]:
        now += jump
        done += sum(nightly.due(now + minute * 60) for minute in range(0, 24 * 60, 10))
        now += DAY
        assert not nightly.due(now) or not nightly.due(now + 60)
    assert 1 <= done <= 2 * (len(jumped) + 1)


def test_both_changes_of_clocks_cut_no_sequence_and_lose_no_behavior():
    zone = ZoneInfo("Europe/Berlin")
    for month, day, hours in ((3, 29, {1, 3, 4}), (10, 25, {2, 3})):
        begin = datetime(2026, month, day, tzinfo=UTC).timestamp()
        lived = [Behavior(begin + 1200 * n, "lamp1", "state ON") for n in range(9)]
        (sequence,) = split(lived, zone)
        assert [step.gap for step in sequence[1:]] == [1200.0] * 8
        assert {step.hour for step in sequence} == hours


def put(store, behaviors):
    for number, each in enumerate(behaviors):
        store.record([Entry(Message("t", b"%d" % number, each.time), behaviors=(each,))])


def test_a_zone_that_is_changed_between_runs_moves_hours_and_no_time(tmp_path):
    lived = homes.behaviors(20)
    with closing(Store.open(tmp_path)) as store:
        put(store, lived)
        homes_of = [gather(store, ZoneInfo(name), homes.HOME) for name in ("UTC", "Pacific/Kiritimati")]
        assert list(store.behaviors()) == lived
    assert homes_of[0].sequences != homes_of[1].sequences
    assert [len(each) for each in homes_of[0].sequences] == [len(each) for each in homes_of[1].sequences]


@pytest.mark.parametrize("jump", [-10 * YEAR, 10 * YEAR])
def test_nothing_is_learned_of_what_a_wrong_clock_stamped(tmp_path, jump):
    right = homes.behaviors(60)
    wrong = [Behavior(each.time + jump + 7 * 3600, each.device, each.control) for each in right[40:50]]
    with closing(Store.open(tmp_path)) as store:
        put(store, [*right[:40], *wrong, *right[40:]])
        assert list(store.behaviors())[40:50] == wrong  # kept, in order of arrival
        home = gather(store, UTC, homes.HOME)
        days = lived(store)
    with closing(Store.open(tmp_path / "right")) as store:
        put(store, right)
        expected = gather(store, UTC, homes.HOME)
    assert (home.sequences, home.weeks) == (expected.sequences, expected.weeks)
    assert days == pytest.approx(7 * expected.weeks)


@given(st.lists(st.tuples(jumps, st.integers(1, 12)), max_size=6))
def test_a_window_holds_what_belongs_together_wherever_the_clock_jumps(jumped):
    window, now = Window(), NOW
    for jump, count in jumped:
        now += jump
        for _ in range(count):
            window = window.extended(Behavior(now, "lamp1", "state ON"), UTC)
            assert window.first <= window.last
            assert all(step.gap is None or 0 <= step.gap <= DAY for step in window.steps)
            now += 60


def test_an_agent_whose_clock_jumps_tells_once_goes_on_and_hangs_on_nothing(broker, tmp_path, monkeypatch):
    real, shift = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + shift[0])
    settings = settings_for(broker, tmp_path)
    lived = homes.behaviors(100)
    behind = real() - lived[-1].time - 86400

    def act(running, device, control):
        before = running.agent.store.count()
        running.client.publish(f"home/{device}", json.dumps({"control": control}))
        running.wait(lambda: running.agent.store.count() == before + 1)

    with Running(settings) as running:
        running.live([Behavior(each.time + behind, each.device, each.control) for each in lived])
        running.client.publish("sceneshift/request/learn", "{}")
        running.wait(lambda: running.said("response/learn"))
        assert running.agent.watch.model is not None
        running.agent.watch.alerts.shadow_mode = ""
        act(running, "fan1", "state ON")
        running.wait(lambda: running.said("alert"))
        running.client.publish("sceneshift/request/mute", json.dumps({"device": "heat1", "minutes": 60}))
        running.wait(lambda: running.said("response/mute"))
        times = []
        for jump in (-2 * YEAR, 0.0, 10 * YEAR, 0.0, -1200.0, 0.0):
            shift[0] = jump
            act(running, "lamp1", "state ON" if len(times) % 2 else "state OFF")
            times.append(real() + jump)
            assert running.agent.jobs.problem == ""
            json.dumps(running.agent.status())
        assert status_of(settings)["mutes"]
        shift[0] = -YEAR
        assert running.agent.watch.alerts.suspended_until(time.time()) == 0
        assert not status_of(settings)["mutes"]  # it would hold for a year and an hour
        shift[0] = 0.0
        told = len(running.said("alert"))
        stored = [each.time for each in running.agent.store.behaviors()]
        assert stored[-6:] == pytest.approx(times, abs=30)  # by arrival
    with Running(settings) as running:
        assert len(running.agent.store.alerts()) == told
        act(running, "fan1", "state OFF")
        running.wait(lambda: running.said("behavior"))
        assert len(running.agent.store.alerts()) <= told + 1
        assert running.agent.jobs.now() == pytest.approx(real(), abs=60)


FAKE = shutil.which("faketime")


class Process:
    """`sceneshift run` under libfaketime: a clock that is what a file says; the monotonic one goes on."""

    def __init__(self, folder, broker):
        self.folder, self.clock = folder, folder / "clock"
        (folder / "s.toml").write_text(
            f'[data]\ndirectory = "data"\ncommit_seconds = 0.05\n[broker]\nurl = "{broker.url}"\n'
            "[web]\nenabled = false\n"
            '[[sources]]\ndialect = "generic"\ntopic = "home/{device}"\n'
        )
        self.process = None

    def at(self, moment):
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(f"{datetime.fromtimestamp(moment, UTC):@%Y-%m-%d %H:%M:%S}\n")
        fresh.replace(self.clock)

    def start(self):
        library = subprocess.run([FAKE, "1h", "printenv", "LD_PRELOAD"], capture_output=True, text=True, check=True)
        environment = os.environ | {
            "LD_PRELOAD": library.stdout.strip(), "FAKETIME_TIMESTAMP_FILE": str(self.clock), "TZ": "UTC",
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip
        command = [sys.executable, "-m", "edge", "run", "--settings", str(self.folder / "s.toml")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def kill(self):
        """End it: libfaketime 0.9.10 lets no process sleep that is asked to end (clock_nanosleep: EINVAL)."""
        self.process.kill()
        self.process.wait(60)
        assert "Traceback" not in (self.folder / "log").read_text()


@pytest.mark.skipif(FAKE is None, reason="FAKETIME IS MISSING: apt-get install faketime: jumps are NOT tested")
def test_a_process_whose_kernels_clock_jumps_keeps_all_it_may_trust_in_order(broker, tmp_path):
    agent, expected, sent = Process(tmp_path, broker), [], []
    sender = Session(broker.address("sender"), lasting=False)
    sender.subscribe(["sceneshift/availability"])
    sender.open()
    assert sender.wait(30)

    def stored():
        try:
            with closing(Store.open(tmp_path / "data", read_only=True)) as store:
                return [(each.device, each.control, each.time) for each in store.behaviors()], store.counters()
        except Exception:  # noqa: BLE001  it is being made
            return [], {}

    def press(moment):
        agent.at(moment)
        sent.append(f"b{len(sent)}")
        sender.publish("home/remote", json.dumps({"control": sent[-1]}))
        if moment >= CLOCK_SET:
            expected.append((sent[-1], moment))
        deadline = time.monotonic() + 60
        while True:
            rows, counters = stored()
            if len(rows) + counters.get("clock not set", 0) == len(sent):
                return
            assert time.monotonic() < deadline, (agent.folder / "log").read_text()
            time.sleep(0.1)

    agent.at(5.0)  # no clock battery: it starts in 1970
    agent.start()
    while b"online" not in (said := [each.payload for each in sender.take(1, 60)]):
        assert said, (agent.folder / "log").read_text()
    for moment in (NOW, NOW + 10 * YEAR, NOW + 60, 5.0, NOW + 120, NOW - YEAR):
        press(moment)
    agent.kill()
    agent.at(NOW - 2 * YEAR)
    agent.start()
    for moment in (NOW - 2 * YEAR, NOW + 300):
        press(moment)
    agent.kill()
    sender.close()
    rows, _ = stored()
    assert [control for _, control, _ in rows] == [control for control, _ in expected]
    assert [time for *_, time in rows] == pytest.approx([moment for _, moment in expected], abs=30)
