"""What people and other programs ask over MQTT, and the answers.

`<prefix>/scene/set`, `mode/set`, `alarms_per_week/set`, `alerts/set` and `notifications/suspend` (minutes without
alerts, as Frigate has it) hold the bare value; `<prefix>/request/x` (zigbee2mqtt's vocabulary) holds JSON. All is
answered on `<prefix>/response/x` with status, error, data and the asker's own transaction.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edge.core.errors import MessageError, SettingsError
from edge.core.events import MAX_PAYLOAD, Message
from edge.core.quiet import EVERYTHING
from edge.core.scenes import Scene
from edge.dialects.payloads import parsed

# What may be asked, and which field a payload is that is no JSON object.
WHATS = {
    "adapt": "scene", "learn": "", "rollback": "", "mute": "minutes", "feedback": "verdict",
    "mode": "mode", "alarms": "number", "alerts": "on",
}  # fmt: skip
NOW = "now"  # the scene of whoever lets the agent look for itself
LAST = "last"  # the alert that was told last
_SWITCH = {"on": True, "true": True, "off": False, "false": False}


@dataclass(frozen=True, slots=True)
class Request:
    """One thing asked: `what` is one of WHATS; `scene` only for adapt, None: the one that is noticed.

    `device` (a glob) and `minutes` only for mute; `alert` (0: the last that was told) and `verdict` (what a person says
    of it) only for feedback; `mode` (of the house), `number` (alarms a week) and `on` (alerts) each for its own.
    """

    what: str
    scene: Scene | None = None
    transaction: str = ""
    device: str = ""
    minutes: float = 0.0
    alert: int = 0
    verdict: str = ""
    mode: str = ""
    number: float = 0.0
    on: bool = True


class Requests:
    """Reads requests under one prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._alone = {
            f"{prefix}/scene/set": "adapt",
            f"{prefix}/mode/set": "mode",
            f"{prefix}/alarms_per_week/set": "alarms",
            f"{prefix}/alerts/set": "alerts",
            f"{prefix}/notifications/suspend": "mute",
        }

    def topics(self) -> list[str]:
        """Return the filters to subscribe to."""
        return [*self._alone, f"{self.prefix}/request/+"]

    def concerns(self, message: Message) -> bool:
        """Tell whether a message is a request."""
        return message.topic in self._alone or message.topic.startswith(f"{self.prefix}/request/")

    def what(self, message: Message) -> str:
        """Return what a message asks for, by its topic."""
        return self._alone.get(message.topic, message.topic.rpartition("/")[2])

    def read(self, message: Message) -> Request:
        """Read one; raises MessageError (with a reason to count) or SettingsError (with what would be right)."""
        if message.retained or message.duplicate:
            raise MessageError("replayed request")
        if len(message.payload) > MAX_PAYLOAD:
            raise MessageError("oversized")
        try:
            text = message.payload.decode()
        except UnicodeDecodeError as error:
            raise MessageError("not utf-8") from error
        what = self.what(message)
        if what not in WHATS:
            raise MessageError("unknown request")
        body = _fields(text, WHATS[what])
        if message.topic == f"{self.prefix}/notifications/suspend":
            body["device"] = EVERYTHING
        return _request(what, body)

    def answer(self, what: str, data: Mapping[str, Any], *, error: str = "", transaction: str = "") -> tuple[str, str]:
        """Return topic and payload of an answer."""
        body: dict[str, Any] = {"status": "error" if error else "ok", "data": data}
        if error:
            body["error"] = error
        if transaction:
            body["transaction"] = transaction
        return f"{self.prefix}/response/{what}", json.dumps(body)


def _request(what: str, body: Mapping[str, Any]) -> Request:
    """Return what a payload's fields ask; raises SettingsError with what would be right."""
    asked = Request(what, transaction=str(body.get("transaction", ""))[:100])
    readers: dict[str, Callable[[], Request]] = {
        "adapt": lambda: replace(asked, scene=_scene(body.get("scene"))),
        "mute": lambda: replace(
            asked, device=str(body.get("device", "")), minutes=_number(body.get("minutes"), "minutes")
        ),
        "feedback": lambda: replace(asked, alert=_alert(body.get("alert")), verdict=str(body.get("verdict", ""))),
        "mode": lambda: replace(asked, mode=str(body.get("mode", ""))),
        "alarms": lambda: replace(asked, number=_number(body.get("number"), "alarms a week")),
        "alerts": lambda: replace(asked, on=_switched(body.get("on"))),
    }
    return readers.get(what, lambda: asked)()


def _alert(number: object) -> int:
    """Return an alert's number, 0 for the last one; raises SettingsError."""
    if number == LAST:
        return 0
    found = int(_number(number, f"an alert's number, or {LAST!r}"))
    if found < 1:
        raise SettingsError("alerts are numbered from 1 on")
    return found


def _scene(name: object) -> Scene | None:
    """Return a scene that was told, None where the agent is to look for itself; raises SettingsError."""
    if not name:
        raise SettingsError(f"adapt needs a scene, or {NOW!r} for the one that is noticed")
    return None if name == NOW else Scene.parse(str(name))


def _fields(text: str, key: str) -> dict[str, Any]:
    """Return the fields of a JSON object, or plain text as the value of `key`; raises MessageError."""
    if not text.lstrip().startswith("{"):
        return {key: text.strip()}
    return dict(parsed(text))


def _number(value: object, what: str) -> float:
    """Return a number within what a row or a clock can hold; raises SettingsError."""
    try:
        number = float(value) if isinstance(value, str | int | float) else float("nan")
    except (ValueError, OverflowError):
        number = float("nan")
    if not abs(number) < 2**53:
        raise SettingsError(f"needs {what}, a number")
    return number


def _switched(value: object) -> bool:
    """Return whether something is switched on; raises SettingsError."""
    try:
        return _SWITCH[str(value).strip().lower()]
    except KeyError:
        raise SettingsError("needs ON or OFF") from None
