"""Any topics a template describes: `home/{device}/{property}` with a plain value, or JSON with a control or a value."""

from collections.abc import Iterable
from typing import Any

from edge.core.devices import Device
from edge.core.errors import MessageError
from edge.core.events import Event, Message
from edge.dialects.payloads import LONGEST_NAME, allow, instant, parsed, text, word
from edge.dialects.properties import ACTS, act, base
from edge.dialects.topics import Template

DEVICE, PROPERTY = "{device}", "{property}"


class Generic:
    """A topic template. A device is what the topic, or the JSON key `device_key`, calls it: that name is its id."""

    def __init__(
        self,
        topic: str,
        *,
        momentary: bool = False,
        time_key: str = "t",
        value_key: str = "value",
        control_key: str = "control",
        device_key: str = "device",
        exclude: Iterable[str] = (),
    ) -> None:
        self._template = Template(topic, (DEVICE, PROPERTY))
        self._momentary = momentary
        self._time_key = time_key
        self._value_key = value_key
        self._control_key = control_key
        self._device_key = device_key
        self._exclude = tuple(exclude)

    def topics(self) -> list[str]:
        """Return the one filter to subscribe to."""
        return [self._template.filter()]

    def matches(self, topic: str) -> bool:
        """Tell whether a topic fits the template."""
        read = self._template.read(topic)
        return read is not None and not read[1]

    def know(self, devices: Iterable[Device]) -> None:
        """Nothing to remember: the topic itself names the device."""

    def described(self) -> list[Device]:
        """No message describes devices here."""
        return []

    def events(self, message: Message) -> list[Event]:
        """Return what a message reports; raises MessageError with the reason it reports nothing."""
        read = self._template.read(message.topic)
        if read is None or read[1]:
            raise MessageError("unknown topic")
        placed = read[0]
        said = text(message)
        value = parsed(said) if said[0] in '{["' else said
        fields = value if isinstance(value, dict) else {}
        named = placed.get(DEVICE) or fields.get(self._device_key)
        if named is None:
            raise MessageError("unknown device")
        device = word(named, LONGEST_NAME)
        allow(self._exclude, device)
        time = instant(fields[self._time_key]) if self._time_key in fields else message.time
        found = self._found(placed.get(PROPERTY, ""), value)
        return [
            Event(time, device, device, prop, said, momentary=momentary, live=not message.retained)
            for prop, said, momentary in found
        ]

    def _found(self, prop: str, value: Any) -> list[tuple[str, str, bool]]:
        """Return (property, value, momentary) of what is an act; raises MessageError where nothing is."""
        if isinstance(value, dict):
            if self._control_key in value:
                return [("", word(value[self._control_key]), True)]
            if self._value_key not in value:
                return self._listed(value)
            value = value[self._value_key]
        if self._momentary:
            return [(prop, word(value), True)]
        said = act(prop or "state", value)
        if said is None:
            raise MessageError("no behavior property")
        return [(word(prop or "state"), said, False)]

    def _listed(self, fields: dict[str, Any]) -> list[tuple[str, str, bool]]:
        """Take an object's known properties, `{"state": "ON", "power": 4}`, as zigbee2mqtt's dialect does."""
        found = [(name, act(name, value), self._momentary) for name, value in fields.items() if base(name) in ACTS]
        told = [(word(name), said, momentary) for name, said, momentary in found if said is not None]
        if not told:
            raise MessageError("no behavior property")
        return told
