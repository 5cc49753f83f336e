"""What arrives as bytes, read at the door: text, JSON objects, times. Anything else is a MessageError."""

import json
import math
import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from edge.core.errors import MessageError
from edge.core.events import MAX_PAYLOAD, Message

REASONS = frozenset(
    {"malformed", "oversized", "not utf-8", "empty", "too long", "bad time", "unknown topic", "unknown device",
     "excluded device", "no behavior property"}
)  # fmt: skip
LONGEST = 64  # characters of a value or a control; more is a text, not what somebody did
LONGEST_CONTROL = 2 * LONGEST + 1  # a property and its value
LONGEST_NAME = 128  # characters of a device's id or name
_BREAKS = frozenset({"Cc", "Zl", "Zp"})  # Unicode categories of control characters and line ends
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # they turn the direction of all text around a name
_MILLISECONDS = 1e11  # a larger number of seconds lies beyond the year 5000: it is milliseconds
_EARLIEST, _LATEST = 946_684_800.0, 4_102_444_800.0  # 2000 and 2100: outside, a clock was not set


def text(message: Message, most: int = MAX_PAYLOAD) -> str:
    """Return the payload as text without its surrounding space."""
    if len(message.payload) > most:
        raise MessageError("oversized")
    try:
        said = message.payload.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise MessageError("not utf-8") from error
    if not said:
        raise MessageError("empty")
    return said


def parsed(said: str) -> Any:
    """Read JSON, strictly: no NaN, no bottomless nesting, no lone surrogates."""
    try:
        value = json.loads(said, parse_constant=_refuse)
        if "\\ud" in said.lower():  # a lone surrogate is valid JSON and no text; it would fail when written to disk
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise MessageError("malformed") from error
    return value


def document(message: Message, most: int = MAX_PAYLOAD) -> dict[str, Any]:
    """Return the payload as a JSON object."""
    value = parsed(text(message, most))
    if not isinstance(value, dict):
        raise MessageError("malformed")
    return value


def word(value: object, most: int = LONGEST) -> str:
    """Return a value as one short line of text."""
    if not isinstance(value, str | int | float):
        raise MessageError("malformed")
    said = str(value).strip()
    if not said:
        raise MessageError("empty")
    if len(said) > most:
        raise MessageError("too long")
    if any(unicodedata.category(char) in _BREAKS for char in said):
        raise MessageError("malformed")
    return said


def shortened(name: str) -> str:
    """Return a free name on one line, cut to LONGEST_NAME."""
    turned = _TURNS.sub("", name)
    printable = "".join(" " if unicodedata.category(char) in _BREAKS else char for char in turned)
    return " ".join(printable.split())[:LONGEST_NAME].rstrip()


def instant(value: object) -> float:
    """Return seconds since the epoch from seconds, milliseconds or ISO 8601 with an offset."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise MessageError("bad time")
            seconds = moment.timestamp()
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value) / (1000 if value > _MILLISECONDS else 1)
        else:
            raise MessageError("bad time")
    except (ValueError, OverflowError) as error:
        raise MessageError("bad time") from error
    if not (math.isfinite(seconds) and _EARLIEST <= seconds < _LATEST):
        raise MessageError("bad time")
    return seconds


def allow(globs: Iterable[str], *names: str) -> None:
    """Raise MessageError where one of a device's names is to be left out."""
    if any(fnmatchcase(name, glob) for name in names for glob in globs):
        raise MessageError("excluded device")


def _refuse(constant: str) -> float:
    raise ValueError(constant)
