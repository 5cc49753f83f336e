"""Tasmota, with any FullTopic: `stat/lamp/POWER`, `home/lamp/tele/STATE`. A device is its topic, never its name.

An act arrives as POWER and again within RESULT: both say the same property. What `tele` repeats every few minutes
is known and never behavior, but a SENSOR report of its own (a switch in SwitchMode 15) is. Names come from
`tasmota/discovery`. Not read: `cmnd` (what is asked for, groups too), RfReceived and IrReceived (one press is several
codes, and a neighbor's are among them), ZbReceived (zigbee2mqtt tells more). Source: the documentation of Tasmota
(MQTT, Buttons and Switches, Tasmota-Discovery).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from edge.core.devices import Device, kind_of
from edge.core.errors import MessageError
from edge.core.events import Event, Message
from edge.core.recent import Recent
from edge.dialects.guard import Guard
from edge.dialects.payloads import LONGEST_NAME, allow, document, parsed, shortened, text, word
from edge.dialects.properties import Act, act, reported
from edge.dialects.topics import Template

PREFIX, DEVICE = "%prefix%", ("%topic%", "%id%", "%hostname%")
_TELE = ("LWT", "STATE", "SENSOR")
_PERIOD = 5.0  # seconds within which the periodic SENSOR follows the periodic STATE
_NUMBERED = re.compile(r"(POWER|DIMMER|SHUTTER|SWITCH|BUTTON|FANSPEED)(\d{0,2})")
_RELAYS = {2: "light", 3: "blind"}  # `rl` of the discovery message


class Tasmota:
    """Every Tasmota device with the same FullTopic and prefixes."""

    def __init__(
        self,
        full_topic: str = "%prefix%/%topic%/",
        *,
        stat: str = "stat",
        tele: str = "tele",
        discovery: str = "tasmota/discovery",
        exclude: Iterable[str] = (),
    ) -> None:
        self._template = Template(full_topic.strip("/"), (PREFIX, *DEVICE))
        self._stat, self._tele = stat, tele
        self._discovery = discovery.strip("/") + "/"
        self._exclude = tuple(exclude)
        self._known: dict[str, Device] = {}  # by topic: from before this process
        self._discovered: Recent[str, Device] = Recent()
        self._guard = Guard()
        self._period: Recent[str, float] = Recent()  # when a device last sent its periodic STATE

    def topics(self) -> list[str]:
        """Return the filters to subscribe to."""
        results = self._template.filter("+", {PREFIX: self._stat})
        telemetry = [self._template.filter(each, {PREFIX: self._tele}) for each in _TELE]
        return [results, *telemetry, f"{self._discovery}+/config"]

    def matches(self, topic: str) -> bool:
        """Tell whether a topic is one of these devices'."""
        return self._discovers(topic) or self._placed(topic) is not None

    def know(self, devices: Iterable[Device]) -> None:
        """Take in devices known from before: they keep their names until they are discovered."""
        self._known = {device.id: device for device in devices}

    def described(self) -> list[Device]:
        """Return the devices that were discovered."""
        return list(self._discovered.values())

    def events(self, message: Message) -> list[Event]:
        """Return what a message reports; raises MessageError with the reason it reports nothing."""
        if self._discovers(message.topic):
            self._discover(document(message))
            return []
        placed = self._placed(message.topic)
        if placed is None:
            raise MessageError("unknown topic")
        periodic, topic, what = placed
        topic = word(topic, LONGEST_NAME)
        device = self._discovered.get(topic) or self._known.get(topic) or Device(topic, topic, kind_of(topic))
        if what == "LWT":
            self._guard.up(topic, message)
            return []
        allow(self._exclude, device.id, device.name)
        said = text(message)
        value = parsed(said) if said[0] == "{" else said
        fields = {what: value} if isinstance(value, str) or {"Action", "ACTION"} & value.keys() else value
        live = self._guard.live(topic, message) and not (periodic and self._repeats(topic, what, message))
        return reported(_acts(fields), device, message.time, live=live)

    def _discovers(self, topic: str) -> bool:
        return topic.startswith(self._discovery) and topic.endswith("/config")

    def _placed(self, topic: str) -> tuple[bool, str, str] | None:
        """Return (telemetry or not, the device's topic, what is said) of a topic."""
        read = self._template.read(topic)
        if read is None or len(read[1]) != 1:
            return None
        values, (what,) = read
        prefix = values.get(PREFIX)
        named = "/".join(values[mark] for mark in DEVICE if mark in values)
        if prefix == self._stat:
            return False, named, what
        return (True, named, what) if prefix == self._tele and what in _TELE else None

    def _repeats(self, topic: str, what: str, message: Message) -> bool:
        """Tell whether telemetry is the periodic kind: STATE, and the SENSOR behind it."""
        if what == "STATE":
            self._period[topic] = message.time
        return message.time - self._period.get(topic, float("-inf")) < _PERIOD

    def _discover(self, fields: Mapping[str, Any]) -> None:
        topic, name = fields.get("t"), fields.get("dn")
        if not isinstance(topic, str) or not isinstance(name, str):
            raise MessageError("malformed")
        topic = word(topic, LONGEST_NAME)
        shown = shortened(name) or topic
        self._discovered[topic] = Device(topic, shown, _kind(shown, fields))


def _kind(name: str, fields: Mapping[str, Any]) -> str:
    """Return the class: what its owner calls it or its relays, else what they are, else its module."""
    called, relays = fields.get("fn"), fields.get("rl")
    names = [name, *(str(each) for each in (called if isinstance(called, list) else []) if each)]
    found = [kind for each in names if (kind := kind_of(each)) != "other"]
    found += [
        _RELAYS[each]
        for each in (relays if isinstance(relays, list) else [])
        if isinstance(each, int) and each in _RELAYS
    ]
    return (found or [kind_of(str(fields.get("md", "")))])[0]


def _acts(fields: Mapping[str, Any]) -> list[Act]:
    """Return what of a report somebody does; a relay that goes off tells no brightness."""
    off = any(value == "OFF" for name, value in fields.items() if name.upper().startswith("POWER"))
    found: list[Act | None] = []
    for name, value in fields.items():
        parts = _NUMBERED.fullmatch(name.upper())
        if parts is None or value is None or (off and parts[1] == "DIMMER"):
            continue
        place = "" if parts[2] in {"", "1"} else f" {int(parts[2])}"
        found.append(_act(parts[1].lower(), place, value))
    return [each for each in found if each is not None]


def _act(what: str, place: str, value: Any) -> Act | None:
    """Return the act of one field, None where it is only on its way or no act."""
    if what in {"switch", "button"} and isinstance(value, dict):
        action = value.get("Action", value.get("ACTION"))
        if action is None:
            return None
        pressed = word(action)
        state = what == "switch" and pressed in {"ON", "OFF"}
        return Act(f"{what}{place}", pressed if state else pressed.lower(), momentary=not state)
    if what == "shutter" and isinstance(value, dict):
        if value.get("Direction"):  # it moves: where it stops is what was wanted
            return None
        said = act("position", value.get("Position"))
        return Act(f"position{place}", said) if said is not None else None
    if what == "dimmer":
        said = act("level", value)
    elif what == "fanspeed":
        said = word(value) if not isinstance(value, bool) else None
    else:
        said = value if value in ("ON", "OFF") and what in {"power", "switch"} else None
    return Act(f"{what}{place}", said) if said is not None else None
