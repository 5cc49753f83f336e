"""What MQTT devices say, dialect by dialect, as events. Pure: a message in, events or a MessageError out."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from edge.core.devices import Device
from edge.core.errors import MessageError
from edge.core.events import Event, Message
from edge.dialects.esphome import EspHome
from edge.dialects.generic import Generic
from edge.dialects.shelly import Shelly
from edge.dialects.statestream import Statestream
from edge.dialects.tasmota import Tasmota
from edge.dialects.zigbee2mqtt import Zigbee2Mqtt


class Dialect(Protocol):
    """One source of messages."""

    def topics(self) -> list[str]:
        """Return the topic filters to subscribe to."""

    def matches(self, topic: str) -> bool:
        """Tell whether a topic is this source's."""

    def know(self, devices: Iterable[Device]) -> None:
        """Take in the devices known from before this process."""

    def described(self) -> list[Device]:
        """Return the devices the source has described, acting or not."""

    def events(self, message: Message) -> list[Event]:
        """Return what a message reports, [] for one about the source itself; raises MessageError with a reason."""


DIALECTS: Mapping[str, Callable[..., Dialect]] = {
    "esphome": EspHome, "generic": Generic, "shelly": Shelly, "statestream": Statestream, "tasmota": Tasmota,
    "zigbee2mqtt": Zigbee2Mqtt,
}  # fmt: skip


def dialect(name: str, options: Mapping[str, Any]) -> Dialect:
    """Build the dialect of a settings' source from its options."""
    return DIALECTS[name](**options)


class Dialects:
    """All sources as one: the first whose topics fit reads the message.

    A source at the root of all topics (`+/light/+/state`) is asked last: others' topics fit it by chance.
    """

    def __init__(self, sources: Iterable[Dialect]) -> None:
        self._sources = tuple(sorted(sources, key=lambda each: any(topic.startswith("+") for topic in each.topics())))

    def topics(self) -> list[str]:
        """Return every filter once."""
        return list(dict.fromkeys(topic for source in self._sources for topic in source.topics()))

    def matches(self, topic: str) -> bool:
        """Tell whether any source has such a topic."""
        return any(source.matches(topic) for source in self._sources)

    def know(self, devices: Iterable[Device]) -> None:
        """Tell every source what is known from before."""
        known = list(devices)
        for source in self._sources:
            source.know(known)

    def described(self) -> list[Device]:
        """Return what every source has described."""
        return [device for source in self._sources for device in source.described()]

    def events(self, message: Message) -> list[Event]:
        """Return what a message reports; raises MessageError with the reason it reports nothing."""
        for source in self._sources:
            if source.matches(message.topic):
                return source.events(message)
        raise MessageError("unknown topic")
