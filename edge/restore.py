"""Restoring: a backup verified to the last byte, then put where a home's data is; what was there is set aside.

Nothing is touched before everything is verified. Then the slots change places, then the database, by one rename: at no
moment is there none. Set aside is `before-<time>` within the data directory, whose parent may be another's.
"""

import os
import re
import shutil
import tarfile
import tempfile
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import IO, Self

from pydantic import ValidationError

from edge.backup import END, END_SIZE, MANIFEST, BackupManifest, digest
from edge.core.errors import ArtifactError, StoreError
from edge.database import Database, migrations
from edge.durable import flush, settle, why
from edge.slots import Slots
from edge.store import FILE

MOST = 1 << 20  # bytes a manifest may have
BEFORE = "before-"
SCRATCH = ".restoring-"  # and what a restoring that was killed leaves, until the next
_GET = "the backup is not whole: copy it anew, or take another"


def restore(backup: Path, directory: Path, now: float, *, replace: bool = False) -> tuple[BackupManifest, Path | None]:
    """Put a backup into a data directory that nobody else holds (edge/lock.py).

    Returns what was in it, and where what was there before is now. Raises StoreError: where the backup is not whole or
    of a newer version, or where there is a record already and it is not to be replaced; then nothing was touched.
    """
    slots = directory / "slots"
    lived = (directory / FILE).exists() or (slots.is_dir() and any(slots.iterdir()))
    if lived and not replace:
        raise StoreError(f"{directory} holds a record already: --replace sets it aside and restores")
    try:
        for broken_off in directory.glob(f"{SCRATCH}*"):
            shutil.rmtree(broken_off)
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=directory) as scratch:
            manifest = unpacked(backup, Path(scratch))
            aside = _aside(directory, now) if lived else None
            _swap(Path(scratch), directory, aside)
    except OSError as error:
        raise StoreError(f"{directory}: {why(error)}") from error
    return manifest, aside


class _Plain(tarfile.TarInfo):
    """The header of a plain file, the one kind a backup holds: none that says it is larger than it is, or elsewhere."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read one; raises TarError for every other kind."""
        found = super().frombuf(buf, encoding, errors)
        if found.type != tarfile.REGTYPE or found.size < 0:
            raise tarfile.ReadError("no plain file")
        return found


def unpacked(backup: Path, folder: Path) -> BackupManifest:
    """Write what a backup holds into an empty folder, verified; raises StoreError."""
    try:
        with backup.open("rb") as file:
            _verify(file)
            with tarfile.open(fileobj=file, mode="r:", tarinfo=_Plain) as tar:
                manifest = _manifest(tar)
                for name in manifest.files:
                    _unpack(tar, name, manifest, folder)
                if tar.next() is not None:
                    raise StoreError(_GET)
    except OSError as error:
        raise StoreError(f"{backup}: {why(error)}") from error
    except tarfile.TarError as error:
        raise StoreError(_GET) from error
    _open_all(folder, manifest)
    return manifest


def _verify(file: IO[bytes]) -> None:
    """Compare the whole file with its last line; raises StoreError."""
    size = file.seek(0, os.SEEK_END) - END_SIZE
    if size < 0:
        raise StoreError(_GET)
    file.seek(size)
    end = file.read()
    file.seek(0)
    if end != END % digest(file, size).encode():
        raise StoreError(_GET)
    file.seek(0)


def _manifest(tar: tarfile.TarFile) -> BackupManifest:
    content = _content(tar, MANIFEST)
    try:
        told = re.search(rb'"format": *(\d+)', content)
        manifest = BackupManifest.model_validate_json(content)
    except ValidationError as error:
        newer = told is not None and told[1].lstrip(b"0") not in {b"", b"1"}
        raise StoreError("written by a newer version of sceneshift" if newer else _GET) from error
    if manifest.database > max(migrations()):
        raise StoreError(f"written by a newer version of sceneshift ({manifest.version}): install that, then restore")
    return manifest


def _content(tar: tarfile.TarFile, name: str) -> bytes:
    """Return the next entry, which must be a plain file of this name."""
    entry = tar.next()
    if entry is None or entry.name != name or entry.size > MOST:
        raise StoreError(_GET)
    file = tar.extractfile(entry)
    assert file is not None
    return file.read()


def _unpack(tar: tarfile.TarFile, name: str, manifest: BackupManifest, folder: Path) -> None:
    """Write the next entry, which must be the plain file the manifest names; its name was checked with that."""
    entry, part = tar.next(), manifest.files[name]
    if entry is None or entry.name != name or entry.size != part.size:
        raise StoreError(_GET)
    path = folder / name
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    content = tar.extractfile(entry)
    assert content is not None
    with path.open("xb") as file:
        path.chmod(0o640)
        shutil.copyfileobj(content, file)
        flush(file)
    with path.open("rb") as file:
        if digest(file) != part.sha256:
            raise StoreError(_GET)


def _open_all(folder: Path, manifest: BackupManifest) -> None:
    """Open what was unpacked as the agent will: the database sound, every slot healthy."""
    if FILE not in manifest.files:
        raise StoreError(_GET)
    database = Database.open(folder / FILE, migrations())
    try:
        if database.rows("PRAGMA integrity_check") != [("ok",)]:
            raise StoreError(_GET)
        database.settle()
    finally:
        database.close()
    if (folder / "slots").is_dir():
        slots = Slots(folder / "slots")
        try:
            for name in slots.names():
                slots.load(name)
            slots.current()
        except ArtifactError as error:
            raise StoreError(f"{_GET} ({error})") from error


def _aside(directory: Path, now: float) -> Path:
    """Make a folder for what was there before; another restoring, killed a moment ago, may have made one."""
    name = f"{BEFORE}{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}"
    places = (directory / f"{name}{'-' * (number > 0)}{number or ''}" for number in count())
    free = next(place for place in places if not place.exists())
    free.mkdir(mode=0o700)
    return free


def _swap(fresh: Path, directory: Path, aside: Path | None) -> None:
    """Put what is fresh into its place, and what was there aside."""
    if aside is not None:
        if (directory / FILE).exists():
            _settle(directory / FILE)
            os.link(directory / FILE, aside / FILE)  # it stays where it is until the fresh one takes its place
        for name in ("slots", "states"):
            if (directory / name).exists():
                (directory / name).rename(aside / name)
    if (fresh / "slots").exists():
        (fresh / "slots").rename(directory / "slots")
    for name in (f"{FILE}-wal", f"{FILE}-shm"):  # of another database: SQLite would lay it over the fresh one
        if aside is None:
            (directory / name).unlink(missing_ok=True)
        elif (directory / name).exists():
            (directory / name).rename(aside / name)
    (fresh / FILE).replace(directory / FILE)
    for folder in (directory, *([aside] if aside else [])):
        settle(folder)


def _settle(path: Path) -> None:
    """Put a database's log into its file, as far as it can be read at all: what is corrupt is set aside as it is."""
    try:
        database = Database.open(path, migrations())
    except StoreError:
        return
    try:
        if not database.settle():
            raise StoreError(f"{path}: another process reads it; end that and restore again")
    finally:
        database.close()
