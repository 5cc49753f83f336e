"""Recording: messages, and what was made of them, into the database; what the broker sends twice is recognized.

What a message says is safe once `record` has returned; only then is it acknowledged. A batch that
changes nothing writes nothing: a plug that repeats its state every second must not wear out an SD card.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from edge.core.behaviors import Behavior, Entry
from edge.core.devices import Device, kind_of
from edge.core.events import Event, Message
from edge.database import Database
from edge.scores import TOGETHER, Scores

SEEN = 8192  # newest messages remembered; well over what is recorded and not acknowledged yet, a batch or two
PENDING = 512  # of those that changed nothing, the newest that are remembered until what they told changes
LAG = 1000  # a count on disk lags by at most one part in this, so that routine messages cost no write each
DUPLICATE = "duplicate"
_MARKS = "SELECT mark FROM behaviors WHERE mark IS NOT NULL ORDER BY id DESC LIMIT ?"
_RING = "SELECT mid, digest FROM seen ORDER BY n DESC LIMIT ?"

Seen = tuple[int, bytes]  # a message: its packet id and a digest of the rest
State = tuple[str, str]  # device id and property


@dataclass
class _Memory:
    """What recording knows without asking the disk; a copy is thrown away with a batch that failed."""

    next_seen: int
    states: dict[tuple[str, str], str]
    devices: dict[str, Device]
    pairs: dict[tuple[str, str], int]
    totals: Counter[str]
    counted: Counter[str] = field(default_factory=Counter)  # not written yet
    pending: dict[Seen, frozenset[State]] = field(default_factory=dict)  # changed nothing, not written; what it told
    written: dict[Seen, None] = field(default_factory=dict)  # seen, and written in this transaction

    def copy(self) -> "_Memory":
        return _Memory(
            self.next_seen, self.states.copy(), self.devices.copy(), self.pairs.copy(),
            self.totals.copy(), self.counted.copy(), self.pending.copy(),
        )  # fmt: skip


class Recorder:
    """The one writer of behaviors, states and counters; takes `scores` along. Threads may share it."""

    def __init__(self, database: Database, scores: Scores) -> None:
        self._database = database
        self._scores = scores
        self._lock = threading.RLock()
        rows = database.rows
        marks = [_seen(mark) for (mark,) in rows(_MARKS, SEEN // 2)]
        ring = [(row[0], row[1]) for row in rows(_RING, SEEN // 2)]
        self._seen: dict[Seen, None] = dict.fromkeys(reversed([*marks, *ring]))
        self._memory = _Memory(
            int(rows("SELECT coalesce(max(n), -1) + 1 FROM seen")[0][0]),
            {(row[0], row[1]): row[2] for row in rows("SELECT device, property, value FROM states")},
            {row[0]: Device(*row) for row in rows("SELECT id, name, kind FROM devices")},
            {(row[1], row[2]): row[0] for row in rows("SELECT id, device, control FROM pairs")},
            Counter({row[0]: row[1] for row in rows("SELECT reason, n FROM counters")}),
        )

    def flush(self) -> None:
        """Write what is only counted, and the scores that wait."""
        with self._lock:
            if not self._memory.counted and not self._scores.waiting:
                return  # a reader writes nothing
            with self._database.transaction():
                scores = self._scores.write()
                self._write_counts(self._memory)
            self._scores.settle(scores)

    def counted(self) -> Counter[str]:
        """Return the counts that are not on disk yet."""
        with self._lock:
            return self._memory.counted.copy()

    def known(self, message: Message) -> bool:
        """Tell whether a message is one the broker sent before and `record` has taken."""
        return self._known(message, self._memory)

    def record(self, batch: Sequence[Entry]) -> list[list[int]]:
        """Write a batch in one durable transaction; return the new behavior rows of each entry.

        An entry that was rejected has [], and one the broker sent twice. Raises StoreError, and then
        nothing of the batch was written and it may be recorded again.
        """
        with self._lock:
            memory = self._memory.copy()
            with self._database.transaction():
                rows = [self._take(entry, memory) for entry in batch]
                if any(n * LAG >= memory.totals[reason] for reason, n in memory.counted.items()):
                    self._write_counts(memory)
                due = self._scores.waiting >= TOGETHER
                scores = self._scores.write() if due and any(rows) else {}
            self._settle(memory)
            self._scores.settle(scores)
            return rows

    def remember(self, devices: Iterable[Device]) -> None:
        """Keep names and classes of devices, new or changed, that have not acted yet."""
        with self._lock:
            memory = self._memory.copy()
            with self._database.transaction():
                for device in devices:
                    self._describe(device, memory)
            self._memory = memory

    def let_go(self, pair: int) -> bool:
        """Forget a pair that no behavior is of any more, and a device with its last pair; tell whether it is gone."""
        unused = "DELETE FROM pairs WHERE id = ? AND NOT EXISTS (SELECT 1 FROM behaviors WHERE pair = pairs.id)"
        with self._lock:
            memory = self._memory.copy()
            with self._database.transaction():
                gone = self._database.rows(f"{unused} RETURNING device, control", pair)
                for device, control in gone:
                    del memory.pairs[device, control]
                    if all(each != device for each, _ in memory.pairs):
                        self._let_go({device}, memory)
            self._memory = memory
            return bool(gone)

    def _let_go(self, devices: set[str], memory: _Memory) -> None:
        """Forget devices and their states; one that reports again is written again."""
        for device in devices:
            self._database.write("DELETE FROM states WHERE device = ?", device)
            self._database.write("DELETE FROM devices WHERE id = ?", device)
            memory.devices.pop(device, None)
        memory.states = {key: value for key, value in memory.states.items() if key[0] not in devices}

    def drop(self, devices: Iterable[str]) -> None:
        """Forget devices that never acted, and their states."""
        with self._lock:
            memory, gone = self._memory.copy(), set(devices)
            gone -= {device for device, _ in memory.pairs}
            with self._database.transaction():
                self._let_go(gone, memory)
            self._memory = memory

    def _settle(self, memory: _Memory) -> None:
        """Take over what a transaction has made durable."""
        for key in memory.written:
            self._seen.pop(key, None)  # to the end: it is the newest again
            self._seen[key] = None
        memory.written.clear()
        while len(self._seen) > SEEN:
            del self._seen[next(iter(self._seen))]
        self._memory = memory

    def _known(self, message: Message, memory: _Memory) -> bool:
        if not (message.duplicate and message.mid):
            return False
        key = _key(message)
        return key in memory.pending or key in memory.written or key in self._seen

    def _take(self, entry: Entry, memory: _Memory) -> list[int]:
        """Write one entry; return its behavior rows."""
        if entry.rejected:
            memory.counted[entry.rejected] += 1
            return []
        if self._known(entry.message, memory):
            memory.counted[DUPLICATE] += 1
            return []
        if not entry.events and not entry.behaviors:
            return []
        changed = self._write_states(entry.events, memory)
        key = _key(entry.message) if entry.message.mid else None
        mark = _mark(key) if key and entry.behaviors else None
        rows = [
            self._write_behavior(behavior, memory, None if number else mark)
            for number, behavior in enumerate(entry.behaviors)
        ]
        self._write_pending(changed, memory)
        if key and rows:
            memory.written[key] = None
        elif key and changed:
            self._write_seen(key, memory)
        elif key:
            memory.pending[key] = frozenset((event.device, event.prop) for event in entry.events)
        while len(memory.pending) > PENDING:
            del memory.pending[next(iter(memory.pending))]
        return rows

    def _write_states(self, events: Iterable[Event], memory: _Memory) -> set[State]:
        """Write devices and states that are new or different; return the states."""
        changed = set()
        for event in events:
            known = memory.devices.get(event.device)
            same_name = known is not None and known.name == event.name
            kind = event.kind or (known.kind if known and same_name else kind_of(event.name))
            self._describe(Device(event.device, event.name, kind), memory)
            key = (event.device, event.prop)
            if not event.momentary and memory.states.get(key) != event.value:
                memory.states[key] = event.value
                upsert = (
                    "INSERT INTO states (device, property, value) VALUES (?, ?, ?) "
                    "ON CONFLICT (device, property) DO UPDATE SET value = excluded.value"
                )
                self._database.write(upsert, *key, event.value)
                changed.add(key)
        return changed

    def _describe(self, device: Device, memory: _Memory) -> bool:
        if memory.devices.get(device.id) == device:
            return False
        memory.devices[device.id] = device
        upsert = (
            "INSERT INTO devices (id, name, kind) VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET name = excluded.name, kind = excluded.kind"
        )
        self._database.write(upsert, device.id, device.name, device.kind)
        return True

    def _write_behavior(self, behavior: Behavior, memory: _Memory, mark: bytes | None) -> int:
        pair = (behavior.device, behavior.control)
        if behavior.device not in memory.devices:
            self._describe(Device(behavior.device, behavior.device, kind_of(behavior.device)), memory)
        if pair not in memory.pairs:
            memory.pairs[pair] = self._database.write("INSERT INTO pairs (device, control) VALUES (?, ?)", *pair)
        insert = "INSERT INTO behaviors (time, pair, mark) VALUES (?, ?, ?)"
        return self._database.write(insert, behavior.time, memory.pairs[pair], mark)

    def _write_pending(self, changed: set[State], memory: _Memory) -> None:
        """Write what told these states before and changed nothing: sent again, it would look like a change now."""
        for key in [key for key, told in memory.pending.items() if not changed.isdisjoint(told)] if changed else ():
            del memory.pending[key]
            self._write_seen(key, memory)

    def _write_seen(self, key: Seen, memory: _Memory) -> None:
        """Write a message without behaviors into the ring."""
        n = memory.next_seen
        insert = "INSERT OR REPLACE INTO seen (slot, n, mid, digest) VALUES (?, ?, ?, ?)"
        self._database.write(insert, n % SEEN, n, *key)
        memory.next_seen += 1
        memory.written[key] = None

    def _write_counts(self, memory: _Memory) -> None:
        upsert = "INSERT INTO counters (reason, n) VALUES (?, ?) ON CONFLICT (reason) DO UPDATE SET n = n + excluded.n"
        for reason, n in memory.counted.items():
            self._database.write(upsert, reason, n)
        memory.totals.update(memory.counted)
        memory.counted.clear()


def _mark(key: Seen) -> bytes:
    return key[0].to_bytes(2, "big") + key[1]


def _seen(mark: bytes) -> Seen:
    return int.from_bytes(mark[:2], "big"), mark[2:]


def _key(message: Message) -> Seen:
    content = message.topic.encode("utf-8", "replace") + b"\0" + message.payload
    return message.mid, blake2b(content, digest_size=8).digest()
