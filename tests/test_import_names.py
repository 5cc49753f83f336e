"""What is imported and what is heard live are the same devices and controls: one change, told by both ways."""

import json
from datetime import UTC

import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from edge.core.behaviors import States
from edge.core.errors import MessageError, SettingsError
from edge.core.events import Message
from edge.dialects.statestream import Statestream
from edge.dialects.zigbee2mqtt import Zigbee2Mqtt
from edge.importers import Wanted, opened
from edge.importers.naming import Names
from edge.importers.registry import Exposed, beside, zigbee
from edge.importing import Importing, Rules
from edge.settings import Settings
from edge.sources import StatestreamSource, Zigbee2MqttSource
from edge.store import Store
from tests.recorders import sqlite
from tests.test_import import lived

NOW = 1.75e9
ADDRESS = "0x00158d0001a2b3c4"
BASE = "home/zigbee 2"


def registry(folder, *entities, base=BASE, name="Hall thing"):
    """Write Home Assistant's registries: (entity id, feature) of one zigbee2mqtt device, and others beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"entity_id": entity, "unique_id": f"{ADDRESS}_{feature}_{base}", "platform": "mqtt", "device_id": "d1"}
        for entity, feature in entities
    ]
    rows += [
        {"entity_id": "light.group", "unique_id": f"1_light_{base}", "platform": "mqtt", "device_id": "d2"},
        {"entity_id": "light.hue", "unique_id": "00:17:88:01-0b", "platform": "hue", "device_id": None},
        "nonsense",
    ]
    devices = [{"id": "d1", "name": name, "name_by_user": None}, {"id": "d2"}, 7]
    for file, what, each in (("entity", "entities", rows), ("device", "devices", devices)):
        (folder / f"core.{file}_registry").write_text(json.dumps({"version": 1, "data": {what: each}}))
    return folder / "core.entity_registry"


def live(messages, feature="light"):
    """Return (device, control) of what the bridge's own dialect makes of messages."""
    bridge = Zigbee2Mqtt(BASE)
    about = [{"ieee_address": ADDRESS, "friendly_name": "Hall thing", "type": "Router", "definition": None}]
    bridge.events(Message(f"{BASE}/bridge/devices", json.dumps(about).encode(), NOW, retained=True))
    states, found = States(), []
    for at, fields in enumerate(messages):
        try:
            events = bridge.events(Message(f"{BASE}/Hall thing", json.dumps(fields).encode(), NOW + at))
        except MessageError:
            events = []
        found += [(each.device, each.control) for event in events if (each := states.behavior(event))]
    return found


def past(entity, feature, told, *, known=()):
    """Return (device, control) of what its entity's recorded states make."""
    exposed = {entity: Exposed(next(iter(_devices(entity, feature))), feature, BASE)}
    names, states, found = Names(exposed, streamed=False, known=known), States(), []
    for at, (state, attributes) in enumerate(told):
        try:
            events = names.events(entity, state, json.dumps(attributes), NOW + at)
        except MessageError:
            events = []
        found += [(each.device, each.control) for event in events if (each := states.behavior(event))]
    return found


def _devices(entity, feature):
    from edge.core.devices import Device

    yield Device(ADDRESS, "Hall thing", "other")


