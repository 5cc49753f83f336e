"""Shelly, both kinds: Gen1 (`shellies/<id>/relay/0`) and Gen2 and later (`<prefix>/events/rpc`, `<prefix>/status/...`).

A device is the id it has from its maker (`shellyplus1-a8032abe54dc`); under a Gen2 topic prefix of its own the prefix
is its name. A Gen1 device with an MQTT id of its own is that id. After `online` true a device says again what it
had kept: known, not done; but a sensor that sleeps only wakes to report, and is heard at once. Source: Shelly's API
documentation, Gen1 (MQTT) and Gen2+ (MQTT, Notifications).
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from edge.core.devices import Device, kind_of
from edge.core.errors import MessageError
from edge.core.events import Event, Message
from edge.core.recent import Recent
from edge.dialects.guard import Guard, believed
from edge.dialects.payloads import LONGEST, LONGEST_NAME, allow, document, text, word
from edge.dialects.properties import Act, act, reported
from edge.dialects.shelly_rpc import COMPONENT, Components
from edge.dialects.topics import Template

DEVICE = "{device}"
_MAKERS = re.compile(r"(?i)shelly[a-z0-9]{1,32}-[0-9a-f]{6,12}")
_KINDS = (  # by the model within a maker's id
    ("plug", "plug"), ("bulb", "light"), ("duo", "light"), ("vintage", "light"), ("rgbw", "light"), ("dimmer", "light"),
    ("dw", "contact"), ("motion", "motion"), ("flood", "leak"), ("smoke", "smoke"), ("trv", "radiator"),
    ("button", "remote"), ("ix3", "remote"), ("i4", "remote"), ("gas", "smoke"), ("em", "power_meter"),
    ("ht", "climate_sensor"), ("shelly", "switch"),
)  # fmt: skip
_OLD = re.compile(
    r"(relay|roller|light|white|color|input_event|input)/\d{1,2}(/pos|/status)?|sensor/(state|motion|flood|smoke)|status"
)
_WORDS = {
    "state": {"open": "open", "close": "closed"}, "motion": {"1": "detected", "0": "clear"},
    "flood": {"true": "wet", "false": "dry"}, "smoke": {"true": "detected", "false": "clear"},
}  # fmt: skip
_PRESSES = {"S": "single", "SS": "double", "SSS": "triple", "L": "long", "SL": "short long", "LS": "long short"}


class Shelly:
    """Every Shelly: Gen1 under one root, later ones under one template of topic prefixes."""

    def __init__(self, topic_prefix: str = DEVICE, *, gen1_root: str = "shellies", exclude: Iterable[str] = ()) -> None:
        self._template = Template(topic_prefix.strip("/"), (DEVICE,))
        self._root = gen1_root.strip("/") + "/"
        self._exclude = tuple(exclude)
        self._devices: Recent[str, Device] = Recent()  # Gen2 and later, by topic prefix
        self._components = Components()
        self._guard = Guard()
        self._presses: Recent[tuple[str, str], float | None] = Recent()  # Gen1: the count of an input's last event
        self._moving: Recent[tuple[str, str], str] = Recent()  # Gen1: what a roller does
        self._placed: Recent[str, bool] = Recent()  # Gen1: rollers that know where they are
        # Gen1: devices and inputs that tell in other words what an input says
        self._doubled: Recent[str, bool] = Recent()
        self._blinds: Recent[str, bool] = Recent()  # ids of devices that move a cover

    def topics(self) -> list[str]:
        """Return the filters to subscribe to."""
        later = [self._template.filter(each) for each in ("online", "events/rpc", "status/+")]
        old = ("relay/+", "roller/+", "roller/+/pos", "light/+", "light/+/status", "white/+", "color/+", "input/+",
               "input_event/+", "sensor/+", "status", "online")  # fmt: skip
        return [*later, *(f"{self._root}+/{each}" for each in old)]

    def matches(self, topic: str) -> bool:
        """Tell whether a topic is a Shelly's."""
        return self._later(topic) is not None or self._older(topic) is not None

    def know(self, devices: Iterable[Device]) -> None:
        """Take in devices known from before: a status may arrive before the frame that tells whose prefix it is."""
        for device in devices:
            if _MAKERS.fullmatch(device.id):
                self._devices.setdefault(device.name, device)
                if device.kind == "blind":
                    self._blinds[device.id] = True

    def described(self) -> list[Device]:
        """No message describes devices here."""
        return []

    def events(self, message: Message) -> list[Event]:
        """Return what a message reports; raises MessageError with the reason it reports nothing."""
        older = self._older(message.topic)
        if older is not None:
            return self._heard_older(*older, message)
        later = self._later(message.topic)
        if later is None:
            raise MessageError("unknown topic")
        prefix, what = later
        if what == "online":
            return self._online(prefix, message)
        fields = document(message)
        if what == "events/rpc":
            return self._notified(prefix, fields, message)
        component = what.removeprefix("status/")
        known = self._devices.get(prefix)
        device = self._made(known.id if known else prefix, prefix, [component])
        acts = self._components.changed(device.id, component, fields)
        live = self._guard.live(prefix, message) and fields.get("source") != "init"
        return reported(acts, device, message.time, live=live)

    def _later(self, topic: str) -> tuple[str, str] | None:
        """Return (topic prefix, what is said) of a Gen2 device's topic."""
        read = self._template.read(topic)
        what = "/".join(read[1]) if read else ""
        status = what.startswith("status/") and COMPONENT.fullmatch(what.removeprefix("status/"))
        if read is None or not (status or what in {"online", "events/rpc"}):
            return None
        return read[0].get(DEVICE, "/".join(self._template.levels)), what

    def _older(self, topic: str) -> tuple[str, str] | None:
        """Return (MQTT id, what is said) of a Gen1 device's topic."""
        if not topic.startswith(self._root):
            return None
        name, _, what = topic.removeprefix(self._root).partition("/")
        return (name, what) if what == "online" or _OLD.fullmatch(what) else None

    def _online(self, name: str, message: Message) -> list[Event]:
        if text(message).lower() == "true":
            self._guard.up(name, message)
        return []

    def _made(self, identity: str, name: str, parts: Iterable[str]) -> Device:
        """Return the device of a maker's id; raises MessageError for any other, and where it is left out."""
        if not _MAKERS.fullmatch(identity):
            raise MessageError("unknown device")
        return self._named(identity, word(name, LONGEST_NAME), parts)

    def _named(self, identity: str, name: str, parts: Iterable[str]) -> Device:
        allow(self._exclude, identity, name)
        if any(part.startswith(("cover:", "roller")) for part in parts):
            self._blinds[identity] = True
        return Device(identity, name, _kind(identity, name, blind=identity in self._blinds))

    def _notified(self, prefix: str, frame: Mapping[str, Any], message: Message) -> list[Event]:
        """Read a Gen2 notification: whose it is, when by its own clock, and what changed."""
        params = frame.get("params")
        parts = params if isinstance(params, dict) else {}
        device = self._devices[prefix] = self._made(word(frame.get("src", "")), prefix, parts)
        guarded = not self._guard.live(prefix, message)
        found = self._components.notified(device.id, frame, guarded=guarded)
        time = parts.get("ts")
        if not isinstance(time, int | float) or not believed(time, message.time):
            time = message.time
        news = [each for each, is_news in found if is_news and not message.retained]
        known = [each for each, is_news in found if not is_news or message.retained]
        events = reported(news, device, time, live=True) if news else []
        return events + reported(known, device, time, live=False) if known or not events else events

    def _heard_older(self, name: str, what: str, message: Message) -> list[Event]:
        """Read a Gen1 topic."""
        if what == "online":
            return self._online(name, message)
        kind, _, rest = what.partition("/")
        place = rest.partition("/")[0]
        identity = word(name, LONGEST_NAME)
        device = self._named(identity, identity, [kind])
        said = text(message)
        if kind in {"relay", "roller", "light", "white", "color"}:
            self._doubled[name] = True
        live = self._guard.live(name, message)
        if kind == "input_event":
            acts, live = self._pressed(name, place, message)
        elif kind == "roller":
            acts = self._rolled(name, place, said, position=what.endswith("/pos"))
        elif kind in {"sensor", "status"}:
            acts, live = _woken(kind, place, message), not message.retained
        elif kind == "input" and {name, f"{name}/{place}"} & self._doubled.keys():
            acts = []
        else:
            acts = _shone(place, message) if what.endswith("/status") else _turned(kind, place, said)
        return reported(acts, device, message.time, live=live)

    def _pressed(self, name: str, place: str, message: Message) -> tuple[list[Act], bool]:
        """Read an input's event, which is repeated until the next: a press is one whose count is new."""
        fields = document(message)
        said, count = _PRESSES.get(str(fields.get("event"))), fields.get("event_cnt")
        before = self._presses.get((name, place))
        self._presses[name, place] = count if isinstance(count, int | float) else None
        if said:
            self._doubled[f"{name}/{place}"] = True
        acts = [Act(f"input{_number(place)}", said, momentary=True)] if said and before != count else []
        return acts, before is not None and not message.retained

    def _rolled(self, name: str, place: str, said: str, *, position: bool) -> list[Act]:
        """Read a roller: where it stopped, or, where it cannot tell, which way it went."""
        roller = f"{name}/{place}"
        if not position:
            self._moving[name, place] = said[:LONGEST]
            known = roller in self._placed or said not in {"open", "close"}
            return [] if known else [Act(f"roller{_number(place)}", "open" if said == "open" else "closed")]
        if not said.isdecimal() or int(said[:4]) > 100:
            return []  # never calibrated
        self._placed[roller] = True
        if self._moving.get((name, place)) in {"open", "close"}:
            return []
        where = act("position", said)
        return [Act(f"roller{_number(place)}", where)] if where else []


