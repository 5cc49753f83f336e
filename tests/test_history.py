"""A timeline judged: reading it, anomalies put into it, the fast loop in batches, the figures."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from edge.adapt import Model
from edge.core.behaviors import Behavior
from edge.core.calibration import PARTS, Limits
from edge.core.errors import SettingsError
from edge.core.memory import Memory
from edge.core.sequences import LENGTH, split
from edge.core.vocabulary import DEVICE_ROWS, FIRST, Vocabulary
from edge.scorer import Scorer
from edge.slots import shipped
from edge.watch import Watch
from tests import homes
from trainer.cli import app
from trainer.evaluate import contenders, history, injections, replay, timelines
from trainer.evaluate.days import Days
from trainer.evaluate.injections import Injector
from trainer.evaluate.past import Past, local
from trainer.evaluate.replay import Lived
from trainer.homes import timeline

START = date(2024, 1, 1)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("timeline") / "home.jsonl"
    timeline.write(path, timeline.Wanted(1, 60))
    return path


@pytest.fixture(scope="module")
def told(file):
    return timelines.read(file)


@pytest.fixture(scope="module")
def days(told):
    middle = START + timedelta(days=45)
    return Days.of(told, (START, middle), (middle, middle + timedelta(days=15)), seed=0)


# ---- reading

zones = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
lines = st.tuples(st.datetimes(timezones=zones), st.text(min_size=1), st.text())


@given(lines)
def test_a_line_is_read_as_it_was_written(line):
    at, device, control = line
    behavior, offset = timelines.parse(json.dumps({"t": at.isoformat(), "device": device, "control": control}))
    assert behavior == Behavior(at.timestamp(), device, control)
    assert offset == at.utcoffset()


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_whatever_stands_in_a_line_is_read_or_refused(line):
    with pytest.raises(timelines.MessageError):
        timelines.parse(line)


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[1]",
        '{"t": "2024-01-01T00:00:00", "device": "a", "control": "on"}',
        '{"t": 12, "device": "a", "control": "on"}',
        '{"t": "yesterday", "device": "a", "control": "on"}',
        '{"t": "2024-01-01T00:00:00Z", "device": "", "control": "on"}',
        '{"t": "2024-01-01T00:00:00Z", "device": "a"}',
    ],
)
def test_a_malformed_line_is_named(tmp_path, bad):
    path = tmp_path / "home.jsonl"
    good = '{"t": "2024-01-01T00:00:00Z", "device": "a", "control": "on"}'
    path.write_text(f"{good}\n\n{bad}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"home\.jsonl, line 3: "):
        timelines.read(path)


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/New_York", "Asia/Seoul"])
def test_local_time_is_the_files(zone):
    clock, begin = ZoneInfo(zone), datetime(2024, 1, 1, tzinfo=UTC)
    hours = [(begin + timedelta(hours=number)).astimezone(clock) for number in range(366 * 24)]
    found = timelines.timeline((Behavior(at.timestamp(), "a", "on"), at.utcoffset()) for at in hours)
    for at in hours:
        assert datetime.fromtimestamp(at.timestamp(), found.zone).replace(tzinfo=None) == at.replace(tzinfo=None)
    for day in (date(2024, 1, 2), date(2024, 7, 1), date(2024, 12, 24)):
        assert found.midnight(day) == datetime(day.year, day.month, day.day, tzinfo=clock).timestamp()


def test_days_end_where_the_next_begin(told):
    parts = [told.between(START + timedelta(days=day), START + timedelta(days=day + 20)) for day in (0, 20, 40)]
    assert sum(parts, ()) == told.between(START, START + timedelta(days=60))
    assert all(local(each.time, told.zone).date() < START + timedelta(days=20) for each in parts[0])


def test_a_home_too_large_keeps_what_acts_most():
    crowd = [Behavior(float(n), f"d{n % 80}", "on") for n in range(800)]
    crowd += [Behavior(1000.0 + n, f"d{n}", "off") for n in range(50)]
    kept = timelines.known(crowd)
    assert len({device for device, _ in kept}) == DEVICE_ROWS - FIRST
    assert {(f"d{n}", "off") for n in range(50)} <= kept
    Vocabulary().grown(kept)  # has room


# ---- anomalies


def test_every_anomaly_keeps_its_rule(days):
    past, zone = days.past, days.test.zone
    assert {each.kind for each in days.injected} == set(injections.KINDS)
    for each in days.injected:
        pairs = [(made.device, made.control) for made in each.behaviors]
        hours = [local(made.time, zone).hour for made in each.behaviors]
        times = [made.time for made in each.behaviors]
        if each.kind == injections.SD:
            assert len({device for device, _ in pairs}) == 1
            assert times[-1] - times[0] < 60
            assert len(pairs) > past.burst[pairs[0][0]]
        elif each.kind == injections.MD:
            assert all(past.never(one, other) for one, other in pairwise(pairs))
            assert all(past.usual(pair, hours[0]) for pair in pairs)
        elif each.kind == injections.DM:
            assert past.wrong(pairs[0], hours[0])
        elif each.kind == injections.DD:
            assert times[1] - times[0] >= injections.AT_LEAST * past.longest[pairs[0], pairs[1]]
            assert past.usual(pairs[0], hours[0])
            assert past.usual(pairs[1], hours[1])
            acts = [lived.time for lived in days.test.behaviors if lived.device == pairs[0][0]]
            assert not any(times[0] <= at <= times[1] for at in acts)
        elif each.kind == injections.DOOR:
            assert hours[0] in injections.NIGHT
            assert past.wrong(pairs[0], hours[0])
        else:
            assert past.unused(pairs[0][0], hours[0])


def test_what_was_lived_stays_as_it_was(days):
    together, odd = replay.merged(days.test.behaviors, days.injected)
    made = [behavior for each in days.injected for behavior in each.behaviors]
    assert Counter(together) == Counter(days.test.behaviors) + Counter(made)
    assert [each for each in together if each not in set(made)] == list(days.test.behaviors)
    assert [each.time for each in together] == sorted(each.time for each in together)
    for each, (first, last) in zip(days.injected, odd, strict=True):
        assert together[first] == each.behaviors[each.odd[0]]
        assert together[last] == each.behaviors[each.odd[-1]]


def test_anomalies_are_drawn_by_their_seed_and_lie_apart(days):
    def drawn(seed):
        return tuple(Injector(days.past, days.test.behaviors, days.test.zone, seed).drawn())

    assert drawn(0) == days.injected != drawn(1)
    odd = sorted(each.behaviors[each.odd[0]].time for each in days.injected)
    assert np.diff(odd).min() >= injections.APART - 60
    assert len(odd) >= 20  # two a day where the home can have them


def test_a_home_of_which_little_is_known_has_no_anomalies():
    lived = homes.behaviors(6)
    assert Injector(Past.of(lived, UTC), lived, UTC, 0).drawn() == []


# ---- the fast loop


@pytest.fixture(scope="module")
def scorer():
    model = shipped("detector")
    vocabulary = Vocabulary().grown(homes.PAIRS)
    counted = Memory.of(split(homes.behaviors(150), UTC), vocabulary)
    return Scorer(model, np.concatenate([np.load(model / "initial.npy"), counted.flat()]), vocabulary)


def test_batches_alarm_as_the_fast_loop_does_behavior_by_behavior(scorer):
    earlier, behaviors = homes.behaviors(160)[:150], homes.behaviors(160)[150:]
    lived = Lived.after(earlier, behaviors, UTC)
    surprise = replay.newest_surprise(scorer.surprise(lived.sequences()), len(behaviors))
    limits = Limits(
        **dict(zip(PARTS, np.maximum(np.quantile(surprise, 0.9, axis=0), 0.5).tolist(), strict=True)), alpha=0.05, n=99
    )
    store = replay.Alarms()
    watch = Watch(store, lambda *_: None, lambda *_: None, replay.Silent(), UTC)
    for behavior in earlier:
        watch.live(behavior, 0, behavior.time)
    watch.swap(Model("0001", "", scorer, limits))
    for place, behavior in enumerate(behaviors):
        watch.live(behavior, place, behavior.time)
    assert store.places
    assert replay.alarms(lived, surprise, limits, scorer.vocabulary) == store.places


def test_each_behavior_is_foretold_from_the_window_before_it(days):
    asked = days.test.contexts()
    assert [each[-1] for each in asked] == days.test.steps
    assert all(len(each) <= LENGTH and all(step.carried for step in each[:-1]) for each in asked)
    assert [each[:-1] for each in asked[1:]] == [window.steps[1 - LENGTH :] for window in days.test.windows[1:-1]]


@given(
    st.lists(st.integers(0, 60), max_size=12), st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), max_size=5)
)
def test_an_alarm_counts_on_what_is_odd_and_just_after(places, spans):
    odd = [(first, first + length) for first, length in spans]
    wanted = [any(first <= place <= last + replay.NEXT for place in places) for first, last in odd]
    assert replay.found(places, odd) == wanted


def test_the_n_gram_foretells_a_regular_home():
    home = timelines.home_of(homes.behaviors(240), UTC)
    counted = contenders.Counting(home, Vocabulary().grown(homes.PAIRS), 0.05)
    later = homes.behaviors(260)
    lived = Lived.after(later[:-40], later[-40:], UTC)
    told = counted.foretold(lived)
    assert np.mean(told.ranks <= 2) > 0.8
    assert counted.surprise(lived).shape == (40, len(PARTS))
    stranger = Lived.after(later[:-40], [Behavior(later[-40].time, "nobody", "on")], UTC)
    assert counted.foretold(stranger).ranks[0] > len(homes.PAIRS)
    assert counted.surprise(stranger)[0, 0] > counted.surprise(lived)[:, 0].max()


# ---- the figures


def span(first, until):
    return START + timedelta(days=first), START + timedelta(days=until)


@pytest.fixture(scope="module")
def judged(file):
    so_far = []
    wanted = history.Wanted(file, span(0, 45), span(45, 60), steps=20)
    return history.judge(wanted, lambda *_: None, lambda figures: so_far.append(dict(figures))), so_far


def test_both_are_judged_by_the_same_figures(judged, days):
    told, so_far = judged
    names = {"hr1", "hr5", "hr10", "ndcg10", "nll", "macro_recall", "alarms_per_day", "injected_recall"}
    for name in ("ours", "ngram"):
        assert names <= set(told[name])
        assert 0 <= told[name]["hr1"] <= told[name]["hr5"] <= told[name]["hr10"] <= 1
        assert told[name]["hr1"] <= told[name]["ndcg10"] <= told[name]["hr10"]
        assert set(told[name]["injected"]) == set(told["injected"])
        assert 0 <= told[name]["alarms_at_unseen_per_day"] <= told[name]["alarms_per_day"]
    assert told["days"] == 15
    assert told["behaviors"]["test"] == len(days.test.behaviors)
    assert told["ngram"]["nll"] < np.log(len(days.kept))  # better than knowing nothing
    assert "ngram" not in so_far[0]
    assert "adapted" not in told


def test_what_was_never_seen_is_counted_and_a_miss(days):
    seen = {(each.device, each.control) for each in days.test.behaviors} & days.kept

    class Prophet:
        limits = Limits(1.0, 1.0, 1.0, 0.01, 9)

        def foretold(self, lived):
            return contenders.Told(np.ones(len(lived.behaviors), np.int64), np.zeros(len(lived.behaviors)))

    told = history.foretelling(Prophet(), days)
    count = sum((each.device, each.control) in days.kept for each in days.test.behaviors)
    assert told["unseen"] == len(days.test.behaviors) - count > 0
    assert told["hr1"] == pytest.approx(count / len(days.test.behaviors))
    assert told["nll"] == 0.0
    assert told["macro_recall"] < 1.0
    assert seen


def test_a_device_there_was_no_room_for_is_left_out_of_the_loop_and_counted(told, monkeypatch):
    kept = timelines.known(told.behaviors) - {("Hall motion sensor", "motion detected")}
    monkeypatch.setattr("trainer.evaluate.days.known", lambda _: kept)
    days = Days.of(told, span(0, 45), span(45, 60), 0)
    assert set(days.left_out) == {("Hall motion sensor", "motion detected")}
    assert days.unseen >= len(days.left_out) > 0
    assert not {("Hall motion sensor", "motion detected")} & {(e.device, e.control) for e in days.test.behaviors}


def test_the_command_writes_and_says_what_is_wrong(file, tmp_path, monkeypatch):
    out = tmp_path / "figures.json"

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(history, "judge", stopped)
    dates = [f"--{name}={day}" for name, day in zip(("train-from", "train-until", "test-from", "test-until"),
                                                    (*span(0, 45), *span(45, 60)), strict=True)]  # fmt: skip
    stopped = CliRunner().invoke(app, ["evaluate", "history", str(file), *dates, "--json", str(out)])
    assert stopped.exit_code == 130
    monkeypatch.undo()
    late = [each.replace("2024", "2031") for each in dates]
    wrong = CliRunner().invoke(app, ["evaluate", "history", str(file), *late])
    assert wrong.exit_code == 1
    assert "nothing to train on" in wrong.output
    missing = CliRunner().invoke(app, ["evaluate", "history", str(tmp_path / "none"), *dates])
    assert missing.exit_code == 1


def test_figures_are_shown_and_written_whole(judged, tmp_path):
    told, _ = judged
    history.write(tmp_path / "figures.json", told)
    assert json.loads((tmp_path / "figures.json").read_text()) == told
    assert not list(tmp_path.glob("*.part"))
