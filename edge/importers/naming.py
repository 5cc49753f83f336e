"""Recorded states of Home Assistant's entities to events, named as the home's own sources name them live.

An entity of a zigbee2mqtt device becomes that device's: what the bridge has sent is written again from the state and
read by the live dialect. Every other entity is what its live stream makes of it: its own id is the device.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from edge.core.devices import Device
from edge.core.errors import MessageError
from edge.core.events import Event, Message
from edge.dialects import entities
from edge.dialects.payloads import instant, parsed
from edge.dialects.zigbee2mqtt import Zigbee2Mqtt
from edge.importers.bridged import SETPOINT, sent
from edge.importers.past import EXCLUDED, MEASURED, REPLAYED, UNHEARD, digest
from edge.importers.registry import Exposed

GROUP = "of a group, whose members report it"
_CHOSEN = ("temperature", "humidity")  # attributes in which people choose
_ATTRIBUTES = 8192  # texts of attributes kept parsed: they repeat


class Names:
    """Who an entity is.

    `streamed`: entities stand for themselves, as the settings have a source that streams them; `include`: only these
    of them, as globs over id and name, all where it is empty. `known`: pairs recorded live; they tell by which name a
    thermostat's setpoint goes.
    """

    def __init__(
        self,
        exposed: Mapping[str, Exposed],
        *,
        streamed: bool,
        include: Collection[str] = (),
        known: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Nothing is opened."""
        self._exposed = exposed
        self._streamed = streamed
        self._include = tuple(include)
        self._bridges: dict[str, Zigbee2Mqtt] = {}
        for each in exposed.values():
            self._bridges.setdefault(each.base_topic, Zigbee2Mqtt(each.base_topic)).know([each.device])
        self._setpoints = {
            device: control.rpartition(" ")[0].replace(" ", "_") for device, control in known if "setpoint" in control
        }
        self._devices: dict[tuple[str, str, str], Device] = {}
        self.besides = frozenset(name for name, each in exposed.items() if each.feature.startswith("action"))

    def identity(self) -> str:
        """Return a digest of who stands for whom."""
        return digest(
            str(self._streamed), str(self._include), *(f"{name} {each}" for name, each in sorted(self._exposed.items()))
        )

    def device(self, entity: str) -> str | None:
        """Return the device that is out of reach when an entity is, None where that says nothing."""
        each = self._exposed.get(entity)
        if each is not None:
            return None if entity in self.besides else each.device.id
        return entity if self._streamed else None

    def events(self, entity: str, state: str, attributes: str, time: float) -> list[Event]:
        """Return what a state tells; `attributes`: its JSON text. Raises MessageError where it tells nothing."""
        each = self._exposed.get(entity)
        said = _parsed(attributes)
        if each is not None:
            return self._bridged(each, entity.partition(".")[0], state, said, time)
        if not self._streamed:
            raise MessageError(UNHEARD)
        if entities.grouped(said):
            raise MessageError(GROUP)
        entities.entity(*entity.partition(".")[::2])
        acts = [entities.told(entity, state, said), *(entities.chosen(entity, key, said.get(key)) for key in _CHOSEN)]
        found = [act for act in acts if act is not None]
        if not found:
            raise MessageError(MEASURED)
        device = self._described(entity, said)
        if self._include and not any(
            fnmatchcase(name, glob) for name in (entity, device.name) for glob in self._include
        ):
            raise MessageError(EXCLUDED)
        if any(act.at is not None and abs(time - act.at) > entities.LATE for act in found):
            raise MessageError(REPLAYED)
        return [
            Event(time, device.id, device.name, act.prop, act.value, momentary=act.momentary, kind=device.kind)
            for act in found
        ]

    def _described(self, entity: str, attributes: Mapping[str, Any]) -> Device:
        key = (entity, str(attributes.get("friendly_name")), str(attributes.get("device_class")))
        if key not in self._devices:
            self._devices[key] = entities.described(entity, attributes)
        return self._devices[key]

    def _bridged(
        self, each: Exposed, domain: str, state: str, attributes: Mapping[str, Any], time: float
    ) -> list[Event]:
        """Return what the bridge's message, of which this state was made, tells the live dialect."""
        if domain == "event" and abs(time - instant(state)) > entities.LATE:
            raise MessageError(REPLAYED)
        fields = sent(domain, each.feature, state, attributes, self._setpoints.get(each.device.id, SETPOINT))
        topic = f"{each.base_topic}/{each.device.id}"
        return self._bridges[each.base_topic].events(Message(topic, json.dumps(fields).encode(), time))


@lru_cache(maxsize=_ATTRIBUTES)
def _parsed(text: str) -> Mapping[str, Any]:
    """Return the attributes a text holds, none where it holds none that can be read."""
    try:
        found = parsed(text)
    except MessageError:
        return {}
    return found if isinstance(found, dict) else {}
