"""Home Assistant's entities: what a state says somebody did, in which words, and what device it is.

One place for its live stream and its recorded past, so that both name devices and controls alike: the device is
the entity id, the property of its state is `state`. Vocabulary: the developer documentation of its entities.

Not behavior: measurements and housekeeping (sensor, number, update, weather, ...), the cause instead of the act
(scene, script, automation: what they switch reports itself), a state on its way (opening, locking, buffering), and
groups, whose members report the same act. The first state after `unavailable` is known, not done: see AWAY.
"""

import re
from collections.abc import Mapping

from edge.core.devices import Device, kind_of
from edge.core.errors import MessageError
from edge.dialects.payloads import instant, shortened, word
from edge.dialects.properties import Act, act

STATE = "state"  # the property of an entity's state, whatever its domain
AWAY = frozenset({"unavailable", "unknown", "none", ""})  # no state: the next one says nothing about when it began
LATE = 60.0  # seconds, clocks differ too; an act whose `at` lies further from its report was restored or repeated

_OURS = "sceneshift"  # what we show in Home Assistant ourselves is no device of the home
_ID = re.compile(r"[a-z0-9_]{1,64}\.[a-z0-9_]{1,128}")
_PASSING = frozenset(
    {"opening", "closing", "locking", "unlocking", "arming", "disarming", "pending", "buffering", "error"}
)
_PLAIN = frozenset(  # domains whose state is told in its own words
    {"light", "switch", "cover", "lock", "climate", "fan", "media_player", "vacuum", "lawn_mower", "input_boolean",
     "input_select", "select", "humidifier", "water_heater", "valve", "siren", "alarm_control_panel", "remote"}
)  # fmt: skip
_PRESSED = frozenset({"button", "input_button"})  # their state is the time of the last press
_PEOPLE = frozenset({"person", "device_tracker"})
_SAME = {"standby": "off"}  # of a television as good as off
SETPOINTS = {"climate": "temperature", "water_heater": "temperature", "humidifier": "humidity"}

_OPEN, _DETECTED, _ON = ("closed", "open"), ("clear", "detected"), ("off", "on")
_SENSES = {  # binary_sensor: the words of off and on by device class; a class that is not here is a measurement
    "": _ON, "door": _OPEN, "garage_door": _OPEN, "opening": _OPEN, "window": _OPEN,
    "lock": ("locked", "unlocked"), "moisture": ("dry", "wet"), "presence": ("absent", "present"),
    "occupancy": ("clear", "occupied"), "motion": _DETECTED, "moving": _DETECTED, "vibration": _DETECTED,
    "sound": _DETECTED, "smoke": _DETECTED, "gas": _DETECTED, "carbon_monoxide": _DETECTED,
    "power": _ON, "running": _ON, "plug": ("unplugged", "plugged in"),
}  # fmt: skip
_KINDS = {  # by "domain" or "domain.device_class"
    "binary_sensor.door": "contact", "binary_sensor.opening": "contact", "binary_sensor.window": "contact",
    "binary_sensor.garage_door": "garage_door", "binary_sensor.lock": "door_lock", "binary_sensor.moisture": "leak",
    "binary_sensor.motion": "motion", "binary_sensor.occupancy": "motion", "binary_sensor.presence": "presence",
    "binary_sensor.smoke": "smoke", "binary_sensor.gas": "smoke", "binary_sensor.carbon_monoxide": "smoke",
    "cover.garage": "garage_door", "cover.gate": "garage_door", "cover.door": "contact", "cover.window": "window",
    "media_player.tv": "television", "media_player.speaker": "speaker", "media_player.receiver": "speaker",
    "event.doorbell": "doorbell", "event.button": "remote", "event.motion": "motion", "switch.outlet": "plug",
    "humidifier.dehumidifier": "dehumidifier", "valve.water": "water_valve", "light": "light", "lock": "door_lock",
    "vacuum": "robot_cleaner", "lawn_mower": "mower", "person": "presence", "device_tracker": "presence",
    "alarm_control_panel": "siren", "siren": "siren", "water_heater": "boiler",
}  # fmt: skip
_ELSE = {  # where neither its class nor its name tells
    "cover": "blind", "switch": "switch", "climate": "thermostat", "fan": "fan", "media_player": "speaker",
    "humidifier": "humidifier", "valve": "water_valve", "remote": "remote", "event": "remote",
}  # fmt: skip


def entity(domain: str, name: str) -> str:
    """Return an entity's id from its two parts; raises MessageError for what is none."""
    found = f"{domain}.{name}"
    if not _ID.fullmatch(found) or len(found) > 128:
        raise MessageError("unknown device")
    return found


def described(entity_id: str, attributes: Mapping[str, object]) -> Device:
    """Return the device an entity is: its id, its friendly name on one line, its class."""
    domain, _, name = entity_id.partition(".")
    friendly = attributes.get("friendly_name")
    shown = (shortened(friendly) if isinstance(friendly, str) else "") or shortened(name.replace("_", " "))
    sure = _KINDS.get(f"{domain}.{attributes.get('device_class') or ''}") or _KINDS.get(domain)
    named = kind_of(shown) if sure is None else sure
    if domain == "cover" and named not in {"garage_door", "blind"}:
        named = sure or "blind"  # "bedroom window" is what hangs before it
    return Device(entity_id, shown or entity_id, _ELSE.get(domain, "other") if named == "other" else named)


def grouped(attributes: Mapping[str, object]) -> bool:
    """Tell whether an entity stands for others, which report the same act themselves."""
    return isinstance(attributes.get("entity_id"), list | tuple) or attributes.get("is_hue_group") is True


def told(entity_id: str, state: str, attributes: Mapping[str, object]) -> Act | None:
    """Return what a state says somebody did, None for a measurement, a state on its way or none at all.

    Of the attributes `device_class` and, for an event entity, `event_type` are read. Raises MessageError for a text
    that is no state.
    """
    domain, _, name = entity_id.partition(".")
    said = state.strip()
    if said.lower() in AWAY or name.startswith(_OURS):
        return None
    pressed = "pressed" if domain in _PRESSED else attributes.get("event_type") if domain == "event" else None
    if pressed:
        return Act("action", word(pressed), momentary=True, at=instant(said))
    value = _worded(domain, said, str(attributes.get("device_class") or ""))
    return None if value is None else Act(STATE, word(value))


def _worded(domain: str, said: str, sense: str) -> str | None:
    if domain in _PLAIN:
        return None if said.lower() in _PASSING else _SAME.get(said, said)
    if domain in _PEOPLE:
        return "present" if said == "home" else "absent"  # which zone a person is in stays theirs
    if domain == "binary_sensor" and sense in _SENSES and said in {"on", "off"}:
        return _SENSES[sense][said == "on"]
    return None


def chosen(entity_id: str, attribute: str, value: object) -> Act | None:
    """Return what an attribute says somebody chose: a thermostat's temperature. None for every other attribute."""
    domain, _, _ = entity_id.partition(".")
    if SETPOINTS.get(domain) != attribute or isinstance(value, bool | str) or not isinstance(value, int | float):
        return None
    said = act("setpoint", value)
    return Act("setpoint", said) if said is not None else None
