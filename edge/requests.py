"""What people and other programs ask over MQTT: `<prefix>/scene/set`, `<prefix>/request/<what>`, and the answers.

The vocabulary of zigbee2mqtt: `<prefix>/request/x` is answered on `<prefix>/response/x` with status, error,
data and the asker's own transaction.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.core.errors import MessageError, SettingsError
from edge.core.events import MAX_PAYLOAD, Message
from edge.core.scenes import Scene

WHATS = ("adapt", "learn", "rollback")


@dataclass(frozen=True, slots=True)
class Request:
    """One thing asked: `what` is one of WHATS; `scene` only for adapt."""

    what: str
    scene: Scene | None = None
    transaction: str = ""


class Requests:
    """Reads requests under one prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def topics(self) -> list[str]:
        """Return the filters to subscribe to."""
        return [f"{self.prefix}/scene/set", f"{self.prefix}/request/+"]

    def concerns(self, message: Message) -> bool:
        """Tell whether a message is a request."""
        return message.topic.startswith((f"{self.prefix}/scene/set", f"{self.prefix}/request/"))

    def read(self, message: Message) -> Request:
        """Read one; raises MessageError (with a reason to count) or SettingsError (with the scenes that exist)."""
        if message.retained or message.duplicate:
            raise MessageError("replayed request")
        if len(message.payload) > MAX_PAYLOAD:
            raise MessageError("oversized")
        try:
            text = message.payload.decode()
        except UnicodeDecodeError as error:
            raise MessageError("not utf-8") from error
        what = "adapt" if message.topic == f"{self.prefix}/scene/set" else message.topic.rpartition("/")[2]
        if what not in WHATS:
            raise MessageError("unknown request")
        scene, transaction = _fields(text)
        if what == "adapt" and not scene:
            raise SettingsError("adapt needs a scene")
        return Request(what, Scene.parse(scene) if what == "adapt" else None, transaction)

    def answer(self, what: str, data: Mapping[str, Any], *, error: str = "", transaction: str = "") -> tuple[str, str]:
        """Return topic and payload of an answer."""
        body: dict[str, Any] = {"status": "error" if error else "ok", "data": data}
        if error:
            body["error"] = error
        if transaction:
            body["transaction"] = transaction
        return f"{self.prefix}/response/{what}", json.dumps(body)


def _fields(text: str) -> tuple[str, str]:
    """Return scene and transaction of a payload: plain text, or a JSON object."""
    if not text.lstrip().startswith("{"):
        return text.strip(), ""
    try:
        body = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise MessageError("malformed") from error
    return str(body.get("scene", "")), str(body.get("transaction", ""))[:100]
