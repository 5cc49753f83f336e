"""ESPHome over MQTT: `<topic_prefix>/<component>/<object id>/state`, several nodes under one template.

A device is a node, a property its component's object id, with the field where a component has several
(`fan speed level`). After `<topic_prefix>/status` online a node sends all its states again: those are known, not
done. A cover says where it is all the way; what somebody wants is where it stops. A node's friendly name is on
`esphome/discover`. Not read: sensors, numbers and texts (measurements), commands, the log. Source: ESPHome, MQTT
client component.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from edge.core.devices import Device, kind_of
from edge.core.errors import MessageError
from edge.core.events import Event, Message
from edge.core.recent import Recent
from edge.dialects.guard import Guard
from edge.dialects.payloads import LONGEST_NAME, allow, document, parsed, shortened, text, word
from edge.dialects.properties import Act, act, reported
from edge.dialects.topics import Template

DEVICE = "{device}"
_DISCOVER = "esphome/discover/"
# What a component reports that somebody does: its state, and fields with a topic each; by how telling of the device.
_COMPONENTS: dict[str, tuple[str, ...]] = {
    "lock": (),
    "climate": ("mode", "target_temperature", "target_temperature_low", "target_temperature_high", "fan_mode", "preset",
                "away"),
    "cover": ("position", "tilt"),
    "fan": ("speed_level",),
    "valve": ("position",),
    "alarm_control_panel": (),
    "light": (),
    "binary_sensor": (),
    "event": (),
    "switch": (),
    "select": (),
}  # fmt: skip
_KINDS = {
    "lock": "door_lock", "climate": "thermostat", "cover": "blind", "fan": "fan", "valve": "water_valve",
    "alarm_control_panel": "siren", "light": "light", "event": "remote", "switch": "switch",
}  # fmt: skip
_RANKS = {_KINDS.get(component, ""): rank for rank, component in enumerate(_COMPONENTS)}
_SENSES = {  # binary_sensor, by what its name says it senses
    "contact": ("closed", "open"), "window": ("closed", "open"), "garage_door": ("closed", "open"),
    "door_lock": ("locked", "unlocked"), "leak": ("dry", "wet"), "presence": ("absent", "present"),
    "motion": ("clear", "detected"), "smoke": ("clear", "detected"),
}  # fmt: skip
_PASSING = frozenset({"LOCKING", "UNLOCKING", "OPENING", "CLOSING", "NONE", "UNKNOWN", "ARMING", "PENDING"})


class EspHome:
    """Every ESPHome node whose `topic_prefix` fits one template."""

    def __init__(self, topic_prefix: str = "esphome/{device}", *, exclude: Iterable[str] = ()) -> None:
        self._template = Template(topic_prefix.strip("/"), (DEVICE,))
        self._exclude = tuple(exclude)
        self._known: dict[str, Device] = {}  # from before this process
        self._names: Recent[str, str] = Recent()  # friendly names by node
        self._stops: Recent[tuple[str, str], _Stop] = Recent()  # of covers and valves
        self._kinds: Recent[str, tuple[int, str]] = Recent()  # a node's most telling component, and its class
        self._guard = Guard()

    def topics(self) -> list[str]:
        """Return the filters to subscribe to: what nodes measure is not even asked for."""
        states = [self._template.filter(f"{component}/+/state") for component in _COMPONENTS]
        fields = [self._template.filter(f"{component}/+/+/state") for component, has in _COMPONENTS.items() if has]
        return [self._template.filter("status"), *states, *fields, f"{_DISCOVER}+"]

    def matches(self, topic: str) -> bool:
        """Tell whether a topic is one of these nodes'."""
        return self._placed(topic) is not None or _discovered(topic)

    def know(self, devices: Iterable[Device]) -> None:
        """Take in devices known from before, for their names and classes."""
        self._known = {device.id: device for device in devices}

    def described(self) -> list[Device]:
        """No message describes nodes here."""
        return []

    def events(self, message: Message) -> list[Event]:
        """Return what a message reports; raises MessageError with the reason it reports nothing."""
        placed = self._placed(message.topic)
        if placed is None and _discovered(message.topic):
            return self._discover(document(message))
        if placed is None:
            raise MessageError("unknown topic")
        node, rest = word(placed[0], LONGEST_NAME), placed[1]
        if rest == ["status"]:
            if text(message).lower() != "offline":
                self._guard.up(node, message)
            return []
        known = self._known.get(node)
        shown = self._names.get(node) or (known.name if known else node)
        allow(self._exclude, node, shown)
        component, name, part = rest[0], rest[1], rest[2] if len(rest) == 4 else ""
        acts = _acts(component, word(name.replace("_", " ")), part, text(message))
        if component in {"cover", "valve"} and part != "tilt":
            acts = self._stops.setdefault((node, name), _Stop()).acts(acts, part, text(message))
        device = Device(node, shown, self._kind(node, shown, component, name))
        return reported(acts, device, message.time, live=self._guard.live(node, message))

    def _discover(self, fields: dict[str, Any]) -> list[Event]:
        """Take in a node's friendly name."""
        node, name = fields.get("name"), fields.get("friendly_name")
        if isinstance(node, str) and isinstance(name, str) and shortened(name):
            self._names[word(node, LONGEST_NAME)] = shortened(name)
        return []

    def _placed(self, topic: str) -> tuple[str, list[str]] | None:
        """Return the node and the levels behind its prefix; None for a topic that is no node's."""
        read = self._template.read(topic)
        if read is None:
            return None
        values, rest = read
        node = values.get(DEVICE, "/".join(self._template.levels))
        if rest == ["status"]:
            return node, rest
        if len(rest) not in {3, 4} or rest[-1] != "state":
            return None
        fields = _COMPONENTS.get(rest[0])
        return (node, rest) if fields is not None and (len(rest) == 3 or rest[2] in fields) else None

    def _kind(self, node: str, shown: str, component: str, name: str) -> str:
        """Return the class of a node: what it is called, else its most telling component."""
        named = next((kind for each in (shown, node) if (kind := kind_of(each)) != "other"), "")
        if named:
            return named
        if node not in self._kinds and node in self._known:
            kind = self._known[node].kind
            self._kinds[node] = _RANKS.get(kind, _RANKS["switch"]), kind
        rank = list(_COMPONENTS).index(component)
        if rank < self._kinds.get(node, (len(_COMPONENTS), ""))[0]:
            self._kinds[node] = rank, _KINDS.get(component) or kind_of(name)
        return self._kinds[node][1]


