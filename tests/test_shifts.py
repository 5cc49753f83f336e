"""Scene changes to judge by, and who may write for them: what a shift may know, what a column may say."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge.core.dictionary import DatasetNames
from edge.core.errors import SettingsError
from edge.core.scenes import Scene, fault
from edge.core.sequences import LENGTH, Step
from edge.demo.recorded import BEFORE
from edge.sections import Llm
from tests import changes, homes
from trainer.corpus import HELD_OUT
from trainer.evaluate import columns, shifts
from trainer.evaluate.shifts import Shift

DATA = Path(__file__).parents[1].parent / "shared" / "data" / "scene_shift"
recorded_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"RECORDED HOMES ARE MISSING at {DATA}: NOT tested")


@pytest.fixture(scope="module")
def small() -> Shift:
    return changes.small()


@pytest.mark.parametrize("scene", ["spring", "winter", "night", "daytime", "away", "summer+night"])
def test_random_obeys_the_dictionary_and_the_scene(small, scene):
    shift = replace(small, target=Scene.parse(scene))
    drawn = columns.drawn(shift, 60, seed=3)
    for each in drawn:
        assert 1 <= len(each) <= LENGTH
        assert [step.hour for step in each] == sorted(step.hour for step in each)
        for step in each:
            assert (step.device, step.control) in homes.HOME.pairs
            assert fault(step, homes.HOME.kind(step.device), shift.target) is None
    assert drawn == columns.drawn(shift, 60, seed=3)
    assert not drawn or drawn != columns.drawn(shift, 60, seed=4)


def test_random_keeps_to_the_slots_of_the_home(small):
    coarse = replace(small, home=replace(small.home, slots=8))
    assert {step.hour % 3 for each in columns.drawn(coarse, 30, 0) for step in each} == {0}


def test_only_known_columns():
    llm = Llm(count=5)
    assert list(columns.chosen(("ours", "none", "rules"), llm)) == ["rules", "ours"]
    with pytest.raises(SettingsError, match="nonsense"):
        columns.chosen(("rules", "nonsense"), llm)


@recorded_data
@pytest.mark.parametrize("home", ["fr", "sp"])
def test_a_recorded_home_knows_nothing_of_its_target(home):
    names = DatasetNames.parse((DATA / home / "dictionary.json").read_text(encoding="utf-8"))
    spelled = set(names.dictionary().pairs)
    for shift in shifts.recorded(DATA, home):
        lived = {(step.device, step.control) for each in shift.home.sequences for step in each}
        assert shift.home.dictionary.pairs == spelled | lived
        assert shift.home.slots == 8
        assert shift.normal
        assert shift.attack
        assert shift.written
        assert str(shift.source) == BEFORE[shift.name]
        assert str(shift.target) == shift.name
    assert [shift.name for shift in shifts.recorded(DATA.parent, home)] == list(BEFORE)


def test_what_only_the_target_shows_is_not_in_the_dictionary(tmp_path):
    folder = tmp_path / "odd" / "spring"
    folder.mkdir(parents=True)
    document = {"devices": {"Light": 0, "Fan": 1}, "controls": {"Light:on": 0, "Light:off": 1, "None:odd": 2}}
    (tmp_path / "odd" / "dictionary.json").write_text(json.dumps(document), encoding="utf-8")
    for name, control in (("source_train", 0), ("target_normal", 2), ("target_attack", 1), ("gpt4o_synthetic", 9)):
        (folder / f"{name}.jsonl").write_text(json.dumps([[0, 0, 0, control]]) + "\n", encoding="utf-8")
    (shift,) = shifts.recorded(tmp_path, "odd")
    assert shift.home.dictionary.pairs == {("Light", "on"), ("Light", "off")}
    assert shift.normal == ((Step(0, 0, "Light", "None:odd"),),)
    assert shift.written == ((),)  # names a control there is not: kept as a sequence nobody can read


def test_no_home_no_scene(tmp_path):
    with pytest.raises(SettingsError, match="no recorded home"):
        shifts.recorded(tmp_path, "nobody", "spring")
    with pytest.raises(SettingsError, match="no scene is called"):
        shifts.opened(tmp_path, "simulated:1", "doomsday")
    with pytest.raises(SettingsError, match="whole number"):
        shifts.opened(tmp_path, "simulated:x", "spring")


@pytest.mark.parametrize("scene", list(BEFORE))
def test_a_simulated_shift_is_of_a_home_never_trained_on(scene):
    shift = shifts.simulated(3, scene)
    assert int(shift.home_name.removeprefix(shifts.SIMULATED)) >= HELD_OUT
    assert len(shift.home.sequences) >= shifts.LEAST_SOURCE
    assert len(shift.normal) >= shifts.LEAST_TARGET
    kind = shift.home.dictionary.kind
    assert all(fault(step, kind(step.device), shift.target) is None for each in shift.normal for step in each)
    assert all(fault(step, kind(step.device), shift.source) is None for each in shift.home.sequences for step in each)
    forbidden = [any(fault(step, kind(step.device), shift.target) for step in each) for each in shift.attack]
    assert len(shift.attack) == len(shift.normal)
    assert any(forbidden) == (scene != "multiple")  # nothing that one person does is impossible for two
