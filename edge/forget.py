"""Forgetting: a device, what came before a day, or everything; found first, then done, then looked for in every file.

What is in doubt goes: a report or a model that may have been made of what is forgotten, all that the language model
keeps of its prompts, what the broker's messages are recognized by. Done twice it does the rest of what was broken off.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.alerts import MUTES
from edge.core.devices import Device
from edge.core.errors import ArtifactError, SettingsError, StoreError
from edge.core.mentions import Mentions
from edge.core.quiet import fits
from edge.core.scenes import Scene
from edge.database import Database, migrations
from edge.history import RECENT
from edge.importing import IMPORTS
from edge.renumber import renumber
from edge.restore import SCRATCH
from edge.slots import Slots
from edge.store import FILE, recorded

GONE = "(told of a device that is forgotten)"  # instead of a sentence
_ALWAYS = ("heartbeat", "learned", "last_probation")  # facts that any forgetting makes untrue
_BY_SLOT = ("calibrations", "held_out")  # facts with a part for each slot
_KEPT = ("lock", "models", "web-token")  # in a data directory, and nothing of what was lived
_CHOSEN = """
INSERT INTO whole (old, time, pair) SELECT id, time, pair FROM behaviors
WHERE time >= ? AND pair NOT IN (SELECT id FROM parted) ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What is there of what is to be forgotten: numbers of rows, names of slots."""

    devices: tuple[Device, ...] = ()
    behaviors: int = 0
    alerts: tuple[int, ...] = ()
    sentences: tuple[int, ...] = ()  # alerts of other devices, whose sentence goes
    reports: tuple[int, ...] = ()
    slots: tuple[str, ...] = ()
    forms: tuple[bytes, ...] = field(default=(), repr=False)  # what no file may hold afterwards

    def summary(self, *, keep_models: bool = False) -> str:
        """Say what goes, for a person to decide on."""
        parts = [
            ", ".join(device.name for device in self.devices),
            f"{self.behaviors} behaviors",
            f"{len(self.alerts)} alerts ({len(self.sentences)} more lose their sentence)",
            f"{len(self.reports)} reports",
            "" if keep_models else f"{len(self.slots)} models that learned from it",
        ]
        return "; ".join(part for part in parts if part)


class Forgetting:
    """Forgets some of a data directory that nobody else holds (edge/lock.py)."""

    def __init__(self, directory: Path, *, device: str = "", before: float = float("-inf")) -> None:
        """Find devices by id or name, else by a glob of them, and what is older than `before` (seconds, epoch).

        Raises StoreError where nothing was recorded, SettingsError where no device fits.
        """
        self.directory = directory
        self._before = before
        recorded(directory)
        self._slots = Slots(directory / "slots")
        self._database = Database.open(directory / FILE, migrations())
        try:
            self._mentions = Mentions(())
            self.found = self._find(device)
        except (StoreError, SettingsError):
            self._database.close()
            raise

    def close(self) -> None:
        """Close what was opened."""
        self._database.close()

    def do(self, *, keep_models: bool = False) -> int:
        """Forget it; return how many files were searched for what must be gone. Raises StoreError."""
        drop = () if keep_models else self.found.slots
        self._slots.drop(drop)
        shutil.rmtree(self.directory / "states", ignore_errors=True)
        with self._database.erasing():
            self._write(drop)
        return 0 if keep_models else len(searched(self.directory, self.found.forms))

    def _find(self, device: str) -> Found:
        rows = [Device(*row) for row in self._database.rows("SELECT id, name, kind FROM devices ORDER BY id")]
        named = [each for each in rows if device and device in {each.id, each.name}]
        devices = tuple(named or (each for each in rows if device and fits([device], each)))
        if device and not devices:
            self._database.erase()  # the rest of what was broken off
            raise SettingsError(f"no device that was recorded is called {device!r:.80}: names and ids, or a glob")
        others = [each for each in rows if each not in devices]
        self._mentions = Mentions([*devices, *self._earlier({each.id for each in devices})], others)
        borne = [text.encode() for each in others for text in (each.id, each.name)]
        forms = [form for form in self._mentions.forms() if len(form) > 5 and not any(form in name for name in borne)]
        alerts, sentences = self._find_alerts({each.id for each in devices})
        return Found(
            devices,
            self._count("time < ?", self._before) + sum(self._acts(each.id) for each in devices),
            alerts,
            sentences,
            tuple(self._find_reports()),
            tuple(self._find_slots({each.id for each in devices})),
            tuple(forms),
        )

    def _earlier(self, ids: set[str]) -> Iterator[Device]:
        """Yield devices under the names they had when something was told of them."""
        for (text,) in self._database.rows("SELECT explanation FROM alerts WHERE explanation <> ''"):
            why = json.loads(text)
            for told in (why, *why.get("expected", ())):
                if told.get("device") in ids:
                    yield Device(told["device"], told.get("name", ""), "")

    def _acts(self, device: str) -> int:
        return self._count("time >= ? AND pair IN (SELECT id FROM pairs WHERE device = ?)", self._before, device)

    def _count(self, condition: str, *values: Any) -> int:
        return int(self._database.rows(f"SELECT count(*) FROM behaviors WHERE {condition}", *values)[0][0])  # noqa: S608  our own words

    def _find_alerts(self, ids: set[str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the alerts that go, and those that only name what goes."""
        query = (
            "SELECT a.id, a.time, p.device, a.sentence, a.explanation FROM alerts a "
            "LEFT JOIN behaviors b ON b.id = a.behavior LEFT JOIN pairs p ON p.id = b.pair ORDER BY a.id"
        )
        alerts, sentences = [], []
        for number, time, device, sentence, explanation in self._database.rows(query):
            why = json.loads(explanation or "{}")
            if time < self._before or device in ids or why.get("device") in ids:
                alerts.append(number)
            elif self._mentions.within([sentence, why]):
                sentences.append(number)
        return tuple(alerts), tuple(sentences)

    def _find_reports(self) -> Iterator[int]:
        for number, time, scene, report in self._database.rows("SELECT id, time, scene, report FROM adaptations"):
            if self._made_of(time) or self._mentions.within([scene, json.loads(report)]):
                yield number

    def _find_slots(self, ids: set[str]) -> Iterator[str]:
        for name in self._slots.names():
            try:
                manifest = self._slots.load(name)[0]
            except ArtifactError:
                yield name  # nobody can tell what it learned from
                continue
            known = not ids.isdisjoint(manifest.vocabulary.devices) or self._mentions.within(manifest.scene)
            if known or self._made_of(manifest.created):
                yield name

    def _made_of(self, time: float) -> bool:
        """Tell whether what was made at a time was made of behaviors that are too old now."""
        query = "SELECT min(time) FROM (SELECT time FROM behaviors WHERE time <= ? ORDER BY time DESC LIMIT ?)"
        oldest = self._database.rows(query, time, RECENT)[0][0]
        return min(time, time if oldest is None else oldest) < self._before

    def _write(self, dropped: tuple[str, ...]) -> None:
        """Delete the rows, as part of a transaction."""
        database, found = self._database, self.found
        database.write("CREATE TEMP TABLE parted (id INTEGER PRIMARY KEY)")
        for device in found.devices:
            database.write("INSERT INTO parted SELECT id FROM pairs WHERE device = ?", device.id)
        for table, numbers in (("alerts", found.alerts), ("adaptations", found.reports)):
            database.write_many(f"DELETE FROM {table} WHERE id = ?", [(each,) for each in numbers])  # noqa: S608  ours
        strip = "UPDATE alerts SET sentence = ?, explanation = '' WHERE id = ?"
        database.write_many(strip, [(GONE, number) for number in found.sentences])
        renumber(database, 1, _CHOSEN, self._before)
        database.write("DELETE FROM pairs WHERE id NOT IN (SELECT pair FROM behaviors)")
        database.write("DROP TABLE temp.parted")
        for device in found.devices:
            database.write("DELETE FROM states WHERE device = ?", device.id)
            database.write("DELETE FROM devices WHERE id = ?", device.id)
        database.write("DELETE FROM seen")
        database.write("UPDATE behaviors SET mark = NULL")
        self._write_facts(dropped)

    def _write_facts(self, dropped: tuple[str, ...]) -> None:
        for key, text in self._database.rows("SELECT key, value FROM facts"):
            value = self._kept(key, json.loads(text), dropped)
            if value is None:
                self._database.write("DELETE FROM facts WHERE key = ?", key)
            elif value != json.loads(text):
                self._database.write("UPDATE facts SET value = ? WHERE key = ?", json.dumps(value), key)

    def _kept(self, key: str, value: Any, dropped: tuple[str, ...]) -> Any:
        """Return what stays of a fact, None where nothing does."""
        if key in _ALWAYS or (key == "probation" and isinstance(value, dict) and value.get("incumbent") in dropped):
            return None
        if isinstance(value, dict) and key in _BY_SLOT:
            return {slot: each for slot, each in value.items() if slot not in dropped}
        if isinstance(value, dict) and key == MUTES:
            return {glob: until for glob, until in value.items() if not self._mentions.within(glob)}
        if isinstance(value, str) and key == "scene" and self._mentions.within(value):
            return str(Scene().over(Scene.parse(value)))
        if isinstance(value, dict) and key == IMPORTS:
            value = {reading: self._stateless(each) for reading, each in value.items()}
        return None if self._mentions.within([key, value]) else value

    def _stateless(self, reading: Any) -> Any:
        """Return where a reading of the past stands without the states of what goes: it is not read again."""
        states = reading.get("states", ()) if isinstance(reading, dict) else ()
        return (
            {**reading, "states": [each for each in states if not self._mentions.within(each)]} if states else reading
        )


