"""What Home Assistant is told of us: the same in both forms, topics of our own, commands that are read."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as drawn
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from edge.core.discovery import Place, entities, form_for, messages
from edge.core.events import Message
from edge.requests import WHATS, Requests

PLACE = Place("sceneshift", "home/guard", "homeassistant", "1.0", "http://hub:8765")
FORMS = ("device", "entities")
scenes = st.sampled_from(["winter", "winter+multiple", "home", "summer+away", 'removed-device:a "b" {c}+new-device:é'])


def published(form, place=PLACE, scene="winter"):
    """Return every entity's configuration by its key, whichever form it came in."""
    found = {}
    for topic, payload in messages(form, place, scene).items():
        parts, body = topic.removeprefix(f"{place.discovery}/").split("/"), json.loads(payload)
        if form == "device":
            assert parts == ["device", place.node, "config"]
            shared = {key: value for key, value in body.items() if key != "components"}
            found |= {key: {**shared, **each} for key, each in body["components"].items()}
        else:
            platform, node, key, last = parts
            assert (node, last) == (place.node, "config")
            found[key] = {**body, "platform": platform}
    return found


@drawn(deadline=None)
@given(st.text(min_size=1, max_size=64), scenes)
def test_both_forms_say_the_same_with_ids_of_their_own_and_our_topics_only(client_id, scene):
    place = Place(client_id, "home/guard", "homeassistant", "1.0")
    both = [published(form, place, scene) for form in FORMS]
    assert both[0] == both[1]
    found = both[0].values()
    for unique in ("unique_id", "default_entity_id", "name"):
        assert len({each[unique] for each in found}) == len(found)
    for each in found:
        assert each["default_entity_id"] == f"{each['platform']}.{each['object_id']}"
        assert each["availability_topic"] == "home/guard/availability"
        assert {"identifiers", "name", "sw_version"} <= each["device"].keys()
        assert each["origin"]["name"] == "sceneshift"
        assert all(value.startswith("home/guard/") for key, value in each.items() if key.endswith("_topic"))


@drawn(deadline=None)
@given(st.text(min_size=1, max_size=64), st.text(min_size=1, max_size=64))
def test_two_client_ids_are_two_nodes(one, other):
    nodes = [Place(each, "p", "h", "1").node for each in (one, other)]
    assert (nodes[0] == nodes[1]) == (one == other)


def test_what_can_be_pressed_set_and_picked_is_a_request_that_is_read():
    requests = Requests("home/guard")
    values = {"scene": "spring", "mode": "away", "alarms_per_week": "0.5", "alerts": "OFF"}
    asked = {}
    for key, each in published("device").items():
        if "command_topic" in each:
            payload = each.get("payload_press") or values[key]
            message = Message(each["command_topic"], payload.encode(), 0.0)
            assert requests.concerns(message)
            asked[key] = requests.read(message)
    assert asked.keys() == {*values, "adapt_now", "roll_back", "was_fine", "was_wrong"}
    assert {each.what for each in asked.values()} <= WHATS.keys()
    assert (asked["adapt_now"].what, asked["adapt_now"].scene) == ("adapt", None)
    assert (asked["was_fine"].alert, asked["was_fine"].verdict) == (0, "fine")
    assert (asked["mode"].mode, asked["alarms_per_week"].number, asked["alerts"].on) == ("away", 0.5, False)


def allowed(user, way):
    """Return the topic filters the shipped access list gives a user to "read" or "write"."""
    text = (Path(__file__).parent.parent / "firmware_configs/mosquitto/acl").read_text(encoding="utf-8")
    (section,) = re.findall(rf"^user {user}\n(.*?)(?=^user |\Z)", text, re.MULTILINE | re.DOTALL)
    return [topic for right, topic in re.findall(r"^topic (\w+) (.+)$", section, re.MULTILINE) if way in right]


def test_the_shipped_access_list_lets_us_be_discovered_and_commanded():
    place = Place("sceneshift", "sceneshift", "homeassistant", "1.0")
    told = [topic for form in FORMS for topic in messages(form, place, "winter")]
    asked = [each["command_topic"] for each in published("device", place).values() if "command_topic" in each]
    heard = ["homeassistant/status", "statestream/update/home_assistant_core_update/installed_version"]
    assert asked
    for user, way, topics in (
        ("sceneshift", "write", told), ("sceneshift", "read", heard), ("homeassistant", "write", asked),
        ("homeassistant", "read", told),
    ):  # fmt: skip
        for topic in topics:
            assert any(topic_matches_sub(each, topic) for each in allowed(user, way)), (user, way, topic)
    assert not any(
        topic_matches_sub(each, "homeassistant/light/lamp/config") for each in allowed("sceneshift", "write")
    )


def test_the_present_scene_is_always_one_of_those_to_pick():
    for scene in ("winter", "winter+night+away"):
        options = entities("p", scene, 1.0)["scene"]["options"]
        assert options[0] == scene
        assert len(options) == len(set(options))


@pytest.mark.parametrize(
    ("version", "form"),
    [("2024.10.4", "entities"), ("2024.11.0", "device"), ('"2026.4.1"', "device"), ("2024.3.3", "entities"),
     ("2024.11.0b1", "device"), ("on", None), ("", None), ("12.3", None)],
)  # fmt: skip
def test_a_version_has_its_form(version, form):
    assert form_for(version) == form
