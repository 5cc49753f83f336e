"""Shelly Gen2 and later: components and their status, of which a notification carries only what changed.

Source: the Shelly Gen2+ API (Notifications; Switch, Cover, Light, Input, Smoke, Flood, Thermostat, BTHome). What a
Bluetooth device says through its gateway is the gateway's property; what a script says is not read.
"""

import re
from collections.abc import Mapping
from typing import Any

from edge.core.errors import MessageError
from edge.core.recent import Recent
from edge.dialects.payloads import LONGEST, word
from edge.dialects.properties import Act, act

COMPONENT = re.compile(r"[a-z]{1,20}:\d{1,4}")
_STATUS, _EVENT = "NotifyStatus", "NotifyEvent"
_FULL = "NotifyFullStatus"  # sent when a device comes up, or wakes: its whole status
_OUTPUTS = frozenset({"switch", "light", "rgb", "rgbw", "cct", "cover"})
_SLEEPERS = frozenset({"smoke", "flood"})  # they wake to report: their whole status is news
_MOVING = frozenset({"opening", "closing", "calibrating"})
_PUSHES = {
    "single_push": "single", "double_push": "double", "triple_push": "triple", "long_push": "long",
    "long_double_push": "long double", "long_triple_push": "long triple",
}  # fmt: skip
_KEPT = ("output", "state", "current_pos")  # of a status: what tells how a later change is meant
_ALARMS = {"smoke": ("clear", "detected"), "flood": ("dry", "wet")}


class Components:
    """The status of every component of every device, put together from its changes."""

    def __init__(self) -> None:
        self._status: Recent[tuple[str, str], dict[str, Any]] = Recent()
        self._outputs: Recent[str, bool] = Recent()  # devices that switch something: their inputs only say the same

    def notified(self, device: str, frame: Mapping[str, Any], *, guarded: bool) -> list[tuple[Act, bool]]:
        """Return what a notification reports, and whether it is news; raises MessageError.

        `guarded`: the device has just come up. A push is never kept, and a sensor that sleeps comes up to report.
        """
        method, params = frame.get("method"), frame.get("params")
        if not isinstance(params, dict):
            raise MessageError("malformed")
        if method == _EVENT:
            events = params.get("events")
            return [(each, True) for each in _pushes(events if isinstance(events, list) else [])]
        found: list[tuple[Act, bool]] = []
        for component, status in sorted(params.items(), reverse=True):  # outputs before the inputs that switch them
            if method in {_STATUS, _FULL} and COMPONENT.fullmatch(component) and isinstance(status, dict):
                awake = component.partition(":")[0] in _SLEEPERS
                news = awake or (method == _STATUS and not guarded and status.get("source") != "init")
                found += [(each, news) for each in self.changed(device, component, status)]
        return found

    def changed(self, device: str, component: str, status: Mapping[str, Any]) -> list[Act]:
        """Lay a change over what is known of a component; return what of it somebody does."""
        whole = self._status.setdefault((device, component), {})
        whole.update({key: value for key, value in status.items() if key in _KEPT and _brief(value)})
        kind, _, number = component.partition(":")
        place = "" if number == "0" else f" {number}"
        if kind in _OUTPUTS:
            self._outputs[device] = True
        if kind == "cover":
            return _covered(f"cover{place}", whole, status)
        if kind in _OUTPUTS:
            return _switched(f"{kind}{place}", whole, status)
        return [] if kind == "input" and device in self._outputs else _sensed(kind, place, status)


def _brief(value: object) -> bool:
    return len(value) <= LONGEST if isinstance(value, str) else isinstance(value, int | float)


def _switched(prop: str, whole: Mapping[str, Any], change: Mapping[str, Any]) -> list[Act]:
    """Return an output's state and, while it is on, the brightness that changed (percent)."""
    found = []
    if isinstance(change.get("output"), bool):
        found.append(Act(prop, "on" if change["output"] else "off"))
    level = change.get("brightness")
    if whole.get("output") is True and isinstance(level, int | float):
        shade = act("level", level)
        found += [Act(f"{prop} brightness", shade)] if shade else []
    return found


def _covered(prop: str, whole: Mapping[str, Any], change: Mapping[str, Any]) -> list[Act]:
    """Return where a cover stands; where it is while it moves is not what somebody wants."""
    state, position = whole.get("state"), whole.get("current_pos")
    if not {"state", "current_pos"} & change.keys() or not isinstance(state, str) or state in _MOVING:
        return []
    if isinstance(position, int | float) and not isinstance(position, bool):
        said = act("position", position)
        return [Act(prop, said)] if said else []
    return [Act(prop, word(state))] if state in {"open", "closed"} else []


def _sensed(kind: str, place: str, status: Mapping[str, Any]) -> list[Act]:
    alarm, target = status.get("alarm"), status.get("target_C")
    value = status.get("value") if kind == "bthomesensor" else status.get("state") if kind == "input" else None
    if kind in _ALARMS and isinstance(alarm, bool):
        return [Act(f"{kind}{place}", _ALARMS[kind][alarm])]
    if isinstance(value, bool):
        return [Act(f"{'sensor' if kind == 'bthomesensor' else kind}{place}", "on" if value else "off")]
    if kind in {"thermostat", "blutrv"} and isinstance(target, int | float):
        said = act("setpoint", target)
        return [Act(f"setpoint{place}", said)] if said else []
    return []


def _pushes(events: list[Any]) -> list[Act]:
    """Return the pushes among events; a button's way down and up only frames them."""
    found = []
    for each in events:
        if not isinstance(each, dict):
            raise MessageError("malformed")
        kind, _, number = str(each.get("component", "")).partition(":")
        said = _PUSHES.get(str(each.get("event")))
        if said and kind in {"input", "bthomedevice"}:
            place = "" if number == "0" else f" {number}"
            what = "button" if kind == "bthomedevice" else "input"
            found.append(Act(word(f"{what}{place}"), said, momentary=True))
    return found
