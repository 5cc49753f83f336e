"""One visit to a page: what a view may look at. A view is a function of it alone, to a frozen view model."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Protocol

from edge.core.devices import Device
from edge.core.errors import EdgeError
from edge.core.phrases import Phrases
from edge.requests import Request
from edge.settings import Settings
from edge.store import Store


class MissingError(EdgeError):
    """There is no such page, or nothing of that number on it."""


class Running(Protocol):
    """The agent as the page knows it (edge/agent.py)."""

    settings: Settings
    store: Store
    snapshot: Mapping[str, Any]
    on_publish: list[Callable[[str, Mapping[str, Any]], None]]

    def ask(self, request: Request) -> "Future[dict[str, Any]]":
        """Ask the agent; the future is its answer."""
        ...


@dataclass(frozen=True)
class Visit:
    """What a view may look at.

    `scores`: of the behaviors of a time, by row; `snapshot`: the agent's status of a moment ago; `newest`: the behavior
    scored last since the start, {} before it; `now`: the home's, seconds since the epoch; `wall`: the clock's; `query`:
    of the address; `number`: of its path; `file`: the settings file; `known`: devices by id as the
    home's dictionary has them.
    """

    store: Store
    settings: Settings
    snapshot: Mapping[str, Any]
    scores: Callable[[float, float], dict[int, float]]
    phrases: Phrases
    now: float
    wall: float
    newest: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    file: Path | None = None
    known: Mapping[str, Device] = field(default_factory=dict)

    @property
    def zone(self) -> tzinfo:
        """The home's time zone."""
        return self.settings.home.zone

    def local(self, moment: float) -> datetime:
        """Return a moment in the home's time."""
        return datetime.fromtimestamp(moment, self.zone)

    def devices(self) -> list[Device]:
        """Return every device that was heard of, by id, under the name the home's dictionary gives it."""
        return [self.known.get(device.id, device) for device in self.store.devices()]

    def names(self) -> dict[str, str]:
        """Return the name of every device by its id."""
        return {device.id: device.name for device in self.devices()} | {
            device.id: device.name for device in self.known.values()
        }
