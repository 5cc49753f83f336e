"""Home Assistant's registries: which of its entities are a zigbee2mqtt device, under which name and by which feature.

zigbee2mqtt announces an entity with the unique id `ADDRESS_FEATURE_BASETOPIC`. By it an entity's history, whatever the
entity was renamed to, belongs to the address that the live dialect names the device by.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.core.devices import Device, kind_of
from edge.core.errors import MessageError, SettingsError
from edge.dialects.payloads import parsed, shortened

ENTITIES, DEVICES = "core.entity_registry", "core.device_registry"  # files of `.storage`, beside each other
_KINDS = {  # by an entity's feature or domain, the more telling first; a name that tells wins
    "lock": "door_lock", "cover": "blind", "climate": "thermostat", "fan": "fan", "light": "light",
    "occupancy": "motion", "presence": "presence", "contact": "contact", "water_leak": "leak", "smoke": "smoke",
    "action": "remote", "switch": "switch",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Exposed:
    """What of a zigbee2mqtt device an entity shows."""

    device: Device
    feature: str
    base_topic: str


def beside(database: Path) -> Path | None:
    """Return the registry that belongs to a recorder's file in its usual place, None where there is none."""
    found = database.parent / ".storage" / ENTITIES
    return found if found.is_file() else None


def zigbee(path: Path, base_topics: Iterable[str]) -> dict[str, Exposed]:
    """Read what zigbee2mqtt bridges expose, by entity id. Raises SettingsError where the registry cannot be read."""
    names = _names(path.with_name(DEVICES)) if path.with_name(DEVICES).is_file() else {}
    found: dict[str, tuple[str, str, str, str]] = {}
    for entry in _entries(path, "entities"):
        unique = str(entry.get("unique_id"))
        for base in base_topics:
            address, _, feature = unique.removesuffix(f"_{base}").partition("_")
            if unique.endswith(f"_{base}") and _is_address(address) and feature:
                found[str(entry.get("entity_id"))] = (address, feature, base, str(entry.get("device_id")))
    features: dict[str, set[str]] = {}
    for entity, (address, feature, _, _) in found.items():
        features.setdefault(address, set()).update((feature, entity.partition(".")[0]))
    return {
        entity: Exposed(_device(address, names.get(device, address), features[address]), feature, base)
        for entity, (address, feature, base, device) in found.items()
    }


def _device(address: str, name: str, features: set[str]) -> Device:
    shown = shortened(name) or address
    named = kind_of(shown)
    kinds = (kind for mark, kind in _KINDS.items() if mark in features)
    return Device(address, shown, named if named != "other" else next(kinds, "other"))


def _is_address(text: str) -> bool:
    return text.startswith("0x") and 2 < len(text) <= 18 and all(char in "0123456789abcdefABCDEF" for char in text[2:])


def _names(path: Path) -> dict[str, str]:
    named = ((each.get("id"), each.get("name_by_user") or each.get("name")) for each in _entries(path, "devices"))
    return {key: name for key, name in named if isinstance(key, str) and isinstance(name, str)}


def _entries(path: Path, what: str) -> list[Mapping[str, Any]]:
    try:
        entries = parsed(path.read_text(encoding="utf-8"))["data"][what]
        return [each for each in entries if isinstance(each, dict)]
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (MessageError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path}: is no registry of Home Assistant; it is the file .storage/{ENTITIES} of its configuration"
        ) from error