DOOR, ON, OFF = {"device_class": "door"}, ("on", {}), ("off", {})
SAME = {  # entity, feature; what the bridge sent; what Home Assistant recorded of it
    "a lamp": (
        "light.hall", "light",
        [{"state": "OFF", "brightness": 10}, {"state": "ON", "brightness": 254}, {"state": "ON", "brightness": 100},
         {"state": "OFF", "brightness": 100}],
        [("off", {"brightness": None}), ("on", {"brightness": 255}), ("on", {"brightness": 100}), OFF],
    ),
    "a second end": ("light.hall", "light_l2", [{"state_l2": "ON"}, {"state_l2": "OFF"}], [ON, OFF]),
    "a plug": ("switch.hall", "switch", [{"state": "OFF"}, {"state": "ON"}], [OFF, ON]),
    "a left switch": ("switch.hall", "switch_left", [{"state_left": "OFF"}, {"state_left": "ON"}], [OFF, ON]),
    "a setting": ("switch.hall", "led", [{"led": "OFF"}, {"led": "ON"}], [OFF, ON]),
    "a door": (
        "binary_sensor.hall", "contact",
        [{"contact": True}, {"contact": False}, {"contact": True}], [("off", DOOR), ("on", DOOR), ("off", DOOR)],
    ),
    "motion": ("binary_sensor.hall", "occupancy", [{"occupancy": False}, {"occupancy": True}], [OFF, ON]),
    "water": ("binary_sensor.hall", "water_leak", [{"water_leak": False}, {"water_leak": True}], [OFF, ON]),
    "vibration": ("binary_sensor.hall", "vibration", [{"vibration": False}, {"vibration": True}], [OFF, ON]),
    "a battery": ("binary_sensor.hall", "battery_low", [{"battery_low": False}, {"battery_low": True}], [OFF, ON]),
    "a lock": (
        "lock.hall", "lock",
        [{"state": "LOCK", "lock_state": "locked"}, {"state": "UNLOCK", "lock_state": "unlocked"}],
        [("locked", {}), ("unlocking", {}), ("unlocked", {})],
    ),
    "a child lock": (
        "lock.hall", "child_lock", [{"child_lock": "LOCK"}, {"child_lock": "UNLOCK"}],
        [("locked", {}), ("unlocked", {})],
    ),
    "a blind": (
        "cover.hall", "cover",
        [{"position": 0, "state": "CLOSE"}, {"position": 50, "state": "OPEN"}, {"position": 100, "state": "OPEN"}],
        [("closed", {"current_position": 0}), ("opening", {"current_position": 0}),
         ("open", {"current_position": 50}), ("open", {"current_position": 100})],
    ),
    "a gate": (
        "cover.hall", "cover", [{"state": "CLOSE"}, {"state": "OPEN"}], [("closed", {}), ("opening", {}), ("open", {})],
    ),
    "a fan": (
        "fan.hall", "fan", [{"fan_state": "OFF", "fan_mode": "off"}, {"fan_state": "ON", "fan_mode": "high"}],
        [("off", {"preset_mode": "off"}), ("on", {"preset_mode": "high"})],
    ),
    "a thermostat": (
        "climate.hall", "climate",
        [{"system_mode": "heat", "occupied_heating_setpoint": 19, "local_temperature": 18.5, "preset": "eco"},
         {"system_mode": "heat", "occupied_heating_setpoint": 21, "local_temperature": 18.7, "preset": "eco"},
         {"system_mode": "off", "occupied_heating_setpoint": 21, "local_temperature": 19, "preset": "away"}],
        [("heat", {"temperature": 19, "current_temperature": 18.5, "preset_mode": "eco"}),
         ("heat", {"temperature": 21, "current_temperature": 18.7, "preset_mode": "eco"}),
         ("off", {"temperature": 21, "current_temperature": 19, "preset_mode": "away"})],
    ),
    "a remote, by its sensor": (
        "sensor.hall_action", "action", [{"action": "single"}, {"action": ""}, {"action": "hold"}],
        [("single", {}), ("hold", {})],
    ),
    "a remote, by its event": (
        "event.hall_action", "action", [{"action": "single"}, {"action": ""}, {"action": "single"}],
        [("2025-06-15T15:06:39+00:00", {"event_type": "single"}),
         ("2025-06-15T15:06:41+00:00", {"event_type": "single"})],
    ),
    "a choice": (
        "select.hall", "system_mode", [{"system_mode": "auto"}, {"system_mode": "heat"}], [("auto", {}), ("heat", {})],
    ),
    "power": ("sensor.hall", "power", [{"power": 3}, {"power": 50}], [("3", {}), ("50", {})]),
}  # fmt: skip


@pytest.mark.parametrize("what", SAME)
def test_what_a_bridge_sent_and_what_was_recorded_of_it_are_the_same_behaviors(what):
    entity, feature, sent, recorded = SAME[what]
    assert past(entity, feature, recorded) == live(sent)
    assert live(sent) or what in {"a battery", "power", "a setting", "a child lock"}


