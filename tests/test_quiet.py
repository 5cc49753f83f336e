"""What keeps an alert quiet: exclusions, mutes, the budget, the cooldown, and the words for a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.devices import Device
from edge.core.errors import SettingsError
from edge.core.quiet import BUDGET, COOLDOWN, DAY, LONGEST_MUTE, MOST_MUTES, Quiet, fits, parse_minutes

LAMP, KETTLE = Device("0x01", "Hall lamp", "light"), Device("0x02", "Kettle", "kettle")
NOW = 1.75e9
moments = st.floats(NOW - 10 * DAY, NOW + 10 * DAY)
words = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8)


@given(words, words)
def test_a_glob_fits_id_or_name_and_nothing_else(identity, name):
    device = Device(identity, name, "light")
    assert fits([identity], device)
    assert fits([name], device)
    assert fits([f"{name[0]}*"], device)
    assert fits(["*"], device)
    assert not fits([f"{identity}?"], Device(identity, identity, "light"))
    assert not fits([], device)


def test_case_is_minded_as_in_the_sources_globs():
    assert not fits(["hall*"], LAMP)
    assert fits(["Hall*"], LAMP)


@given(moments, st.floats(1, LONGEST_MUTE), st.floats(0, 2 * LONGEST_MUTE))
def test_a_mute_holds_until_its_end_and_no_longer(start, length, after):
    quiet = Quiet()
    quiet.mute("Hall*", start + length)
    assert quiet.muted(LAMP, start + after) == (start + after < start + length)
    assert not quiet.muted(KETTLE, start + after)
    assert [mute.glob for mute in quiet.mutes(start + after)] == (["Hall*"] if after < length else [])


@given(st.dictionaries(words, st.floats(-LONGEST_MUTE, 2 * LONGEST_MUTE), max_size=8), st.floats(0, LONGEST_MUTE))
def test_mutes_outlive_the_process_and_none_holds_longer_than_the_longest(spans, passed):
    before = Quiet()
    for glob, span in spans.items():
        before.mute(glob, NOW + span)
    after = Quiet()
    after.take_up(before.kept(), NOW + passed)
    held = {mute.glob: mute.until for mute in after.mutes(NOW + passed)}
    assert held.keys() == {mute.glob for mute in before.mutes(NOW + passed)}
    assert all(until <= NOW + passed + LONGEST_MUTE for until in held.values())


def test_what_was_kept_and_is_no_mute_is_left_out():
    quiet = Quiet()
    quiet.take_up({"a": "tomorrow", "b": None, "c": NOW + 60}, NOW)
    assert [mute.glob for mute in quiet.mutes(NOW)] == ["c"]


def test_mutes_are_bounded_and_the_newest_hold():
    quiet = Quiet()
    for number in range(MOST_MUTES + 50):
        quiet.mute(f"device {number}", NOW + 60)
    assert len(quiet.mutes(NOW)) == MOST_MUTES
    assert fits([quiet.mutes(NOW)[-1].glob], Device("x", f"device {MOST_MUTES + 49}", ""))


@given(st.integers(1, 20), st.lists(st.floats(0, 5 * DAY), max_size=60))
def test_no_day_anywhere_holds_more_alerts_than_the_budget(budget, offsets):
    quiet = Quiet(budget_per_day=budget, cooldown=0.0)
    told = []
    for number, offset in enumerate(sorted(offsets)):
        if not quiet.held(f"device {number}", NOW + offset):
            quiet.charge(f"device {number}", NOW + offset)
            told.append(offset)
    for start in told:
        assert sum(start <= each < start + DAY for each in told) <= budget
    assert len(told) >= min(budget, len(offsets))


@given(st.floats(1, 2 * DAY), st.lists(st.floats(0, 5 * DAY), max_size=60))
def test_two_alerts_of_a_device_are_a_cooldown_apart_and_another_device_is_free(cooldown, offsets):
    quiet = Quiet(budget_per_day=1000, cooldown=cooldown)
    told = []
    for offset in sorted(offsets):
        if not quiet.held("0x01", NOW + offset):
            quiet.charge("0x01", NOW + offset)
            told.append(NOW + offset)
        assert quiet.held("0x02", NOW + offset) == ""
    assert all(later - earlier >= cooldown for earlier, later in zip(told, told[1:], strict=False))


@given(st.lists(moments, max_size=30))
def test_asking_charges_nothing(times):
    quiet = Quiet(budget_per_day=1)
    for time in times:
        assert quiet.held("0x01", time) == ""
        assert quiet.spent(time) == 0


def test_an_alert_of_a_clock_gone_wild_frees_nobody():
    quiet = Quiet(budget_per_day=2, cooldown=1800.0)
    quiet.charge("0x01", NOW)
    quiet.charge("0x02", NOW + 1e9)
    assert quiet.held("0x01", NOW + 60) == COOLDOWN
    quiet.charge("0x03", NOW + 120)
    assert quiet.held("0x04", NOW + 180) == BUDGET


@given(st.integers(0, 500), st.sampled_from([("", 1), ("m", 1), ("h", 60), ("d", 1440)]))
def test_a_time_is_read_in_its_unit(number, unit):
    letter, minutes = unit
    if number * minutes * 60 > LONGEST_MUTE:
        with pytest.raises(SettingsError):
            parse_minutes(f"{number}{letter}")
    else:
        assert parse_minutes(f"{number}{letter}") == number * minutes


@given(st.text(max_size=12))
def test_any_text_is_a_time_or_refused(text):
    try:
        minutes = parse_minutes(text)
    except SettingsError:
        return
    assert 0 <= minutes * 60 <= LONGEST_MUTE
