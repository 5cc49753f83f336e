"""Which reported properties are something a person does, and in which words. Measurements are not."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from edge.core.devices import Device
from edge.core.errors import MessageError
from edge.core.events import Event
from edge.dialects.payloads import word

# What devices call the outcome of an act, or of a person being there.
ACTS = frozenset(
    {"state", "switch", "contact", "occupancy", "presence", "motion", "lock", "lock_state", "position", "tilt",
     "brightness", "level", "volume", "mode", "system_mode", "fan_mode", "fan_state", "preset", "alarm", "door",
     "water_leak", "smoke", "gas", "carbon_monoxide", "vibration", "window", "window_open", "setpoint", "sos",
     "occupied_heating_setpoint", "current_heating_setpoint", "occupied_cooling_setpoint", "heating_setpoint",
     "cooling_setpoint", "target_temperature"}
)  # fmt: skip
# Measurements and housekeeping, also where their value is a word.
TELEMETRY = frozenset(
    {"battery", "battery_low", "linkquality", "last_seen", "ip", "ssid", "mac", "version", "availability", "lwt",
     "update", "update_available", "tamper", "color", "color_mode", "running_state"}
)  # fmt: skip
_ABSENT = frozenset({"online", "offline", "unavailable", "unknown", "none", "null"})  # the device, not a person
_BOOLEANS = {
    "contact": ("open", "closed"),  # zigbee2mqtt's docs: true means that the contact is closed
    "occupancy": ("clear", "occupied"),
    "presence": ("absent", "present"),
    "motion": ("clear", "detected"),
    "vibration": ("clear", "detected"),
    "smoke": ("clear", "detected"),
    "gas": ("clear", "detected"),
    "carbon_monoxide": ("clear", "detected"),
    "water_leak": ("dry", "wet"),
    "window": ("closed", "open"),
    "window_open": ("closed", "open"),
    "door": ("closed", "open"),
    "lock": ("unlocked", "locked"),
}
_FULL = {"brightness": 254.0, "position": 100.0, "tilt": 100.0, "level": 100.0, "volume": 100.0}
_SHADES = ("zero", "low", "medium", "high", "full")
_OPENINGS = ("closed", "mostly closed", "half open", "mostly open", "open")
_NUMBER = re.compile(r"[-+]?\d{1,18}([.]\d{1,18})?")
_ENDPOINT = re.compile(
    r"_((l|ep|ch|gang|relay|switch|button|channel|endpoint|zone)_?)?(\d{1,2}|left|right|top|bottom|center|middle|main)$"
    r"|(?<=power)\d{1,2}$"
)


@dataclass(frozen=True, slots=True)
class Act:
    """What a report says: property and value as in an Event. `at`: when, where the device itself tells (seconds)."""

    prop: str
    value: str
    momentary: bool = False
    at: float | None = None


def reported(acts: Iterable[Act], device: Device, time: float, *, live: bool) -> list[Event]:
    """Return the events of one report; raises MessageError where nothing in it is an act."""
    events = [
        Event(time, device.id, device.name, each.prop, each.value, each.momentary, live, device.kind) for each in acts
    ]
    if not events:
        raise MessageError("no behavior property")
    return events


def base(name: str) -> str:
    """Return a property's name in lower case without its endpoint: `state_left`, `state_l2` -> `state`."""
    return _ENDPOINT.sub("", name.lower())


def act(name: str, value: object) -> str | None:
    """Return a property's value in the words of a control, None where it is a measurement.

    Levels become five words and setpoints whole degrees: a model cannot learn 255 controls of one lamp.
    """
    kind = base(name)
    if kind in TELEMETRY or value is None:
        return None
    if isinstance(value, str):
        if _NUMBER.fullmatch(value.strip()):
            return _numbered(kind, value)
        truth = {"true": True, "false": False}.get(value.strip().lower())
        if truth is None:
            return None if value.strip().lower() in _ABSENT else word(value)
        value = truth
    if isinstance(value, bool):
        return _BOOLEANS.get(kind, ("off", "on"))[value]
    if isinstance(value, int | float):
        return _numbered(kind, value)
    raise MessageError("malformed")


def _numbered(kind: str, value: str | float) -> str | None:
    try:
        number = float(value)
    except OverflowError as error:
        raise MessageError("malformed") from error
    if kind in _FULL:
        words = _OPENINGS if kind in {"position", "tilt"} else _SHADES
        return words[_fifth(number / _FULL[kind])]
    if kind.endswith(("setpoint", "target_temperature", "mode", "preset")) and abs(number) < 1000:
        return f"{round(number)}"
    if number in (0, 1) and (kind in ACTS or kind == "power"):
        return _BOOLEANS.get(kind, ("off", "on"))[number == 1]
    return None


def _fifth(share: float) -> int:
    """Return 0 for nothing, 4 for all, else 1 to 3; the ends are wider than a rounding error."""
    return 0 if share <= 0.03 else 4 if share >= 0.97 else 1 + int((share - 0.03) / 0.94 * 3)
