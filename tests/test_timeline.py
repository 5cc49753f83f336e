"""A simulated home over the seasons: sizes, motion, doors and lamps, and how it is written."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from edge.core.scenes import Scene
from trainer.evaluate import timelines
from trainer.homes import motion, rooms, timeline
from trainer.homes.living import Stretch
from trainer.homes.timeline import Wanted

DAYS = 45


@pytest.fixture(scope="module")
def lived():
    return timeline.behaviors(Wanted(1, DAYS))


def test_it_has_the_size_of_a_lively_real_home(lived):
    sensed = sum(each.control in {motion.DETECTED, motion.CLEAR} for each in lived)
    assert 150 <= len(lived) / DAYS <= 330
    assert 0.5 <= sensed / len(lived) <= 0.7
    assert 25 <= len({each.device for each in lived}) <= timeline.DEVICES
    assert [each.time for each in lived] == sorted(each.time for each in lived)


@pytest.mark.parametrize("seed", [2, 3])
def test_a_seed_is_a_home(seed):
    one, again = (timeline.behaviors(Wanted(seed, 20)) for _ in range(2))
    assert one == again
    assert one != timeline.behaviors(Wanted(seed + 1, 20))


def test_without_motion_no_device_of_a_room_reports():
    found = {each.device for each in timeline.behaviors(Wanted(1, 20, motion=0.0))}
    assert found
    assert not found & {device.id for device in motion.room_devices(99)}


def test_the_newest_device_acts_only_once_it_is_bought():
    home = timeline.lively(1)
    name = home.dictionary.devices[home.newcomer].name
    acted = [each.time for each in timeline.behaviors(Wanted(1, 200, motion=0.0, bought=0.5)) if each.device == name]
    first = datetime.fromtimestamp(min(acted), home.clock).date()
    assert first >= date(2024, 1, 1) + timedelta(days=100)
    assert name not in {each.device for each in timeline.behaviors(Wanted(1, 200, motion=0.0, bought=1.0))}


def test_a_sensor_says_detected_and_clear_in_turn(lived):
    said = defaultdict(list)
    for each in lived:
        if each.device in {motion.sensor_of(room) for room in rooms.ROOMS}:
            said[each.device].append(each.control)
    turns = [one != other for controls in said.values() for one, other in pairwise(controls)]
    assert all(turns)  # and where a report is lost, the next that tells nothing new is no behavior


def test_lamps_are_for_the_dark(lived):
    zone = timeline.lively(1).clock
    lamps = {motion.lamp_of(room) for room in rooms.ROOMS}
    hours = Counter(datetime.fromtimestamp(each.time, zone).hour for each in lived
                    if each.device in lamps and each.control == motion.ON)  # fmt: skip
    assert hours.total() > 100
    assert sum(hours[hour] for hour in range(11, 15)) < 0.02 * hours.total()


def test_the_seasons_change_as_the_year_goes():
    found = timeline.behaviors(Wanted(1, 366, motion=0.0))
    home = timeline.lively(1)
    kinds = {each.name: each.kind for each in home.dictionary.devices.values()}
    months = defaultdict(Counter)
    for each in found:
        months[datetime.fromtimestamp(each.time, UTC).month][kinds[each.device]] += 1
    assert months[7]["fan"] > 0 == months[1]["fan"]


def test_somebody_is_in_one_place_at_a_time():
    home = timeline.lively(1)
    stretch = Stretch.of(home, Scene(), date(2024, 3, 4), 14, 0)
    found = rooms.stays(0, home.people[0], stretch.calendar, [], np.random.default_rng(0))
    assert found[0].begin == 0.0
    assert found[-1].end == pytest.approx(14 * 24.0)
    assert all(one.end == other.begin and one.begin < one.end for one, other in pairwise(found))
    asleep = sum(each.end - each.begin for each in found if not each.awake) / 14
    assert 5.0 < asleep < 11.0


@pytest.mark.parametrize("before", rooms.ROOMS)
@pytest.mark.parametrize("after", rooms.ROOMS)
def test_rooms_are_entered_through_the_hall_and_the_landing(before, after):
    way = rooms.crossed(before, after)
    assert set(way) <= {rooms.HALL, rooms.LANDING} - {before, after}
    assert way == rooms.crossed(after, before)[::-1]


def test_a_longer_hold_says_less_and_the_wanted_one_is_found():
    moved = {"Hall": sorted(np.random.default_rng(0).uniform(0.0, 200.0, 3000).tolist())}
    counts = [len(motion.sensed(moved, hold)) for hold in (0.01, 0.05, 0.2)]
    assert counts == sorted(counts, reverse=True)
    wanted = counts[1]
    assert abs(len(motion.sensed(moved, motion.hold_for(moved, wanted))) - wanted) < 0.02 * wanted


def test_what_is_written_is_read_back(tmp_path):
    wanted = Wanted(1, 100, start=date(2024, 2, 1), motion=0.0)
    count = timeline.write(tmp_path / "home.jsonl", wanted)
    told = timelines.read(tmp_path / "home.jsonl")
    assert count == len(told.behaviors)
    assert list(told.behaviors) == timeline.behaviors(wanted)
    clock = timeline.lively(1).clock  # summer time began meanwhile
    for each in told.behaviors:
        here, there = (datetime.fromtimestamp(each.time, zone) for zone in (told.zone, clock))
        assert here.replace(tzinfo=None) == there.replace(tzinfo=None)
