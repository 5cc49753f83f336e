"""A backup: one file of all that was lived and learned, consistent though the agent runs meanwhile.

It is an ordinary tar, manifest first (sha256 of every file), and a last line with the sha256 of all before it: what was
cut off or changed anywhere is noticed. No password, no token, no key is in it; the models that ship are not either.

sceneshift.tar
├── manifest.json
├── sceneshift.db          as of one moment, without what was deleted
└── slots/                 current.json and every slot it names, verified
"""

import glob
import hashlib
import io
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from edge import __version__
from edge.core.errors import ArtifactError, StoreError
from edge.core.manifest import Hash
from edge.database import Database, migrations
from edge.durable import flush, settle, why
from edge.slots import Slots
from edge.store import FILE, recorded

MANIFEST = "manifest.json"
SCRATCH = "-unfinished"  # and what a backup that was killed leaves, until the next to the same file
END = b"sha256 %s\n"
END_SIZE = len(END % (b"0" * 64))
_TRIES = 5  # a slot that is deleted while it is read is one the pointer no longer names
_CHUNK = 1 << 20
_SLOT = r"slots/(current\.json|[0-9]{4,12}(-[a-z0-9]+)*/(manifest\.json|parameters\.npy))"
Place = Annotated[str, Field(pattern=rf"^(sceneshift\.db|{_SLOT})$")]


class Part(BaseModel):
    """A file of a backup."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: NonNegativeInt
    sha256: Hash


class BackupManifest(BaseModel):
    """What is in a backup, in its order. `created`: seconds since the epoch; `database`: number of its schema."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = 1
    version: str
    created: float
    database: int
    behaviors: int
    files: dict[Place, Part]


def back_up(directory: Path, out: Path, now: float) -> BackupManifest:
    """Write a backup of a data directory, whole or not at all; `now`: seconds since the epoch. Raises StoreError."""
    if out.is_dir() or out.resolve() == recorded(directory).resolve():
        raise StoreError(f"{out} is a folder or the record itself: name another file")
    try:
        for broken_off in out.parent.glob(f".{glob.escape(out.name)}-*{SCRATCH}"):
            shutil.rmtree(broken_off, ignore_errors=True)
        with tempfile.TemporaryDirectory(SCRATCH, f".{out.name}-", out.parent) as scratch:  # for its owner alone
            database = Path(scratch) / FILE
            behaviors = _copied(directory / FILE, database)
            slots = _slots(directory / "slots")
            manifest = BackupManifest(
                version=__version__,
                created=now,
                database=max(migrations()),
                behaviors=behaviors,
                files={FILE: _part_of(database), **{name: _part(content) for name, content in slots.items()}},
            )
            _write(Path(scratch) / "backup", manifest, database, slots)
            (Path(scratch) / "backup").replace(out)
        settle(out.parent)
    except OSError as error:
        raise StoreError(f"{out}: {why(error)}") from error
    return manifest


def _copied(source: Path, to: Path) -> int:
    """Copy the database as it is at one moment; return how many behaviors the copy holds."""
    database = Database.open(source, migrations(), read_only=True)
    try:
        database.copy(to)
    finally:
        database.close()
    copy = Database.open(to, migrations(), read_only=True)
    try:
        return int(copy.rows("SELECT count(*) FROM behaviors")[0][0])
    finally:
        copy.close()


def _slots(directory: Path) -> dict[str, bytes]:
    """Read the pointer and the slots, verified; those that are corrupt, or named nowhere any more, are left out."""
    if not directory.is_dir():
        return {}
    slots = Slots(directory)
    for _ in range(_TRIES):
        pointer = directory / "current.json"
        named = pointer.read_bytes() if pointer.exists() else None
        files: dict[str, bytes] = {}
        for name in slots.names():
            try:
                slots.load(name)
                for part in ("manifest.json", "parameters.npy"):
                    files[f"slots/{name}/{part}"] = (directory / name / part).read_bytes()
            except (ArtifactError, FileNotFoundError):
                files = {key: content for key, content in files.items() if not key.startswith(f"slots/{name}/")}
        if named == (pointer.read_bytes() if pointer.exists() else None):
            return {**({} if named is None else {"slots/current.json": named}), **files}
    raise StoreError(f"{directory}: the slots change as fast as they are read; back up again in a minute")


def _write(path: Path, manifest: BackupManifest, database: Path, slots: dict[str, bytes]) -> None:
    """Write the file and wait until the disk has it."""
    with path.open("xb") as file:
        path.chmod(0o600)
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            _add(tar, MANIFEST, manifest.model_dump_json(indent=1).encode(), manifest.created)
            with database.open("rb") as content:
                tar.addfile(_entry(FILE, manifest.files[FILE].size, manifest.created), content)
            for name, content_of in slots.items():
                _add(tar, name, content_of, manifest.created)
        file.flush()
        with path.open("rb") as whole:
            file.write(END % digest(whole).encode())
        flush(file)


def _add(tar: tarfile.TarFile, name: str, content: bytes, time: float) -> None:
    tar.addfile(_entry(name, len(content), time), io.BytesIO(content))


def _entry(name: str, size: int, time: float) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, int(time), 0o600
    return entry


def _part(content: bytes) -> Part:
    return Part(size=len(content), sha256=hashlib.sha256(content).hexdigest())


def _part_of(path: Path) -> Part:
    with path.open("rb") as file:
        return Part(size=path.stat().st_size, sha256=digest(file))


def digest(file: IO[bytes], size: int | None = None) -> str:
    """Return the sha256 of what is left of a file, or of its next `size` bytes."""
    found = hashlib.sha256()
    left = size
    while left is None or left:
        chunk = file.read(_CHUNK if left is None else min(left, _CHUNK))
        if not chunk:
            break
        found.update(chunk)
        left = None if left is None else left - len(chunk)
    return found.hexdigest()
