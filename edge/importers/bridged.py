"""A state of an entity, written again as the zigbee2mqtt message of which Home Assistant has made it."""

from collections.abc import Callable, Mapping
from typing import Any

SETPOINT = "occupied_heating_setpoint"
_WORDS = {"open": "OPEN", "closed": "CLOSE", "locked": "LOCK", "unlocked": "UNLOCK", "on": "ON", "off": "OFF"}
Fields = dict[str, Any]


def sent(domain: str, feature: str, state: str, attributes: Mapping[str, Any], setpoint: str = SETPOINT) -> Fields:
    """Return the fields of the message; {} for a state on its way.

    `feature`: as the bridge announced it: `contact`, `light_l1`; `setpoint`: the field a thermostat's has.
    """
    if domain == "climate":
        chosen = {"preset": attributes.get("preset_mode"), "fan_mode": attributes.get("fan_mode")}
        return {"system_mode": state, **_told({setpoint: attributes.get("temperature"), **chosen})}
    if domain == "event":
        return {feature: attributes.get("event_type")}
    write = _WRITERS.get(domain)
    return {feature: state} if write is None else write(feature, state, attributes)


def _sensed(feature: str, state: str, _: Mapping[str, Any]) -> Fields:
    """Write a binary sensor; a contact is true where it is closed, and on where it is open."""
    return {feature: (state == "on") != feature.startswith("contact")} if state in {"on", "off"} else {}


def _switched(feature: str, state: str, attributes: Mapping[str, Any]) -> Fields:
    """Write a light, a switch or a lock; what is none of them by its feature is a field of its own, as `child_lock`."""
    main, _, endpoint = feature.partition("_")
    behind = f"_{endpoint}" if endpoint else ""
    name = f"state{behind}" if main in {"light", "switch", "lock"} else feature
    said: Fields = {name: _WORDS[state]} if state in _WORDS else {}
    brightness = attributes.get("brightness")  # of 255 here, of 254 there
    if isinstance(brightness, int | float) and 0 <= brightness <= 255:
        said[f"brightness{behind}"] = round(brightness * 254 / 255)
    return said


def _covered(feature: str, state: str, attributes: Mapping[str, Any]) -> Fields:
    _, _, endpoint = feature.partition("_")
    behind = f"_{endpoint}" if endpoint else ""
    said: Fields = {f"state{behind}": _WORDS[state]} if state in _WORDS else {}
    places = {f"position{behind}": "current_position", f"tilt{behind}": "current_tilt_position"}
    return {**said, **_told({name: attributes.get(key) for name, key in places.items()})}


def _blown(_: str, state: str, attributes: Mapping[str, Any]) -> Fields:
    return {"fan_state": _WORDS.get(state, state), **_told({"fan_mode": attributes.get("preset_mode")})}


def _told(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if value is not None}


_WRITERS: dict[str, Callable[[str, str, Mapping[str, Any]], Fields]] = {
    "binary_sensor": _sensed, "light": _switched, "switch": _switched, "lock": _switched, "cover": _covered,
    "fan": _blown,
}  # fmt: skip