@examples(deadline=None)
@given(brightness=st.integers(0, 254))
def test_any_brightness_gets_the_same_word_both_ways(brightness):
    sent = [{"state": "ON", "brightness": 1}, {"state": "ON", "brightness": brightness}]
    recorded = [("on", {"brightness": 1}), ("on", {"brightness": round(brightness * 255 / 254)})]
    assert past("light.hall", "light", recorded) == live(sent)


def test_a_setpoint_goes_by_the_name_it_was_heard_by():
    told = [("heat", {"temperature": 19}), ("heat", {"temperature": 22})]
    known = [(ADDRESS, "current heating setpoint 20"), ("0x1", "occupied heating setpoint 20")]
    assert past("climate.hall", "climate", told, known=known) == [(ADDRESS, "current heating setpoint 22")]


STREAMED = {
    "light.hall": [("off", {}), ("on", {})],
    "binary_sensor.door": [("off", {"device_class": "door"}), ("on", {"device_class": "door"})],
    "binary_sensor.battery": [("off", {"device_class": "battery"}), ("on", {"device_class": "battery"})],
    "cover.blind": [("closed", {}), ("opening", {}), ("open", {})],
    "climate.hall": [("heat", {"temperature": 19}), ("heat", {"temperature": 21.4})],
    "media_player.tv": [("standby", {"device_class": "tv"}), ("playing", {"device_class": "tv"})],
    "person.ann": [("home", {}), ("Work", {})],
    "light.all": [("off", {"entity_id": ["light.hall"]}), ("on", {"entity_id": ["light.hall"]})],
    "scene.movie": [("2025-06-15T15:06:40+00:00", {}), ("2025-06-15T15:06:50+00:00", {})],
    "switch.pump": [("off", {}), ("unavailable", {}), ("on", {}), ("off", {})],
    "button.bell": [("2025-06-15T15:00:00+00:00", {}), ("2025-06-15T15:08:20+00:00", {})],
}


@pytest.mark.parametrize("entity", STREAMED)
def test_the_live_stream_and_the_recorder_tell_the_same_of_an_entity(tmp_path, entity):
    recording, stream, states, heard = sqlite(tmp_path / "ha.db"), Statestream("ha"), States(), []
    for step, (state, told_besides) in enumerate(STREAMED[entity]):
        time = NOW + 100.0 * step
        attributes = {**told_besides, "friendly_name": "A thing"}  # always there, and the last
        recording.state(time, entity, state, attributes)
        topic = f"ha/{entity.replace('.', '/')}"
        told = [("state", state), *((name, json.dumps(value)) for name, value in attributes.items())]
        told = [(f"{topic}/{name}", value) for name, value in [*told, ("last_changed", '"x"')]]
        for place, value in told:
            if not stream.matches(place):
                continue
            try:
                events = stream.events(Message(place, value.encode(), time, retained=step == 0))
            except MessageError:
                continue
            heard += [behavior for event in events if (behavior := states.behavior(event))]
    recording.flush()
    settings = Settings(sources=(StatestreamSource(dialect="statestream"),))
    with_store = Store.open(tmp_path / "data")
    Importing(opened(str(tmp_path / "ha.db"), Wanted(UTC), settings, []), with_store, Rules(), NOW + 1e6).run()
    assert lived(with_store) == [(each.time, each.device, each.control) for each in heard]
    with_store.close()
    assert bool(heard) is (entity not in {"binary_sensor.battery", "light.all", "scene.movie"})


