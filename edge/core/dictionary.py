"""A home's dictionary: its devices and what each can do; and the file form of the published data sets."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from edge.core.devices import Device, kind_of
from edge.core.errors import MessageError
from edge.core.sequences import Sequence, Step

SLOT_HOURS = 3  # the data sets' hour slots


@dataclass(frozen=True)
class Dictionary:
    """The devices of a home by id, and every (device id, control) pair that exists there."""

    devices: Mapping[str, Device]
    controls: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]], known: Iterable[Device] = ()) -> "Dictionary":
        """Build it from pairs; a device nobody described gets its id as name and the class its name suggests."""
        described = {device.id: device for device in known}
        controls = tuple(dict.fromkeys(pairs))
        devices = {name: described.get(name, Device(name, name, kind_of(name))) for name in dict(controls)}
        return cls({**described, **devices}, controls)

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """The pairs, for asking whether one exists."""
        return frozenset(self.controls)

    def kind(self, device: str) -> str:
        """Return a device's class, `other` for one that is not in the dictionary."""
        found = self.devices.get(device)
        return found.kind if found else "other"


def parse_dictionary(text: str) -> Dictionary:
    """Read a dictionary file; raises MessageError where it is none.

    Either a published data set's (see DatasetNames), or ours:
    {"devices": [{"id", "name", "kind"}], "controls": [[device id, control]]}, other keys ignored.
    """
    try:
        document = _loaded(text)
        if isinstance(document["devices"], dict):
            return DatasetNames(document).dictionary()
        devices = [
            Device(str(each["id"]), str(each["name"]), str(each.get("kind") or kind_of(str(each["name"]))))
            for each in document["devices"]
        ]
        return Dictionary.of([(str(device), str(control)) for device, control in document["controls"]], devices)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise MessageError("not a dictionary") from error


def _loaded(text: str) -> Any:
    """Read JSON whose names can be written again: half a character is valid there and no text. Raises ValueError."""
    document = json.loads(text)
    json.dumps(document, ensure_ascii=False).encode()
    return document


class DatasetNames:
    """The ids of a data set's dictionary.json (`days`, `hours`, `devices`, `controls`; SmartGen, MIT, 2025).

    A control there carries its device's name ("Blind:windowShade open"); ours does not repeat it. A
    control that belongs to no device ("None:location" of device Other) keeps its whole name.
    """

    def __init__(self, document: Any) -> None:
        try:
            self.device_ids = {str(name): int(row) for name, row in document["devices"].items()}
            self.control_ids = {str(name): int(row) for name, row in document["controls"].items()}
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise MessageError("not a dictionary") from error
        self._device = {row: name for name, row in self.device_ids.items()}
        self._control = {row: name for name, row in self.control_ids.items()}

    @classmethod
    def parse(cls, text: str) -> "DatasetNames":
        """Read dictionary.json; raises MessageError where it is not one."""
        try:
            return cls(_loaded(text))
        except (ValueError, RecursionError) as error:
            raise MessageError("not JSON") from error

    def step(self, day: int, slot: int, device: int, control: int) -> Step:
        """Name one behavior's ids; raises MessageError for an id the dictionary does not have."""
        if device not in self._device or control not in self._control or not (0 <= day < 7 and 0 <= slot < 8):
            raise MessageError("unknown id")
        name = self._device[device]
        return Step(day, slot * SLOT_HOURS, name, self._control[control].removeprefix(f"{name}:"))

    def ids(self, step: Step) -> list[int]:
        """Return a step's four ids; raises MessageError where the dictionary lacks its device or control."""
        full = f"{step.device}:{step.control}"
        control = self.control_ids.get(full, self.control_ids.get(step.control))
        device = self.device_ids.get(step.device)
        if control is None or device is None:
            raise MessageError("unknown control")
        return [step.day, step.hour // SLOT_HOURS, device, control]

    def sequences(self, text: str) -> list[Sequence]:
        """Read JSON lines, one sequence of [day, slot, device, control] a line; raises MessageError."""
        try:
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
            return [tuple(self.step(*row) for row in sequence) for sequence in rows]
        except (ValueError, TypeError, RecursionError) as error:
            raise MessageError("not sequences") from error

    def lines(self, sequences: Iterable[Sequence]) -> str:
        """Write sequences as the same JSON lines."""
        return "".join(json.dumps([self.ids(step) for step in sequence]) + "\n" for sequence in sequences)

    def dictionary(self, sequences: Iterable[Sequence] = ()) -> Dictionary:
        """Return every pair the names spell, and the odd ones the sequences show."""
        pairs = [
            (device, name.removeprefix(f"{device}:"))
            for name in self.control_ids
            if (device := name.partition(":")[0]) in self.device_ids
        ]
        seen = [(step.device, step.control) for sequence in sequences for step in sequence]
        return Dictionary.of([*pairs, *seen])