def _number(place: str) -> str:
    return "" if place == "0" else f" {place}"


def _kind(identity: str, name: str, *, blind: bool) -> str:
    """Return the class: what its owner calls it, what it moves, else its model's; "" where none tells."""
    named = kind_of(name) if name != identity or not _MAKERS.fullmatch(identity) else "other"
    if named != "other" or blind:
        return named if named != "other" else "blind"
    model = identity.partition("-")[0].lower()
    return next((kind for mark, kind in _KINDS if mark in model), "") if model.startswith("shelly") else ""


def _turned(kind: str, place: str, said: str) -> list[Act]:
    """Read a Gen1 output or input: on, off, 1, 0; anything else is a fault."""
    value = {"1": "on", "0": "off"}.get(said, said)
    return [Act(f"{kind}{_number(place)}", value)] if value in {"on", "off"} else []


def _shone(place: str, message: Message) -> list[Act]:
    """Read a Gen1 light's status for its brightness (percent); whether it is on has a topic of its own."""
    fields = document(message)
    level = fields.get("brightness")
    shade = act("level", level) if fields.get("ison") is True and isinstance(level, int | float) else None
    return [Act(f"light{_number(place)} brightness", shade)] if shade else []


def _woken(kind: str, place: str, message: Message) -> list[Act]:
    """Read a Gen1 sensor or thermostat."""
    if kind == "sensor":
        said = _WORDS[place].get(text(message).lower())
        return [Act(place, said)] if said else []
    fields = document(message)
    target, motion = fields.get("target_t"), fields.get("motion")
    if isinstance(target, dict) and isinstance(target.get("value"), int | float):
        said = act("setpoint", target["value"])
        return [Act("setpoint", said)] if said else []
    return [Act("motion", "detected" if motion else "clear")] if isinstance(motion, bool) else []
