"""Scenes, dictionaries and device classes."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.devices import KINDS, kind_of
from edge.core.dictionary import DatasetNames, Dictionary, parse_dictionary
from edge.core.errors import MessageError, SettingsError
from edge.core.scenes import MODES, OCCUPANCIES, PARTS, SEASONS, Scene, fault, noticed, possible, season_of, valid_runs
from edge.core.sequences import Step
from tests import homes

names = st.one_of(
    st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=12).map(str.strip),
    st.text(alphabet="+:% ab", max_size=8).map(str.strip),
    st.sampled_from(("new-device:x", "removed-device:y", "a+removed-device:b", "100%2B", "winter+night")),
)
scenes = st.builds(
    Scene,
    season=st.sampled_from(("", *SEASONS)),
    part=st.sampled_from(("", *PARTS)),
    occupancy=st.sampled_from(("", *OCCUPANCIES)),
    mode=st.sampled_from(("", *MODES)),
    new_device=names,
    removed_device=names,
)


@given(scenes)
def test_a_scene_is_what_its_name_says(scene):
    if str(scene) == "home":  # nothing known is said like the mode
        return
    assert Scene.parse(str(scene)) == scene


@given(scenes, scenes)
def test_what_is_said_wins_and_a_new_device_is_said_once(before, said):
    now = said.over(before)
    assert now.season == (said.season or before.season)
    assert now.new_device == said.new_device
    assert now.removed_device == said.removed_device


def test_a_scene_that_does_not_exist_lists_those_that_do():
    with pytest.raises(SettingsError, match=r"winter, spring.*new-device:NAME"):
        Scene.parse("monsoon")


@pytest.mark.parametrize(("month", "north", "south"), [(1, "winter", "summer"), (4, "spring", "autumn")])
def test_seasons_turn_at_the_equator(month, north, south):
    assert season_of(date(2025, month, 15), 48.0) == north
    assert season_of(date(2025, month, 15), -33.0) == south


def test_heating_ends_in_spring_and_cooling_in_winter():
    heater, fan = homes.step(0, 7, 4), homes.step(0, 7, 6)
    assert fault(heater, "heater", Scene.parse("spring"))
    assert not fault(heater, "heater", Scene.parse("winter"))
    assert fault(fan, "fan", Scene.parse("winter"))
    lamp = homes.step(0, 8, 0)
    assert valid_runs((heater, lamp, fan, heater, heater, lamp), homes.HOME, Scene.parse("summer")) == [
        (lamp, fan),
        (lamp,),
    ]
    assert valid_runs((heater,), homes.HOME, Scene.parse("summer")) == []


def test_a_removed_device_is_gone_by_id_or_name():
    heater, lamp = homes.step(0, 7, 4), homes.step(0, 8, 0)
    assert fault(lamp, "light", Scene.parse("removed-device:lamp1")) == "the device is gone"
    assert fault(heater, "heater", Scene.parse("winter+removed-device:lamp1")) is None
    for name in ("lamp1", "Hall lamp"):
        gone = Scene(removed_device=name)
        assert valid_runs((heater, lamp, heater), homes.HOME, gone) == [(heater,), (heater,)]
    assert Scene.parse("removed-device:Hall lamp+new-device:x").removed_device == "Hall lamp"
    with pytest.raises(SettingsError):
        Scene.parse("removed-device:")


def test_night_and_away():
    noon, late = homes.step(0, 12, 0), homes.step(0, 23, 0)
    assert fault(noon, "light", Scene.parse("night"))
    assert not fault(late, "light", Scene.parse("night"))
    assert fault(late, "light", Scene.parse("away"))
    assert not fault(late, "camera", Scene.parse("away"))


def test_the_agent_notices_season_people_and_new_devices():
    winter = Scene.parse("winter+single")
    assert noticed(winter, date(2025, 1, 15), 48.0, 1, "") is None
    assert noticed(winter, date(2025, 3, 15), 48.0, None, "") == Scene.parse("spring+single")
    assert noticed(winter, date(2025, 1, 15), 48.0, 3, "") == Scene.parse("winter+multiple")
    assert noticed(winter, date(2025, 1, 15), 48.0, None, "fan1").new_device == "fan1"
    assert noticed(winter, date(2025, 7, 15), None, 1, "") is None  # where the home is, nobody said


def test_classes_by_name():
    told = {
        "AirConditioner": "air_conditioner",
        "Bedroom fan": "fan",
        "LED strip": "light",
        "RemoteController": "remote",
        "Wohnzimmer TV": "television",
        "0x00158d0001": "other",
        "handled": "other",
        "garage lamp": "light",
        "Lamp garage": "light",
        "Garage doors": "garage_door",
        "Garage": "garage_door",
        "Garage plug": "plug",
        "Heater plug": "heater",
        "Light switch": "light",
        "TV remote": "remote",
        "Ceiling fan light": "light",
        "Fan heater": "heater",
        "Radiator valve": "radiator",
        "Smart plug with power meter": "plug",
        "Wireless switch with 4 buttons": "remote",
        "Door and window sensor": "contact",
        "Fridge temperature": "refrigerator",
        "None": "other",
    }
    assert {name: kind_of(name) for name in told} == told


@given(st.text(max_size=40))
def test_every_name_has_a_class(name):
    assert kind_of(name) in KINDS


NOUNS = ("lamp", "heater", "fan", "kettle", "television", "camera", "blind", "oven", "thermostat", "speaker")


@given(st.sampled_from(NOUNS), st.sampled_from(NOUNS), st.sampled_from(("garage", "gate", "pool", "kitchen", "Emma's")))
def test_the_last_noun_decides_and_a_place_does_not(first, last, place):
    assert kind_of(f"{first} {last}") == kind_of(last)
    assert kind_of(f"{place} {last}") == kind_of(f"{last} {place}") == kind_of(last)


@given(st.sampled_from(NOUNS), st.sampled_from(("plug", "switch", "relay", "socket")), st.sampled_from((" ", "_", "-")))
def test_what_switches_a_device_is_of_its_class(noun, carrier, between):
    assert kind_of(f"{noun}{between}{carrier}") == kind_of(noun)
    assert kind_of(f"{noun}s") == kind_of(noun.upper()) == kind_of(noun)


PUBLISHED = '{"devices": {"Lamp": 0, "Other": 1}, "controls": {"Lamp:switch on": 0, "None:location": 1}}'


def test_a_published_dictionary_and_its_sequences_round_trip():
    names = DatasetNames.parse(PUBLISHED)
    text = "[[0, 6, 0, 0], [0, 7, 1, 1]]\n"
    (sequence,) = names.sequences(text)
    assert [(s.device, s.control, s.hour) for s in sequence] == [
        ("Lamp", "switch on", 18),
        ("Other", "None:location", 21),
    ]
    assert names.lines([sequence]) == text
    assert ("Other", "None:location") in names.dictionary([sequence]).pairs
    assert parse_dictionary(PUBLISHED).kind("Lamp") == "light"


@pytest.mark.parametrize("line", ["[[0, 6, 0, 9]]", "[[7, 6, 0, 0]]", "[[0, 6]]", "{", "[[0, 8, 0, 0]]", "[1]"])
def test_sequences_that_are_none_are_refused(line):
    with pytest.raises(MessageError):
        DatasetNames.parse(PUBLISHED).sequences(line)


def test_our_own_dictionary_form():
    text = '{"devices": [{"id": "a", "name": "Bath heater"}], "controls": [["a", "state ON"]]}'
    found = parse_dictionary(text)
    assert isinstance(found, Dictionary)
    assert found.kind("a") == "heater"
    for cut in range(len(text)):
        with pytest.raises(MessageError):
            parse_dictionary(text[:cut])


@pytest.mark.parametrize(
    "text",
    ["[" * 9999, '{"devices": {"a": 1e999}, "controls": {}}', '{"devices": ' + "9" * 5000 + "}",
     '{"devices": [{"id": "a", "name": "\\ud800"}], "controls": []}'],
)  # fmt: skip
def test_what_is_no_dictionary_is_refused(text):
    with pytest.raises(MessageError):
        parse_dictionary(text)
    with pytest.raises(MessageError):
        DatasetNames.parse(text)


@given(scenes)
def test_what_is_possible_is_so_at_some_hour(scene):
    found = set(possible(homes.HOME, scene))
    named = scene.named(homes.HOME)
    for pair in homes.HOME.controls:
        hours = [hour for hour in range(24) if fault(Step(0, hour, *pair), homes.HOME.kind(pair[0]), named) is None]
        assert (pair in found) == bool(hours)


@pytest.mark.parametrize(
    "name", ["removed-device:lamp\t", "removed-device: lamp+winter", "removed-device:a\tnew-device:b"]
)
def test_space_around_a_device_that_is_gone_is_none_of_its_name(name):
    found = Scene.parse(name)
    assert found.removed_device == found.removed_device.strip() != ""
    kept = Scene(removed_device=found.removed_device)
    assert Scene.parse(str(kept)) == kept
    with pytest.raises(SettingsError, match="no scene"):
        Scene.parse("removed-device: +winter")
