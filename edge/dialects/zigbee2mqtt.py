"""zigbee2mqtt, 1.x and 2.x: friendly names resolved to addresses, replays of a restarted bridge told apart.

A group's own topic is not read: its members report the same act. Of what the bridge says about itself only
its devices, groups, renames and state are read; `bridge/info` holds its whole configuration, secrets too.
A device that takes over another's name is another device: its address tells them apart.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from edge.core.devices import Device, kind_of
from edge.core.errors import MessageError
from edge.core.events import LARGEST, Event, Message
from edge.core.recent import MOST
from edge.dialects.guard import believed
from edge.dialects.payloads import allow, document, instant, parsed, shortened, text, word
from edge.dialects.properties import ACTS, act, base

GUARD = 5.0  # seconds after the bridge came up in which it re-sends what it had cached, without the retain flag
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{1,16}")
_ABOUT = ("availability", "set", "get")  # topics below a device's own that report no act
_MOVING = {"moving": ("UP", "DOWN"), "motor_state": ("opening", "closing"), "running": (True,)}
_EXPOSED = (
    ("lock", "door_lock"), ("cover", "blind"), ("climate", "thermostat"), ("fan", "fan"), ("light", "light"),
    ("occupancy", "motion"), ("presence", "presence"), ("contact", "contact"), ("water_leak", "leak"),
    ("smoke", "smoke"), ("action", "remote"), ("switch", "switch"), ("temperature", "climate_sensor"),
)  # fmt: skip


class Zigbee2Mqtt:
    """One bridge. It remembers what the bridge said of its devices; everything else is in the message."""

    def __init__(self, base_topic: str = "zigbee2mqtt", *, exclude: Iterable[str] = ()) -> None:
        self._prefix = base_topic.strip("/") + "/"
        self._exclude = tuple(exclude)
        self._devices: dict[str, Device] = {}  # by friendly name and by address
        self._groups: frozenset[str] = frozenset()
        self._online = float("-inf")  # when the bridge last came up

    def topics(self) -> list[str]:
        """Return the one filter to subscribe to: a friendly name may have any number of levels."""
        return [f"{self._prefix}#"]

    def matches(self, topic: str) -> bool:
        """Tell whether a topic is this bridge's."""
        return topic.startswith(self._prefix)

    def know(self, devices: Iterable[Device]) -> None:
        """Take in devices known from before: messages kept by the broker may arrive before the bridge's list."""
        known = [device for device in devices if _ADDRESS.fullmatch(device.id)]
        names = Counter(device.name for device in known)
        for device in known:
            self._devices.setdefault(device.id, device)
            if names[device.name] == 1:  # else one has replaced the other, and only the list tells which
                self._devices.setdefault(device.name, device)

    def described(self) -> list[Device]:
        """Return the bridge's devices as it last described them."""
        return list(dict.fromkeys(self._devices.values()))

    def events(self, message: Message) -> list[Event]:
        """Return what a message reports; raises MessageError with the reason it reports nothing."""
        if not self.matches(message.topic):
            raise MessageError("unknown topic")
        path = message.topic.removeprefix(self._prefix)
        if path.startswith("bridge/"):
            self._hear(path, message)
            return []
        device = self._devices.get(path)
        if device is not None:
            return self._reported(device, message)
        name, _, last = path.rpartition("/")
        if path in self._groups or (last in _ABOUT and (name in self._devices or name in self._groups)):
            return []
        if path.rpartition("/set/")[0] in self._devices:
            return []
        raise MessageError("unknown device")

    def _hear(self, path: str, message: Message) -> None:
        """Take in what the bridge says about itself; nothing of it is an event."""
        if path == "bridge/devices":
            self._devices = _described(_list(message))
        elif path == "bridge/groups":
            self._groups = frozenset(
                str(group["friendly_name"]) for group in _list(message) if "friendly_name" in group
            )
        elif path == "bridge/response/device/rename":
            self._rename(document(message))
        elif path == "bridge/state" and not message.retained:
            said = text(message)  # 2.x: {"state": "online"}; 1.x: online
            state = document(message).get("state") if said.startswith("{") else said
            self._online = message.time if state == "online" else self._online

    def _rename(self, response: dict[str, Any]) -> None:
        """Follow a rename at once: the list that tells it, too, may come behind the first report."""
        data = response.get("data")
        if response.get("status") != "ok" or not isinstance(data, dict):
            return
        before, name = data.get("from"), data.get("to")
        if isinstance(name, str) and isinstance(before, str) and before in self._devices:
            device = self._devices.pop(before)
            named = kind_of(name)
            renamed = Device(device.id, shortened(name) or device.id, device.kind if named == "other" else named)
            self._devices[name] = self._devices[device.id] = renamed

    def _reported(self, device: Device, message: Message) -> list[Event]:
        allow(self._exclude, device.id, device.name)
        fields = document(message)
        seen = _seen(fields.get("last_seen"), message.time)
        time = message.time if seen is None else seen
        replayed = 0 <= message.time - self._online < GUARD and (seen is None or seen < self._online)
        live = not (message.retained or replayed)
        events = [
            Event(time, device.id, device.name, name.replace("_", " "), said, live=live, kind=device.kind)
            for name, said in _acts(fields)
        ]
        if fields.get("action"):  # null and "" only end the action before
            said = word(fields["action"])
            events.append(
                Event(time, device.id, device.name, "action", said, momentary=True, live=live, kind=device.kind)
            )
        if not events:
            raise MessageError("no behavior property")
        return events


