"""What people and other programs ask over MQTT, and the answers.

`<prefix>/scene/set`, `<prefix>/notifications/suspend` (minutes without alerts, as Frigate has it) and, in zigbee2mqtt's
vocabulary, `<prefix>/request/x`, answered on `<prefix>/response/x` with status, error, data and the asker's own
transaction.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.core.errors import MessageError, SettingsError
from edge.core.events import MAX_PAYLOAD, Message
from edge.core.quiet import EVERYTHING
from edge.core.scenes import Scene

WHATS = ("adapt", "learn", "rollback", "mute", "feedback")


@dataclass(frozen=True, slots=True)
class Request:
    """One thing asked: `what` is one of WHATS; `scene` only for adapt.

    `device` (a glob) and `minutes` only for mute; `alert` and `verdict` (what a person says of it) only for feedback.
    """

    what: str
    scene: Scene | None = None
    transaction: str = ""
    device: str = ""
    minutes: float = 0.0
    alert: int = 0
    verdict: str = ""


class Requests:
    """Reads requests under one prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._alone = {f"{prefix}/scene/set": "adapt", f"{prefix}/notifications/suspend": "mute"}

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
        if message.topic == f"{self.prefix}/notifications/suspend":
            return Request("mute", device=EVERYTHING, minutes=_number(text.strip(), "minutes"))
        body = _fields(text, "scene")
        transaction = str(body.get("transaction", ""))[:100]
        if what == "adapt":
            if not body.get("scene"):
                raise SettingsError("adapt needs a scene")
            return Request(what, Scene.parse(str(body["scene"])), transaction)
        if what == "mute":
            minutes = _number(body.get("minutes"), "minutes")
            return Request(what, None, transaction, device=str(body.get("device", "")), minutes=minutes)
        if what == "feedback":
            alert = int(_number(body.get("alert"), "an alert's number"))
            return Request(what, None, transaction, alert=alert, verdict=str(body.get("verdict", "")))
        return Request(what, None, transaction)

    def answer(self, what: str, data: Mapping[str, Any], *, error: str = "", transaction: str = "") -> tuple[str, str]:
        """Return topic and payload of an answer."""
        body: dict[str, Any] = {"status": "error" if error else "ok", "data": data}
        if error:
            body["error"] = error
        if transaction:
            body["transaction"] = transaction
        return f"{self.prefix}/response/{what}", json.dumps(body)


def _fields(text: str, key: str) -> dict[str, Any]:
    """Return the fields of a payload: a JSON object, or plain text, which is the value of `key`."""
    if not text.lstrip().startswith("{"):
        return {key: text.strip()}
    try:
        return dict(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise MessageError("malformed") from error


def _number(value: object, what: str) -> float:
    """Return a number within what a row or a clock can hold; raises SettingsError."""
    try:
        number = float(value) if isinstance(value, str | int | float) else float("nan")
    except (ValueError, OverflowError):
        number = float("nan")
    if not abs(number) < 2**53:
        raise SettingsError(f"needs {what}, a number")
    return number
