"""What a source of the past tells: reports in its own order, page by page, and where to go on after a stop."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Protocol

from edge.core.errors import MessageError
from edge.core.events import Event
from edge.dialects.payloads import instant

PERSON, AUTOMATION, DEVICE = "a person in Home Assistant", "an automation or script", "the device itself"
MEASURED = "a measurement or housekeeping"
AWAY = "unavailable or unknown"
REPLAYED = "restored, not done"
EXCLUDED = "excluded"
UNHEARD = "of a device that no source in the settings reports"


@dataclass(frozen=True, slots=True)
class Reported:
    """One thing a device reported, and what caused it, "" where nobody recorded that."""

    event: Event
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Gone:
    """A device was out of reach, every one where it is "": its next state says nothing about when it began."""

    device: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a source. `position`: plain JSON, to go on behind them; `done`: share of the source read by then."""

    items: tuple[Reported | Gone, ...]
    rows: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    position: Any = None
    done: float = 0.0


class Reader(Protocol):
    """One source of the past, opened to be read and never written."""

    def identity(self) -> str:
        """Return what tells this source from others, the same at the next import of it; no secret is in it."""
        ...

    def pages(self, position: Any) -> Iterator[Page]:
        """Yield what lies behind a position, from the start for None or one that does not fit any more."""
        ...

    def close(self) -> None:
        """Let go of the source."""
        ...


def _dated(said: str) -> datetime:
    """Read a date and a time; raises ValueError. Two local spellings cannot be mistaken for one another."""
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        return datetime.strptime(said, "%d.%m.%Y %H:%M:%S" if "." in said else "%m/%d/%Y %I:%M:%S %p")  # noqa: DTZ007


def digest(*parts: bytes | str) -> str:
    """Return a short name of some bytes."""
    whole = hashlib.blake2b(digest_size=12)
    for part in parts:
        raw = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        whole.update(len(raw).to_bytes(8, "big") + raw)
    return whole.hexdigest()


def moment(value: object, zone: tzinfo) -> float:
    """Return seconds since the epoch from any spelling of a time; one without an offset is in `zone`.

    Raises MessageError for what is no time.
    """
    if not isinstance(value, str):
        return instant(value)
    said = value.strip()
    try:
        return instant(float(said))
    except ValueError:
        pass  # no number
    try:
        found = _dated(said)
        return instant((found if found.tzinfo else found.replace(tzinfo=zone)).timestamp())
    except (ValueError, OverflowError) as error:
        raise MessageError("bad time") from error
