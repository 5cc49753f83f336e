"""Renumbering: rows of behaviors numbered 1, 2, 3, ... again, and what points at one with it.

What is newest is asked for by its row (edge/history.py, edge/agent.py): a gap would hide behaviors.
"""

from typing import Any

from edge.database import Database

_BEFORE = """
CREATE TEMP TABLE whole (id INTEGER PRIMARY KEY, old INTEGER, time REAL NOT NULL, pair INTEGER NOT NULL);
CREATE TEMP TABLE judged (id INTEGER PRIMARY KEY, score REAL NOT NULL);
"""
# Rows are changed in place: one that is deleted and written again would take what points at it along.
_RENUMBER = """
CREATE INDEX temp.whole_old ON whole (old);
INSERT INTO behaviors (id, time, pair)
SELECT id, time, pair FROM whole WHERE old IS NOT id AND id > (SELECT min(id) FROM whole)
ON CONFLICT (id) DO UPDATE SET time = excluded.time, pair = excluded.pair;
UPDATE alerts SET behavior = (SELECT id FROM whole WHERE old = alerts.behavior)
WHERE behavior > (SELECT min(id) FROM whole);
INSERT INTO judged SELECT w.id, s.score FROM scores s JOIN whole w ON w.old = s.behavior;
DELETE FROM scores WHERE behavior > (SELECT min(id) FROM whole);
INSERT INTO scores (behavior, score) SELECT id, score FROM judged;
DELETE FROM behaviors WHERE id > (SELECT max(id) FROM whole);
DROP TABLE temp.whole;
DROP TABLE temp.judged;
"""


def renumber(database: Database, first: int, chosen: str, *values: Any) -> None:
    """Make the behaviors from row `first` on those that `chosen` says, in its order: part of an open transaction.

    `chosen` fills the temporary table `whole` with (old, time, pair) in order; `old` is the row a behavior has now,
    NULL for a new one. What is not chosen is deleted, with its score; an alert of it points at nothing.
    """
    database.run(_BEFORE)
    database.write("INSERT INTO whole VALUES (?, NULL, 0, 0)", first - 1)  # numbers go on from here
    database.write(chosen, *values)
    database.run(_RENUMBER)
