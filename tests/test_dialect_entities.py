"""The words of Home Assistant's entities: shared by its live stream and its recorded past."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.devices import KINDS
from edge.core.errors import MessageError
from edge.dialects.entities import chosen, described, entity, grouped, told
from edge.dialects.payloads import LONGEST_NAME, REASONS
from edge.dialects.properties import Act
from tests.reading import outcome


@pytest.mark.parametrize(
    ("entity_id", "state", "sense", "value"),
    [
        ("light.kitchen", "on", "", "on"),
        ("switch.kettle", "off", "outlet", "off"),
        ("binary_sensor.front_door", "on", "door", "open"),
        ("binary_sensor.hall", "off", "motion", "clear"),
        ("binary_sensor.hall", "on", "occupancy", "occupied"),
        ("binary_sensor.sink", "on", "moisture", "wet"),
        ("binary_sensor.door", "on", "lock", "unlocked"),
        ("binary_sensor.washer", "on", "running", "on"),
        ("binary_sensor.something", "on", "", "on"),
        ("cover.blind", "open", "", "open"),
        ("lock.front_door", "jammed", "", "jammed"),
        ("climate.bedroom", "heat_cool", "", "heat_cool"),
        ("fan.attic", "on", "", "on"),
        ("media_player.tv", "playing", "tv", "playing"),
        ("media_player.tv", "standby", "tv", "off"),
        ("vacuum.robot", "docked", "", "docked"),
        ("input_boolean.guests", "on", "", "on"),
        ("input_select.mode", "Movie night", "", "Movie night"),
        ("select.lamp_effect", "rainbow", "", "rainbow"),
        ("person.ada", "home", "", "present"),
        ("person.ada", "Work", "", "absent"),
        ("device_tracker.phone", "not_home", "", "absent"),
        ("humidifier.bedroom", "on", "", "on"),
        ("water_heater.boiler", "eco", "", "eco"),
        ("valve.garden", "closed", "water", "closed"),
        ("siren.attic", "on", "", "on"),
        ("alarm_control_panel.home", "armed_away", "", "armed_away"),
        ("remote.tv", "on", "", "on"),
    ],
)
def test_a_state_in_its_words(entity_id, state, sense, value):
    assert told(entity_id, state, {"device_class": sense}) == Act("state", value)


@pytest.mark.parametrize(
    ("entity_id", "state", "sense"),
    [
        ("sensor.power", "21.5", "power"),
        ("number.level", "3", ""),
        ("update.bridge", "on", "firmware"),
        ("weather.home", "sunny", ""),
        ("sun.sun", "above_horizon", ""),
        ("zone.home", "2", ""),
        ("scene.movie", "2026-11-21T10:00:00+00:00", ""),
        ("script.goodnight", "on", ""),
        ("automation.porch", "on", ""),
        ("binary_sensor.phone", "on", "battery_charging"),
        ("binary_sensor.bridge", "off", "connectivity"),
        ("binary_sensor.bridge", "maybe", "door"),
        ("cover.blind", "opening", ""),
        ("lock.door", "locking", ""),
        ("alarm_control_panel.home", "arming", ""),
        ("light.kitchen", "unavailable", ""),
        ("light.kitchen", "unknown", ""),
        ("event.button", "2026-11-21T10:00:00+00:00", "button"),  # which press is in its attribute
    ],
)
def test_what_is_no_behavior(entity_id, state, sense):
    assert told(entity_id, state, {"device_class": sense}) is None


def test_presses_tell_their_own_time():
    moment = "2026-11-21T10:00:00.250+00:00"
    assert told("input_button.bell", moment, {}) == Act("action", "pressed", momentary=True, at=1795255200.25)
    pressed = told("event.hall", moment, {"event_type": "double"})
    assert pressed == Act("action", "double", momentary=True, at=1795255200.25)
    with pytest.raises(MessageError, match="bad time"):
        told("button.bell", "soon", {})


def test_a_thermostat_is_set_and_nothing_else_of_its_attributes_is_an_act():
    assert chosen("climate.hall", "temperature", 21.4) == Act("setpoint", "21")
    assert chosen("climate.hall", "current_temperature", 21.4) is None
    assert chosen("light.hall", "brightness", 40) is None
    assert chosen("climate.hall", "temperature", "21") is None
    assert chosen("climate.hall", "temperature", True) is None


@pytest.mark.parametrize(
    ("entity_id", "attributes", "name", "kind"),
    [
        ("light.kitchen_door", {}, "kitchen door", "light"),
        ("switch.x1", {"friendly_name": "Kettle"}, "Kettle", "kettle"),
        ("switch.x1", {"device_class": "outlet"}, "x1", "plug"),
        ("binary_sensor.a", {"friendly_name": "Front door"}, "Front door", "contact"),
        ("cover.bedroom_window", {}, "bedroom window", "blind"),
        ("cover.garage_door", {}, "garage door", "garage_door"),
        ("media_player.living_room_tv", {}, "living room tv", "television"),
        ("lock.a", {"friendly_name": "Front door"}, "Front door", "door_lock"),
        ("climate.bedroom", {}, "bedroom", "thermostat"),
        ("person.ada", {"friendly_name": "Ada"}, "Ada", "presence"),
        ("person.an_", {}, "an", "presence"),
        ("select.__", {}, "select.__", "other"),
        ("lock.a", {"friendly_name": "a" * 127 + " b"}, "a" * 127, "door_lock"),
        ("select.mystery", {"friendly_name": "\n\x00"}, "mystery", "other"),
        ("light.a", {"friendly_name": 'Say "hi"\n🛋️/sofa'}, 'Say "hi" 🛋️/sofa', "light"),
    ],
)
def test_which_device_it_is(entity_id, attributes, name, kind):
    device = described(entity_id, attributes)
    assert (device.id, device.name, device.kind) == (entity_id, name, kind)


def test_a_group_stands_for_others():
    assert grouped({"entity_id": ["light.a", "light.b"]})
    assert grouped({"is_hue_group": True})
    assert not grouped({"friendly_name": "A lamp"})


@pytest.mark.parametrize("parts", [("light", "Kitchen"), ("", "x"), ("light", ""), ("light", "a/b"), ("l" * 65, "x")])
def test_what_is_no_entity(parts):
    with pytest.raises(MessageError, match="unknown device"):
        entity(*parts)


DOMAINS = st.sampled_from(
    ["light", "binary_sensor", "event", "button", "climate", "person", "cover", "sensor", "media_player", "nothing"]
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["device_class", "friendly_name", "event_type", "entity_id", "temperature"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=200) | st.lists(st.text(max_size=3)),
)


@given(DOMAINS, st.text(max_size=80) | st.sampled_from(["on", "2026-11-21T10:00:00+00:00"]), ATTRIBUTES)
def test_any_state_is_an_act_or_none_or_a_reason(domain, state, attributes):
    name = f"{domain}.x"
    found = outcome(lambda: [told(name, state, attributes), *(chosen(name, *each) for each in attributes.items())])
    if isinstance(found, str):
        assert found in REASONS
    else:
        assert all(each is None or 0 < len(each.value) <= 64 for each in found)
    device = described(name, attributes)
    assert device.kind in KINDS
    assert 0 < len(device.name) <= LONGEST_NAME
    assert "\n" not in device.name
    assert device.name == device.name.strip()
    assert grouped(attributes) in {True, False}
