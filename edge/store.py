"""Everything that happened, in one SQLite file: what the other parts ask it and tell it."""

import json
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from edge.core.behaviors import Behavior, Entry
from edge.core.devices import Device
from edge.core.errors import DamageError, StoreError
from edge.core.events import Message
from edge.core.explanations import parse_explanation
from edge.core.verdicts import TOLD, Alert
from edge.database import MEND, Database, migrations
from edge.lock import OWNER, alone
from edge.merge import Merged, merge
from edge.recorder import Recorder
from edge.retention import Room, release
from edge.scores import Scores

__all__ = ["FILE", "Adaptation", "Alert", "Entry", "Merged", "Room", "Store", "recorded"]

FILE = "sceneshift.db"
_ROWS = 2000  # read at once while iterating
_ALERTS = "SELECT time, behavior, score, threshold, sentence, state, id, explanation FROM alerts"


@dataclass(frozen=True, slots=True)
class Adaptation:
    """One run of the slow loop and its report."""

    id: int
    time: float
    scene: str
    report: Any = field(hash=False)


class Store:
    """The database of one home. Threads may share it; other processes may read the file meanwhile."""

    def __init__(self, database: Database, directory: Path) -> None:
        self._database = database
        self._directory = directory
        self._noted: deque[Alert] = deque()  # alerts that are not written yet
        self._scores = Scores(database)
        self._recorder = Recorder(database, self._scores)

    @classmethod
    def open(cls, directory: Path, *, read_only: bool = False) -> Self:
        """Open or make the database in a directory; raises StoreError where it cannot be used."""
        path = recorded(directory) if read_only else directory / FILE
        database = Database.open(path, migrations(), read_only=read_only)
        try:
            return cls(database, directory)
        except StoreError:
            database.close()
            raise

    def close(self) -> None:
        """Write what waits, and close."""
        self.flush()
        self._database.close()

    def flush(self) -> None:
        """Write what waits for the next change: counts, scores, alerts nobody was told of."""
        self._recorder.flush()
        self._write_noted()

    def known(self, message: Message) -> bool:
        """Tell whether a message is one the broker sent before and `record` has taken."""
        return self._recorder.known(message)

    def record(self, batch: Sequence[Entry]) -> list[list[int]]:
        """Write a batch in one durable transaction; return the new behavior rows of each entry.

        An entry that was rejected has [], and one the broker sent twice. Raises StoreError, and then
        nothing of the batch was written and it may be recorded again.
        """
        return self._recorder.record(batch)

    def remember(self, devices: Iterable[Device]) -> None:
        """Keep names and classes of devices, new or changed, that have not acted yet."""
        self._recorder.remember(devices)

    def drop(self, devices: Iterable[str]) -> None:
        """Forget devices that never acted, and their states."""
        self._recorder.drop(devices)

    def merge(self, behaviors: Iterable[tuple[Behavior, str]], devices: Iterable[Device]) -> Merged:
        """Take behaviors of the past, each with its device's shown name, into the record, all of them or none.

        Rows from the first of them on are numbered anew, by time. Raises StoreError, also while an agent lives here.
        """
        with alone(self._directory):
            self._recorder.flush()
            merged = merge(self._database, behaviors, devices)
            self._recorder = Recorder(self._database, self._scores)
            return merged

    def release(self, room: Room) -> Iterator[int]:
        """Let go of the oldest that is beyond the room, step by step, a night's share; yield the rows each took."""
        return release(self._database, self._recorder, room)

    def states(self) -> dict[tuple[str, str], str]:
        """Return the last value of every (device id, property)."""
        return {(row[0], row[1]): row[2] for row in self._database.rows("SELECT device, property, value FROM states")}

    def devices(self) -> list[Device]:
        """Return every device heard of, by id."""
        return [Device(*row) for row in self._database.rows("SELECT id, name, kind FROM devices ORDER BY id")]

    def pairs(self) -> list[tuple[str, str]]:
        """Return every (device id, control) that has occurred, in order of first occurrence."""
        return [(row[0], row[1]) for row in self._database.rows("SELECT device, control FROM pairs ORDER BY id")]

    def began(self) -> float | None:
        """Return the time of the first behavior, None before it."""
        rows = self._database.rows("SELECT time FROM behaviors ORDER BY id LIMIT 1")
        return float(rows[0][0]) if rows else None

    def count(self) -> int:
        """Return the number of behaviors."""
        return int(self._database.rows("SELECT count(*) FROM behaviors")[0][0])

    def newest(self) -> int:
        """Return the row of the newest behavior, 0 before it: rows count on, whatever of the past has left."""
        return int(self._database.rows("SELECT coalesce(max(id), 0) FROM behaviors")[0][0])

    def counters(self) -> dict[str, int]:
        """Return how many messages were set aside, by reason."""
        written = Counter({row[0]: row[1] for row in self._database.rows("SELECT reason, n FROM counters")})
        return dict(sorted((written + self._recorder.counted()).items()))

    def behaviors(self, since: float = float("-inf"), until: float = float("inf")) -> Iterator[Behavior]:
        """Yield the behaviors of since <= time < until, in order of arrival."""
        return (behavior for _, behavior in self.behaviors_with_ids(since, until))

    def behaviors_with_ids(
        self, since: float = float("-inf"), until: float = float("inf"), after: int = 0
    ) -> Iterator[tuple[int, Behavior]]:
        """Yield (row id, behavior) in order of arrival; only rows beyond `after`. Writing meanwhile is allowed."""
        query = (
            "SELECT b.id, b.time, p.device, p.control FROM behaviors b JOIN pairs p ON p.id = b.pair "
            "WHERE b.id > ? AND b.time >= ? AND b.time < ? ORDER BY b.id LIMIT ?"
        )
        while rows := self._database.rows(query, after, since, until, _ROWS):
            yield from ((row[0], Behavior(row[1], row[2], row[3])) for row in rows)
            after = rows[-1][0]

    def add_scores(self, scores: Mapping[int, float]) -> None:
        """Keep scores by behavior row, written with the next changes; one that is no finite number is none."""
        self._scores.add(scores)

    def scores(self, since: float = float("-inf"), until: float = float("inf")) -> dict[int, float]:
        """Return the scores of the behaviors of since <= time < until, by row, as far back as they are kept."""
        return self._scores.between(since, until)

    def add_alert(self, alert: Alert) -> int:
        """Keep an alert (its `id` is not used); return its id."""
        with self._database.transaction():
            return [self._write_alert(each) for each in (*self._take_noted(), alert)][-1]

    def note_alert(self, alert: Alert) -> None:
        """Keep an alert that nobody is told of, written before alerts are next read or one is added.

        What is unusual and kept quiet can come in hundreds: it is worth no commit each.
        """
        self._noted.append(alert)

    def _take_noted(self) -> list[Alert]:
        return [self._noted.popleft() for _ in range(len(self._noted))]

    def _write_noted(self) -> None:
        """Write the alerts that were only noted."""
        if self._noted:
            with self._database.transaction():
                for alert in self._take_noted():
                    self._write_alert(alert)

    def _write_alert(self, alert: Alert) -> int:
        why = "" if alert.explanation is None else json.dumps(alert.explanation.as_json())
        insert = (
            "INSERT INTO alerts (time, behavior, score, threshold, sentence, state, explanation) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        values = (alert.time, alert.behavior, alert.score, alert.threshold, alert.sentence, alert.state, why)
        return self._database.write(insert, *values)

    def alerts(self, since: float = float("-inf"), states: Collection[str] = TOLD) -> list[Alert]:
        """Return the alerts from a time on that are in one of these states, by default those told; the oldest first."""
        self._write_noted()
        query = f"{_ALERTS} WHERE time >= ? AND state IN ({_marks(states)}) ORDER BY id"
        return [_alert(row) for row in self._database.rows(query, since, *states)]

    def alert(self, number: int) -> Alert | None:
        """Return one alert by its id, whatever its state, None where there is none."""
        self._write_noted()
        rows = self._database.rows(f"{_ALERTS} WHERE id = ?", number)
        return _alert(rows[0]) if rows else None

    def alert_states(self, since: float = float("-inf")) -> dict[str, int]:
        """Return how many unusual behaviors from a time on are kept in each state."""
        self._write_noted()
        query = "SELECT state, count(*) FROM alerts WHERE time >= ? GROUP BY state ORDER BY state"
        return {row[0]: row[1] for row in self._database.rows(query, since)}

    def mark_alert(self, alert: int, state: str) -> bool:
        """Change an alert's state, for example to what the user said of it; False where there is no such alert."""
        self._write_noted()
        with self._database.transaction():
            found = self._database.rows("UPDATE alerts SET state = ? WHERE id = ? RETURNING id", state, alert)
        return bool(found)

    def fact(self, key: str, default: Any = None) -> Any:
        """Return the JSON value kept under a key."""
        rows = self._database.rows("SELECT value FROM facts WHERE key = ?", key)
        return _json(rows[0][0]) if rows else default

    def set_fact(self, key: str, value: Any) -> None:
        """Keep a JSON value under a key; one that is there already costs no write."""
        upsert = (
            "INSERT INTO facts (key, value) VALUES (?, ?) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE value <> excluded.value"
        )
        with self._database.transaction():
            self._database.write(upsert, key, json.dumps(value))

    def add_adaptation(self, time: float, scene: str, report: Any) -> int:
        """Keep the report of one adaptation; return its id."""
        insert = "INSERT INTO adaptations (time, scene, report) VALUES (?, ?, ?)"
        return self._insert(insert, time, scene, json.dumps(report))

    def adaptations(self) -> list[Adaptation]:
        """Return every adaptation, the oldest first."""
        rows = self._database.rows("SELECT id, time, scene, report FROM adaptations ORDER BY id")
        return [Adaptation(row[0], row[1], row[2], _json(row[3])) for row in rows]

    def _insert(self, statement: str, *values: Any) -> int:
        with self._database.transaction():
            return self._database.write(statement, *values)


def recorded(directory: Path) -> Path:
    """Return a directory's database; raises StoreError where there is none, or who asks may not look."""
    path = directory / FILE
    try:
        if path.exists():
            return path
    except PermissionError as error:
        raise StoreError(f"{path}: {error.strerror}: {OWNER}") from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    raise StoreError(f"{path}: nothing has been recorded here yet")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise DamageError(f"{FILE} is damaged (what should be JSON is none): {MEND}") from error


def _alert(row: tuple[Any, ...]) -> Alert:
    time, behavior, score, threshold, sentence, state, number, why = row
    return Alert(time, behavior, score, threshold, sentence, state, number, parse_explanation(why))


def _marks(states: Collection[str]) -> str:
    return ", ".join("?" * len(states))
