"""What a form asks, as the same request it would be over MQTT, and what the agent answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import CancelledError
from typing import Any
from urllib.parse import parse_qsl

from edge.core.errors import MessageError, SettingsError
from edge.core.events import Message
from edge.requests import Requests
from edge.web.strings import say
from edge.web.visits import Running

LONGEST = 10_000  # bytes of a form
PATIENCE = 2.5  # seconds an answer is waited for; what takes longer is under way and is told live
_REQUESTS = Requests("page")


async def form(stream: AsyncIterator[bytes]) -> dict[str, str]:
    """Read a form's fields, the last of each name; raises SettingsError for what is none or too long."""
    body = b""
    async for part in stream:
        body += part
        if len(body) > LONGEST:
            raise SettingsError(say("form.long"))
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20, encoding="utf-8"))
    except (UnicodeDecodeError, ValueError) as error:
        raise SettingsError(say("form.none")) from error


async def ask(agent: Running, what: str, fields: Mapping[str, str]) -> dict[str, Any] | None:
    """Ask the agent; return its answer, None while what was asked is under way. Raises SettingsError."""
    body = json.dumps({**fields, "transaction": ""}).encode()
    try:
        request = _REQUESTS.read(Message(f"page/request/{what}", body, 0.0))
    except MessageError as error:
        raise SettingsError(say("form.unknown", reason=error.reason)) from error
    answer = asyncio.wrap_future(agent.ask(request))
    try:
        return await asyncio.wait_for(asyncio.shield(answer), PATIENCE)
    except TimeoutError:
        return None
    except (CancelledError, asyncio.CancelledError) as error:
        raise SettingsError(say("form.stopping")) from error


def failure(answer: Mapping[str, Any] | None) -> str:
    """Return why what was asked was not done, "" where it was or is being done."""
    return str(answer.get("error") or "") if answer and answer.get("status") != "ok" else ""


def way_back(said: str) -> str:
    """Return the page a form was on, "/" where what it says is no path of ours."""
    plain = said.startswith("/") and not said.startswith("//") and said.isascii() and said.isprintable()
    return said if plain and "\\" not in said and "?" not in said else "/"