def test_through_the_registry_a_renamed_entity_is_its_address(tmp_path):
    path = registry(tmp_path / ".storage", ("binary_sensor.renamed", "contact"), ("sensor.thing_action", "action"))
    recording = sqlite(tmp_path / "home-assistant_v2.db")
    for step, state in enumerate(("off", "on", "unavailable", "on", "off")):
        recording.state(NOW - 900 + step * 60, "binary_sensor.renamed", state, {})
    for step, state in enumerate(("single", "", "double", "")):
        recording.state(NOW - 500 + step, "sensor.thing_action", state, {})
    recording.state(NOW - 100, "light.hue", "off", {})
    recording.state(NOW - 50, "light.hue", "on", {})
    recording.flush()
    settings = Settings(sources=(Zigbee2MqttSource(dialect="zigbee2mqtt", base_topic=BASE),))
    store = Store.open(tmp_path / "data")
    assert beside(tmp_path / "home-assistant_v2.db") == path
    for wanted in (Wanted(UTC), Wanted(UTC, registry=path)):
        reader = opened(str(tmp_path / "home-assistant_v2.db"), wanted, settings, [])
        tally = Importing(reader, store, Rules(), NOW).run()
    assert tally.resumed
    assert [(device, control) for _, device, control in lived(store)] == [
        (ADDRESS, "contact open"), (ADDRESS, "contact closed"), (ADDRESS, "action single"), (ADDRESS, "action double"),
    ]  # fmt: skip
    assert [(each.name, each.kind) for each in store.devices()] == [("Hall thing", "contact")]
    store.close()


def test_groups_and_other_bridges_are_no_devices_of_this_one(tmp_path):
    path = registry(tmp_path, ("light.a", "light"), base="elsewhere")
    assert zigbee(path, [BASE]) == {}
    assert set(zigbee(path, [BASE, "elsewhere"])) == {"light.a"}
    assert zigbee(path, ["elsewhere"])["light.a"].device.name == "Hall thing"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"data": 7}', '{"data": {}}', "\ud800"])
def test_what_is_no_registry_is_said_to_be_none(tmp_path, text):
    (tmp_path / "core.entity_registry").write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(SettingsError, match="is no registry of Home Assistant"):
        zigbee(tmp_path / "core.entity_registry", [BASE])
    with pytest.raises(SettingsError, match="cannot be read"):
        zigbee(tmp_path / "absent", [BASE])


KEYS = st.sampled_from(
    ["brightness", "temperature", "current_position", "device_class", "friendly_name", "entity_id", "event_type"]
)
VALUES = st.floats() | st.integers() | st.just(10**400) | st.text(max_size=9) | st.booleans() | st.none() | st.just([])


@examples(deadline=None)
@given(
    name=st.text(max_size=300) | st.sampled_from(["light.a", "cover.a", "climate.a", "binary_sensor.a", "event.a"]),
    attributes=st.text(max_size=60) | st.dictionaries(KEYS, VALUES, max_size=4).map(json.dumps),
    state=st.text(max_size=300) | st.sampled_from(["on", "off", "open", "heat"]),
)
@example(name="light.a", attributes='{"brightness": NaN}', state="on")
@example(name="light.a", attributes='{"brightness": 1e999}', state="on")
@example(name="light.a", attributes=f'{{"brightness": {10**400}}}', state="on")
def test_any_state_of_any_entity_is_events_or_a_reason(name, attributes, state):
    entity = Exposed(next(_devices("", "")), "light", BASE)
    for names in (Names({name: entity}, streamed=True), Names({}, streamed=True), Names({}, streamed=False)):
        try:
            events = names.events(name, state, attributes, NOW)
        except MessageError:
            continue
        assert all(event.device and event.value and event.live for event in events)


def test_a_registry_of_odd_ids_names_what_it_can(tmp_path):
    path = registry(tmp_path, ("light.hall", "light"))
    entities = json.loads(path.read_text())
    entities["data"]["entities"][0]["device_id"] = ["d1"]
    path.write_text(json.dumps(entities))
    devices = {"data": {"devices": [{"id": ["d1"], "name": "a"}, {"id": {}, "name": "b"}]}}
    (tmp_path / "core.device_registry").write_text(json.dumps(devices))
    assert zigbee(path, [BASE])["light.hall"].device.name == ADDRESS
    (tmp_path / "core.device_registry").write_text('{"data": {"devices": [{"id": "d1", "name": "\\ud800"}]}}')
    with pytest.raises(SettingsError, match="no registry"):
        zigbee(path, [BASE])
