"""What is proposed to the language model, for homes and scenes of every kind."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edge.core.compress import Kept
from edge.core.prompts import Pair
from edge.core.proposals import COVERED_SHARE, MOST_JOINING, REPORT, WOKEN_SHARE, proposals, woken
from edge.core.scenes import HEATING, Scene
from edge.core.sequences import LENGTH, hours_between
from tests import homes

LIVED = homes.sequences(60)
SHOWN = [Kept(each, LIVED.count(each), 0.0, "usual") for each in dict.fromkeys(LIVED)]
scenes = st.sampled_from(["winter", "spring", "night", "multiple", "spring+multiple"]).map(Scene.parse)


def proposed(target, count=200, seed=0, source=""):
    return proposals(SHOWN, homes.HOME, (Scene.parse(source) if source else Scene(), target), count, seed)


@given(scenes, st.integers(1, 60), st.integers(0, 5))
def test_as_many_as_asked_for_and_each_can_be_asked(target, count, seed):
    found = proposed(target, count, seed)
    assert len(found) == count
    assert found == proposed(target, count, seed)
    for each in found:
        assert 1 <= len(each.sequence) <= LENGTH
        assert len(each.joining) <= MOST_JOINING
        assert len({device for device, _ in each.joining}) <= 1
        assert not {device for device, _ in each.joining} & {step.device for step in each.sequence}
        assert not any(REPORT.search(control.lower()) for _, control in each.joining)
        assert set(each.joining) <= homes.HOME.pairs


def test_where_a_scene_leaves_nothing_nothing_is_proposed():
    assert proposed(Scene.parse("away")) == []


def test_what_the_scene_forbids_is_cut_out_first():
    for each in proposed(Scene.parse("spring"), 100):
        assert not {homes.HOME.kind(step.device) for step in each.sequence} & HEATING


def test_every_second_sequence_is_joined_by_what_the_season_wakes():
    summer = Scene.parse("summer")
    awake: set[Pair] = set(woken(homes.HOME, summer))
    share = sum(set(each.joining) <= awake and bool(each.joining) for each in proposed(summer, 2000)) / 2000
    assert WOKEN_SHARE - 0.05 < share < WOKEN_SHARE + (1 - WOKEN_SHARE) * COVERED_SHARE + 0.05


def test_nothing_joins_that_the_scene_forbids():
    for each in proposed(Scene.parse("spring"), 500):
        assert not {homes.HOME.kind(device) for device, _ in each.joining} & HEATING


def test_coverage_reaches_every_device_the_scene_allows():
    found = proposed(Scene.parse("night"), 600)
    joined = {device for each in found for device, _ in each.joining}
    assert joined | {step.device for each in found for step in each.sequence} == set(homes.HOME.devices)
    assert sum(bool(each.joining) for each in found) / 600 < COVERED_SHARE + 0.1


def test_a_usual_sequence_is_asked_for_more_often_but_less_than_it_is_lived():
    rare, usual = homes.sequences(2)
    shown = [Kept(usual, 99, 0.0, "usual"), Kept(rare, 1, 0.0, "odd")]
    found = [each.sequence for each in proposals(shown, homes.HOME, (Scene(), Scene.parse("night")), 400, 0)]
    assert 0.5 < found.count(usual) / 400 < 0.99


def test_lives_run_through_each_other_forward_in_time():
    found = [each.sequence for each in proposed(Scene.parse("multiple"), 300, source="single")]
    assert max(len({step.device for step in each}) for each in found) > 1
    for each in found:
        assert len({step.day for step in each}) == 1
        assert all(hours_between(one, other) < 24 for one, other in itertools.pairwise(each))
    same = [each.sequence for each in proposed(Scene.parse("multiple+night"), 100, source="multiple")]
    assert set(same) <= {kept.sequence for kept in SHOWN}