def _acts(fields: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (property, words) of what a person does; where two tell the same act, the more telling one."""
    names = {name for name in fields if base(name) in ACTS}
    if "position" in names and any(fields.get(name) in way for name, way in _MOVING.items()):
        names -= {"position", "tilt", "state"}  # a cover on its way: where it stops is what somebody wanted
    if "position" in names:
        names.discard("state")  # a cover's OPEN is any position but closed
    if "state" in names:
        names.discard("lock_state")
        if fields["state"] == "OFF":
            names.discard("brightness")  # fading out is no choice of brightness
    said = ((word(name), act(name, fields[name])) for name in fields if name in names)
    return [(name, value) for name, value in said if value is not None]


def _seen(value: object, arrival: float) -> float | None:
    """Return the bridge's own time of a report, None where it gives none that can be believed."""
    try:
        seen = instant(value)
    except MessageError:
        return None
    return seen if believed(seen, arrival) else None


def _list(message: Message) -> list[dict[str, Any]]:
    value = parsed(text(message, LARGEST))
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise MessageError("malformed")
    return value


def _described(entries: list[dict[str, Any]]) -> dict[str, Device]:
    devices: dict[str, Device] = {}
    for entry in entries[:MOST]:
        address, name = str(entry.get("ieee_address")), entry.get("friendly_name")
        if not _ADDRESS.fullmatch(address) or not isinstance(name, str) or entry.get("type") == "Coordinator":
            continue
        shown = shortened(name) or address
        definition = entry.get("definition")
        device = Device(address, shown, _kind(shown, definition if isinstance(definition, dict) else {}))
        devices[name] = devices[address] = device
    return devices


def _kind(name: str, definition: dict[str, Any]) -> str:
    """Return the class: what its owner calls it, else what it exposes, else what its maker calls it."""
    named = kind_of(name)
    if named != "other":
        return named
    exposes = definition.get("exposes")
    exposed = {
        str(each.get(key)) for each in (exposes if isinstance(exposes, list) else [])
        if isinstance(each, dict) for key in ("type", "name")
    }  # fmt: skip
    made = kind_of(str(definition.get("description", "")))
    for mark, kind in _EXPOSED:
        if mark in exposed:
            # "switch" is also how plugs, valves and heaters say on and off; the maker's words are more telling.
            return made if kind in {"switch", "thermostat"} and made != "other" else kind
    return made
