"""What MQTT devices say, dialect by dialect, as events. Pure: a message in, events or a MessageError out."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from edge.core.devices import Device
from edge.core.events import Event, Message
from edge.dialects.generic import Generic
from edge.dialects.zigbee2mqtt import Zigbee2Mqtt


class Dialect(Protocol):
    """One source of messages."""

    def topics(self) -> list[str]:
        """Return the topic filters to subscribe to."""

    def events(self, message: Message) -> list[Event]:
        """Return what a message reports, [] for one about the source itself; raises MessageError with a reason."""


class Source(Protocol):
    """What the settings say of a source: the name of its dialect and what to build it with."""

    @property
    def dialect(self) -> str:
        """One of DIALECTS."""

    def options(self) -> Mapping[str, Any]:
        """Return the keyword arguments of the dialect."""


DIALECTS: Mapping[str, Callable[..., Dialect]] = {"generic": Generic, "zigbee2mqtt": Zigbee2Mqtt}


def build(sources: Iterable[Source], known: Iterable[Device] = ()) -> list[Dialect]:
    """Build the dialects of a settings' sources; `known`: the devices heard of before this process."""
    devices = tuple(known)
    return [DIALECTS[source.dialect](**source.options(), known=devices) for source in sources]
