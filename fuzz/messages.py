"""What arrives over MQTT: payloads of every dialect as conversations, and what people and programs ask.

A line of an input is one message, `how TAB topic TAB payload`: `how` holds the seconds since the line before, `r` for
retained, `d` for sent again.
"""

from collections.abc import Iterator
from typing import Any

from edge.core.devices import Device
from edge.core.discovery import form_for
from edge.core.errors import MessageError, SettingsError
from edge.core.events import Message
from edge.core.scenes import Scene
from edge.dialects import Dialects
from edge.dialects.esphome import EspHome
from edge.dialects.generic import Generic
from edge.dialects.payloads import REASONS
from edge.dialects.shelly import Shelly
from edge.dialects.statestream import Statestream
from edge.dialects.tasmota import Tasmota
from edge.dialects.zigbee2mqtt import Zigbee2Mqtt
from edge.requests import Requests
from edge.scenery import Scenery
from edge.sections import Home
from fuzz import sound

NOON = 1_767_960_000.0  # 2026-01-09 12:00 UTC: when a conversation begins
MOST = 20  # messages of a conversation
KNOWN = (
    Device("0x00158d0001a2b3c4", "hall/lamp", "light"),
    Device("shellyplus1-a8032abe54dc", "desk", "switch"),
    Device("light.hall", "Hall lamp", "light"),
)
_HOME = Home(person_topic="people", latitude=48.0)
_ASKING = frozenset({"replayed request", "oversized", "not utf-8", "unknown request", "malformed"})


def conversation(data: bytes) -> Iterator[Message]:
    """Yield the messages an input tells, as a broker may hand them over."""
    time = NOON
    for row in data.split(b"\n", MOST)[:MOST]:
        how, _, rest = row.partition(b"\t")
        topic, _, payload = rest.partition(b"\t")
        name = topic.decode("utf-8", "replace")
        if not name or set(name) & set("+#\0"):
            continue  # no broker takes such a topic
        wait = bytes(char for char in how if 48 <= char < 58)[:6]
        time += int(wait or 0)
        yield Message(name, payload, time, retained=b"r" in how, duplicate=b"d" in how, mid=1)


def _heard(sources: Dialects, data: bytes) -> None:
    sources.know(KNOWN)
    lived = False  # whether a message was not one the broker had kept: a state may wait for what it means
    for message in conversation(data):
        lived |= not message.retained
        if not sources.matches(message.topic):
            continue
        try:
            found = sources.events(message)
        except MessageError as error:
            assert error.reason in REASONS, error.reason
            continue
        sound.events(found)
        assert lived or not any(event.live for event in found), found
        assert len(found) <= len(message.payload) + 3, "more events than the payload has bytes"
    for each in sources.described():
        sound.device(each)


def bridges(data: bytes) -> None:
    """Read what a zigbee2mqtt bridge and Home Assistant say of many devices."""
    _heard(Dialects([Zigbee2Mqtt(exclude=["secret*"]), Statestream(exclude=["secret*"])]), data)


def devices(data: bytes) -> None:
    """Read what devices with firmware of their own say."""
    own = [Tasmota(), EspHome(), EspHome("{device}"), Shelly(), Generic("home/{device}/{property}"), Generic("home")]
    _heard(Dialects([*own, Generic("button/{device}", momentary=True)]), data)


class _Facts:
    """Facts that outlive nothing."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def fact(self, key: str, default: Any) -> Any:
        return self._kept.get(key, default)

    def set_fact(self, key: str, value: Any) -> None:
        self._kept[key] = value


def requests(data: bytes) -> None:
    """Read what is asked of the agent, who is at home, and Home Assistant's version."""
    asked = Requests("sceneshift")
    scenery = Scenery(_Facts(), _HOME, notice=True)
    for message in conversation(data):
        if scenery.concerns(message):
            scenery.hear(message)
            scenery.noticed(message.time, [])
        elif message.topic.endswith("version"):
            assert form_for(message.payload.decode("utf-8", "replace")) in {None, "device", "entities"}
        elif asked.concerns(message):
            _asked(asked, scenery, message)


def _asked(asked: Requests, scenery: Scenery, message: Message) -> None:
    try:
        found = asked.read(message)
    except MessageError as error:
        assert error.reason in _ASKING, error.reason
        return
    except SettingsError as error:
        str(error).encode()
        return
    for text in (found.device, found.verdict, found.mode, found.transaction, str(found.scene or "")):
        text.encode()
    assert abs(found.minutes) < 2**53
    assert abs(found.number) < 2**53
    assert found.alert >= 0
    asked.answer(found.what, {"asked": found.device}, transaction=found.transaction)[1].encode()
    if found.scene is not None:
        assert Scene.parse(str(found.scene)) == found.scene, found.scene
        scenery.settle(found.scene)
        assert str(Scene.parse(str(scenery.scene))) == str(scenery.scene), scenery.scene