@dataclass
class _Stop:
    """Where one cover stops: a position is told before the state that says whether it still moves."""

    moves: bool = False
    last: list[Act] = field(default_factory=list)  # its newest position

    def acts(self, found: list[Act], topic: str, said: str) -> list[Act]:
        """Return what a report of its state or position says somebody wanted."""
        if topic == "position":
            self.last = found
            return [] if self.moves else found
        moved, self.moves = self.moves, said.upper() in {"OPENING", "CLOSING"}
        if self.moves or not self.last:
            return [] if self.moves else found
        return self.last if moved else []


def _discovered(topic: str) -> bool:
    return topic.startswith(_DISCOVER) and topic.count("/") == _DISCOVER.count("/")


def _acts(component: str, name: str, field: str, said: str) -> list[Act]:
    """Return what of a component's state or field somebody does."""
    prop = word(f"{name} {field.replace('_', ' ')}".strip())
    value = parsed(said) if said[0] == "{" else said
    if component == "event":
        pressed = value.get("event_type") if isinstance(value, dict) else value
        return [Act(prop, word(pressed), momentary=True)] if pressed else []
    if isinstance(value, dict):
        return _lit(prop, value) if component == "light" else _covered(prop, value) if component == "cover" else []
    if value.upper() in _PASSING:
        return []
    if component == "select":
        return [Act(prop, word(value))]
    senses = _SENSES.get(kind_of(name)) if component == "binary_sensor" else None
    if senses and value.upper() in {"ON", "OFF"}:
        return [Act(prop, senses[value.upper() == "ON"])]
    known = "setpoint" if field.startswith("target_temperature") else field
    found = act({"speed_level": "fan_mode", "": "state"}.get(known, known), value)
    return [] if found is None else [Act(prop, found)]


def _lit(prop: str, fields: dict[str, Any]) -> list[Act]:
    """Return a light's state and, while it is on, its brightness (0 to 255)."""
    state = fields.get("state")
    found = [Act(prop, word(state))] if state is not None else []
    level = fields.get("brightness")
    shade = act("brightness", level) if isinstance(level, int | float) and state != "OFF" else None
    return [*found, Act(f"{prop} brightness", shade)] if shade is not None else found


def _covered(prop: str, fields: dict[str, Any]) -> list[Act]:
    """Return where a cover that tells all at once stands."""
    state, position = fields.get("state"), fields.get("position")
    if not isinstance(state, str) or state.upper() in _PASSING:
        return []
    where = act("position", position) if isinstance(position, int | float) else None
    return [Act(f"{prop} position", where) if where else Act(prop, word(state))]
