"""The scores of what was lived lately: kept beside the record, written with what is written anyway.

A score is worth no commit of its own: some wait until the next batch of behaviors is made durable. A crash loses
those, never a behavior.
"""

import math
import threading
from collections.abc import Mapping

from edge.database import Database

TOGETHER = 16  # scores that wait for each other: one page of an SD card is then written for all of them
KEPT = 35 * 86400.0  # seconds before the newest behavior from which on scores are kept
_AT_ONCE = 32  # of the oldest, looked at when others are written: what has become too old goes faster than it comes
_DROP = (
    "DELETE FROM scores WHERE behavior IN (SELECT behavior FROM (SELECT s.behavior, b.time FROM scores s "
    "JOIN behaviors b ON b.id = s.behavior ORDER BY s.behavior LIMIT ?) WHERE time < ?)"
)


class Scores:
    """The scores of behaviors, by row. Threads may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.RLock()
        self._pending: dict[int, float] = {}

    def add(self, scores: Mapping[int, float]) -> None:
        """Keep scores by behavior row until they are written; one that is no finite number is none."""
        with self._lock:
            self._pending.update({row: score for row, score in scores.items() if math.isfinite(score)})

    @property
    def waiting(self) -> int:
        """Return how many are not written yet."""
        return len(self._pending)

    def write(self) -> dict[int, float]:
        """Write, in a transaction that is open, all that waits; return it, to be settled once it is durable."""
        with self._lock:
            waiting = dict(self._pending)
        upsert = (
            "INSERT INTO scores (behavior, score) SELECT id, ? FROM behaviors WHERE id = ? "
            "ON CONFLICT (behavior) DO UPDATE SET score = excluded.score"
        )
        for row, score in waiting.items():
            self._database.write(upsert, score, row)
        newest = self._database.rows("SELECT time FROM behaviors ORDER BY id DESC LIMIT 1")
        if newest:
            self._database.write(_DROP, _AT_ONCE, newest[0][0] - KEPT)
        return waiting

    def settle(self, written: Mapping[int, float]) -> None:
        """Forget that these wait: they are durable."""
        with self._lock:
            for row, score in written.items():
                if self._pending.get(row) == score:
                    del self._pending[row]

    def between(self, since: float, until: float) -> dict[int, float]:
        """Return the scores of the behaviors of since <= time < until, by row; those that wait, too."""
        query = (
            "SELECT s.behavior, s.score FROM scores s JOIN behaviors b ON b.id = s.behavior "
            "WHERE b.time >= ? AND b.time < ? ORDER BY s.behavior"
        )
        with self._lock:  # let go before the database is asked: whoever writes has that first
            waiting = dict(self._pending)
        found = {int(row): float(score) for row, score in self._database.rows(query, since, until)}
        for row, score in waiting.items():
            lived = "SELECT 1 FROM behaviors WHERE id = ? AND time >= ? AND time < ?"
            if self._database.rows(lived, row, since, until):
                found[row] = score
        return dict(sorted(found.items()))
