"""Takes a source of the past into the record: page by page, each durable, so that a stop or a kill costs one page.

Where a reading stands is a fact of the store beside what it has read. Told twice is recognized, by the reader's place
and by the record itself.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from edge.core.behaviors import Behavior, States
from edge.core.devices import Device, kind_of
from edge.core.errors import MessageError
from edge.core.events import Event
from edge.dialects.payloads import allow
from edge.importers.past import AUTOMATION, EXCLUDED, Gone, Page, Reader, Reported, digest

CHUNK = 20_000  # behaviors in one merge
ROWS = 1_000_000  # and rows read for it at most: what a kill costs
AHEAD = 60.0  # seconds by which a clock may be ahead of ours
IMPORTS = "imports"  # the fact: where each reading stands
_KEPT = 8  # newest readings whose place is kept
UNCHANGED, OUTSIDE, FUTURE = "repeated, or the first report", "outside the days asked for", "in the future"
AUTOMATED = "done by an automation"


class Merging(Protocol):
    """What of the store is written here (edge/store.py)."""

    def merge(self, behaviors: Iterable[tuple[Behavior, str]], devices: Iterable[Device]) -> Any:
        """Take behaviors of the past in; say how many are `new` and how many `duplicates`."""
        ...

    def fact(self, key: str, default: Any) -> Any:
        """Return a fact."""
        ...

    def set_fact(self, key: str, value: Any) -> None:
        """Keep a fact."""
        ...


@dataclass(frozen=True)
class Rules:
    """What is left out. `since`, `until`: seconds since the epoch; `exclude`: globs over device ids and names."""

    since: float = float("-inf")
    until: float = float("inf")
    exclude: tuple[str, ...] = ()
    automations: bool = True  # whether what they did is taken

    def identity(self) -> str:
        """Return a digest: another rule is another reading."""
        return digest(*map(str, (self.since, self.until, self.exclude, self.automations)))


@dataclass
class Tally:
    """What became of a source so far: rows by outcome, behaviors by cause, the devices, the days (seconds)."""

    rows: int = 0
    new: int = 0
    duplicates: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    devices: dict[str, Device] = field(default_factory=dict)
    first: float = float("inf")
    last: float = float("-inf")
    resumed: bool = False

    @property
    def days(self) -> float:
        """Days between the first behavior and the last."""
        return max(0.0, self.last - self.first) / 86400

    def kinds(self) -> Counter[str]:
        """Return how many devices there are of each class."""
        return Counter(device.kind for device in self.devices.values())


Tell = Callable[[Tally, float], None]  # what became of it so far, share of the source read


class Importing:
    """One source on its way into a store; without a store, everything is read and nothing written."""

    def __init__(self, reader: Reader, store: Merging | None, rules: Rules, now: float) -> None:
        """`now`: seconds since the epoch; what lies behind it has not happened."""
        self._reader = reader
        self._store = store
        self._rules = rules
        self._until = min(rules.until, now + AHEAD)
        self._now = now
        self._key = digest(reader.identity(), rules.identity())
        self._states = States()
        self._waiting: list[tuple[Behavior, str]] = []
        self._unkept = 0  # rows since the last merge
        self.tally = Tally()

    def run(self, tell: Tell | None = None) -> Tally:
        """Read everything from where the last reading stopped; raises StoreError, and SettingsError of the source."""
        for page in self._reader.pages(self._taken_up()):
            self._take(page)
            if len(self._waiting) >= CHUNK or self._unkept >= ROWS:
                self._keep(page.position)
            last = page.position
            if tell is not None:
                tell(self.tally, page.done)
        if self._unkept:
            self._keep(last)
        return self.tally

    def _taken_up(self) -> Any:
        kept = self._kept().get(self._key)
        if not isinstance(kept, dict):
            return None
        self.tally.resumed = True
        self._states.values = {(device, prop): value for device, prop, value in kept.get("states", ())}
        return kept.get("position")

    def _take(self, page: Page) -> None:
        self.tally.rows += page.rows
        self._unkept += page.rows
        self.tally.left_out.update(page.left_out)
        for item in page.items:
            if isinstance(item, Gone):
                self._forget(item.device)
            else:
                self._hear(item)

    def _hear(self, reported: Reported) -> None:
        event = reported.event
        try:
            allow(self._rules.exclude, event.device, event.name)
        except MessageError:
            self.tally.left_out[EXCLUDED] += 1
            return
        behavior = self._states.behavior(event)
        reason = self._reason(behavior, reported.cause)
        if reason or behavior is None:
            self.tally.left_out[reason] += 1
            return
        self._waiting.append((behavior, event.name))
        self.tally.causes[reported.cause] += 1
        self._meet(event)
        self.tally.first = min(self.tally.first, behavior.time)
        self.tally.last = max(self.tally.last, behavior.time)

    def _reason(self, behavior: Behavior | None, cause: str) -> str:
        """Return why something is no behavior that is taken, "" where it is one."""
        if behavior is None:
            return UNCHANGED
        if not self._rules.since <= behavior.time < self._until:
            return FUTURE if self._now + AHEAD <= behavior.time < self._rules.until else OUTSIDE
        return AUTOMATED if cause == AUTOMATION and not self._rules.automations else ""

    def _meet(self, event: Event) -> None:
        known = self.tally.devices.get(event.device)
        if known is None or known.name != event.name:
            kind = event.kind or kind_of(event.name)
            self.tally.devices[event.device] = Device(event.device, event.name, kind)

    def _forget(self, device: str) -> None:
        """Take a device's states for unknown, or all of them: what comes next began nobody knows when."""
        values = self._states.values
        self._states.values = {key: value for key, value in values.items() if device and key[0] != device}

    def _keep(self, position: Any) -> None:
        """Write what has come, then where the reading stands: killed in between, the next one is told it again."""
        behaviors, self._waiting, self._unkept = self._waiting, [], 0
        if self._store is None:
            self.tally.new += len(behaviors)
            return
        if behaviors:
            merged = self._store.merge(behaviors, list(self.tally.devices.values()))
            self.tally.new += merged.new
            self.tally.duplicates += merged.duplicates
        states = [[device, prop, value] for (device, prop), value in self._states.values.items()]
        kept = {key: each for key, each in self._kept().items() if key != self._key}
        newest = dict(list(kept.items())[-_KEPT + 1 :])
        self._store.set_fact(IMPORTS, {**newest, self._key: {"position": position, "states": states, "at": self._now}})

    def _kept(self) -> Mapping[str, Any]:
        kept = {} if self._store is None else self._store.fact(IMPORTS, {})
        return kept if isinstance(kept, dict) else {}
