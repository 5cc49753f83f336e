"""Home Assistant's MQTT statestream: `<base>/<domain>/<object id>/state`, and one topic an attribute beside it.

An entity is a device (edge/dialects/entities.py has the words). Its state comes before its attributes, which say
what the state means: it is read once they were heard, or from the second state on where none are published. All
messages are retained, and after its own start Home Assistant sends much again: known, not done; so is the first
state after `unavailable`. Discovery under the same root (`.../config`) is not ours. Source: Home Assistant,
mqtt_statestream.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from edge.core.devices import Device
from edge.core.errors import MessageError
from edge.core.events import Event, Message
from edge.core.recent import Recent
from edge.dialects import entities
from edge.dialects.guard import Guard
from edge.dialects.payloads import LONGEST_NAME, allow, parsed, text
from edge.dialects.properties import reported

_DOMAINS = (  # those with anything somebody does; what the others measure is not even asked for
    "alarm_control_panel", "binary_sensor", "button", "climate", "cover", "device_tracker", "event", "fan",
    "humidifier", "input_boolean", "input_button", "input_select", "lawn_mower", "light", "lock", "media_player",
    "person", "remote", "select", "siren", "switch", "vacuum", "valve", "water_heater",
)  # fmt: skip
_TELLING = frozenset({"device_class", "friendly_name", "event_type", "entity_id", "is_hue_group"})
_LONGEST_STATE = 4 * 255  # bytes: Home Assistant allows 255 characters
_HOME = ""  # stands for Home Assistant itself among what comes up


@dataclass
class _Entity:
    """What was heard of one entity in this process."""

    attributes: dict[str, object] = field(default_factory=dict)
    state: str = ""
    heard: bool = False  # whether its attributes were, or never will be
    waiting: tuple[Message, bool] | None = None  # a state whose meaning is not known yet, and whether it was live
    away: bool = False
    pressed: float | None = None  # when, of the last press


class Statestream:
    """One Home Assistant. `include`: only these entities, as globs over id and name; all where it is empty."""

    def __init__(
        self,
        base_topic: str = "statestream",
        *,
        birth_topic: str = "homeassistant/status",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
    ) -> None:
        self._prefix = base_topic.strip("/") + "/"
        self._birth = birth_topic
        self._include = tuple(include)
        self._exclude = tuple(exclude)
        self._entities: Recent[str, _Entity] = Recent()
        self._names: dict[str, str] = {}  # by id, from before this process
        self._guard = Guard()

    def topics(self) -> list[str]:
        """Return the filters to subscribe to."""
        return [self._birth, *(f"{self._prefix}{domain}/+/+" for domain in _DOMAINS)]

    def matches(self, topic: str) -> bool:
        """Tell whether a topic is this Home Assistant's."""
        return topic == self._birth or self._placed(topic) is not None

    def know(self, devices: Iterable[Device]) -> None:
        """Take in devices known from before: they keep their names until they are heard again."""
        self._names = {device.id: device.name for device in devices}

    def described(self) -> list[Device]:
        """Nothing: only what acts is worth a place among the home's devices."""
        return []

    def events(self, message: Message) -> list[Event]:
        """Return what a message reports; raises MessageError with the reason it reports nothing."""
        if message.topic == self._birth:
            if text(message) == "online":
                self._guard.up(_HOME, message)
            return []
        placed = self._placed(message.topic)
        if placed is None:
            raise MessageError("unknown topic")
        domain, name, what = placed
        if what != "state" and what not in _TELLING and entities.SETPOINTS.get(domain) != what:
            return []
        entity_id = entities.entity(domain, name)
        entity = self._entities.setdefault(entity_id, _Entity())
        if what == "state":
            return self._stated(entity_id, entity, message)
        value = _brief(parsed(text(message)))
        if what in _TELLING:
            return self._described(entity_id, entity, what, value, message)
        act = None if entities.grouped(entity.attributes) else entities.chosen(entity_id, what, value)
        self._allow(entity_id, entity)
        live = self._guard.live(_HOME, message)
        return reported([act] if act else [], self._device(entity_id, entity), message.time, live=live)

    def _placed(self, topic: str) -> tuple[str, str, str] | None:
        """Return (domain, object id, field) of a topic, None where it is another's."""
        levels = topic.removeprefix(self._prefix).split("/")
        if not topic.startswith(self._prefix) or len(levels) != 3 or levels[0] not in _DOMAINS:
            return None
        return None if levels[2] == "config" else (levels[0], levels[1], levels[2])

    def _stated(self, entity_id: str, entity: _Entity, message: Message) -> list[Event]:
        """Read a state; one whose meaning is still to come waits for it."""
        state = text(message, _LONGEST_STATE)
        self._allow(entity_id, entity)
        if state.lower() in entities.AWAY:
            entity.away, entity.waiting = True, None
            return []
        live = self._guard.live(_HOME, message) and not entity.away
        entity.heard |= entity.waiting is not None
        entity.state, entity.away = state, False
        entity.waiting = None if entity.heard and not entity_id.startswith("event.") else (message, live)
        return [] if entity.waiting else self._acted(entity_id, entity, message, live=live)

    def _described(self, entity_id: str, entity: _Entity, what: str, value: object, message: Message) -> list[Event]:
        """Take an attribute in; return the state that waited for it, or the same state in its new words, silently."""
        news = entity.attributes.get(what) != value
        entity.attributes[what] = value
        entity.heard = True
        presses = entity_id.startswith("event.")
        if not entity.state or entities.grouped(entity.attributes) or (presses and what != "event_type"):
            return []
        if entity.waiting and what not in {"friendly_name", "event_type"}:  # the name comes last
            return []
        if entity.waiting:
            (waited, live), entity.waiting = entity.waiting, None
            return self._acted(entity_id, entity, waited, live=live)
        return [] if presses or not news else self._acted(entity_id, entity, message, live=False)

    def _acted(self, entity_id: str, entity: _Entity, message: Message, *, live: bool) -> list[Event]:
        self._allow(entity_id, entity)
        group = entities.grouped(entity.attributes)
        act = None if group else entities.told(entity_id, entity.state, entity.attributes)
        if act is not None and act.momentary:
            at = message.time if act.at is None else act.at
            live = live and at != entity.pressed and abs(message.time - at) < entities.LATE
            entity.pressed = at
        return reported([act] if act else [], self._device(entity_id, entity), message.time, live=live)

    def _device(self, entity_id: str, entity: _Entity) -> Device:
        known = {"friendly_name": self._names.get(entity_id), **entity.attributes}
        return entities.described(entity_id, known)

    def _allow(self, entity_id: str, entity: _Entity) -> None:
        name = self._device(entity_id, entity).name
        allow(self._exclude, entity_id, name)
        if self._include and not any(fnmatchcase(each, glob) for each in (entity_id, name) for glob in self._include):
            raise MessageError("excluded device")


def _brief(value: object) -> object:
    """Return what of an attribute's value is kept: a text in short, of a list only that it is one."""
    if isinstance(value, str):
        return value[: 2 * LONGEST_NAME]
    return [] if isinstance(value, list) else value if isinstance(value, int | float) else None