def forget_all(directory: Path) -> list[str]:
    """Delete all that was lived and learned; return the names of files in the directory that are no part of it."""
    for folder in (directory / "states", directory / "slots", *directory.glob(f"{SCRATCH}*")):
        shutil.rmtree(folder, ignore_errors=True)
    for name in (f"{FILE}-wal", f"{FILE}-shm", FILE):
        (directory / name).unlink(missing_ok=True)
    left = [name for name in ("states", "slots", FILE) if (directory / name).exists()]
    if left:
        raise StoreError(f"{directory}: {', '.join(left)} could not be deleted; delete it by hand")
    return sorted(path.name for path in directory.iterdir() if path.name not in _KEPT)


def searched(directory: Path, forms: tuple[bytes, ...]) -> list[Path]:
    """Search every file of a home for what must be gone; return them. Raises StoreError where it is found."""
    files = sorted(path for path in directory.rglob("*") if path.is_file() and not _foreign(path, directory))
    for path in files:
        content = path.read_bytes()
        if any(form in content for form in forms):
            raise StoreError(
                f"it is forgotten, but {path} still holds it: a copy, or another's file? delete that by hand"
            )
    return files


def _foreign(path: Path, directory: Path) -> bool:
    return path.relative_to(directory).parts[0] in _KEPT
