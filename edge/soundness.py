"""What a sound record is: a file that SQLite can read, with the tables of this version, and rows that make sense.

SQLite keeps no checksums: a name that became another name is not noticed. What would end or mislead the agent is.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from edge.core.errors import DamageError, StoreError
from edge.database import BOUNDLESS, Database, migrations
from edge.writelog import read

_LATEST = 253_402_300_799  # the last second of the year 9999
_TIME = f"typeof(time) = 'real' AND time BETWEEN 0 AND {_LATEST}"
ROWS: Mapping[str, str] = {  # by table, in the order they refer to each other: when a row makes sense
    "devices": "typeof(id) = 'text' AND typeof(name) = 'text' AND typeof(kind) = 'text'",
    "pairs": "typeof(device) = 'text' AND typeof(control) = 'text'",
    "behaviors": f"{_TIME} AND typeof(pair) = 'integer' "
    "AND (mark IS NULL OR typeof(mark) = 'blob' AND length(mark) = 10)",
    "states": "typeof(device) = 'text' AND typeof(property) = 'text' AND typeof(value) = 'text'",
    "seen": "typeof(n) = 'integer' AND n >= 0 AND typeof(mid) = 'integer' AND typeof(digest) = 'blob'",
    "counters": "typeof(reason) = 'text' AND typeof(n) = 'integer' AND n >= 0",
    "alerts": f"{_TIME} AND (behavior IS NULL OR typeof(behavior) = 'integer') AND typeof(score) = 'real' "
    "AND typeof(threshold) = 'real' AND typeof(sentence) = 'text' AND typeof(state) = 'text' "
    "AND typeof(explanation) = 'text'",
    "facts": "typeof(key) = 'text' AND typeof(value) = 'text' AND json_valid(value)",
    "adaptations": f"{_TIME} AND typeof(scene) = 'text' AND typeof(report) = 'text' AND json_valid(report) "
    "AND json_type(report) = 'object'",
    "scores": "typeof(score) = 'real'",
}
_WORDS = {"devices", "pairs", "states", "counters", "alerts", "facts", "adaptations"}  # tables that hold text
_BEGIN = b"SQLite format 3\0\x02\x02\0\x40\x20\x20"  # with a log beside it, and no spare bytes
_HEADERS = (_BEGIN + b"\0\0\0\4\0\0\0\1", _BEGIN + bytes(8))  # schema 4 in UTF-8; or no table yet
_SCHEMA = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"


def damage(path: Path) -> str:
    """Say what is wrong with a database that may be in use, "" where nothing is; raises StoreError."""
    if not path.stat().st_size and left(path):
        return "it is empty, and what lies beside it is not"
    if not _header(path):
        return "it does not begin as a database does"
    if read(path.with_name(f"{path.name}-wal")).broken:
        return "its log is damaged"
    database = Database.bare(path)
    try:
        return _damage(database)
    except DamageError as error:
        return str(error.__cause__) or BOUNDLESS
    finally:
        database.close()


def left(path: Path) -> bool:
    """Tell whether there was more than an empty record: a log lies beside it, or a model that learned from it."""
    log = path.with_name(f"{path.name}-wal")
    return (log.exists() and log.stat().st_size > 0) or (path.parent / "slots" / "current.json").exists()


def _header(path: Path) -> bool:
    """Tell whether a file is empty or begins with SQLite's header: with another, errors would say anything."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    fixed = head[:16] + head[18:24] + head[44:48] + head[56:60]
    return not head or fixed in _HEADERS


def _damage(database: Database) -> str:
    found = str(database.rows("PRAGMA integrity_check(1)")[0][0]).replace("\n", " ")
    version, newest = database.version(), max(migrations())
    tables = database.rows(_SCHEMA)
    if found != "ok":
        return found
    if version > newest and tables != _schema(newest):
        return ""  # of a newer version of sceneshift: opening it says so
    if version > newest or tables != _schema(version):
        return "its tables are not those it was made with"
    return _nonsense(database) if version == newest else ""  # else it is brought up to date first


def _nonsense(database: Database) -> str:
    for table, makes_sense in ROWS.items():
        if database.rows(f"SELECT 1 FROM {table} WHERE ({makes_sense}) IS NOT 1 LIMIT 1"):  # noqa: S608
            return f"a row of its {table} makes no sense"
        if table in _WORDS:
            for _ in database.each(f"SELECT * FROM {table}"):  # noqa: S608  text that is none is met where it is read
                pass
    unknown = database.rows("PRAGMA foreign_key_check")
    return f"a row of its {unknown[0][0]} names what is not there" if unknown else ""


@cache
def _schema(version: int) -> list[tuple[object, ...]]:
    """Return what the migrations up to one make."""
    scripts = {number: script for number, script in migrations().items() if number <= version}
    return Database.in_memory(scripts).rows(_SCHEMA) if scripts else []
