"""Model slots on disk: written whole or not at all, verified by hash, switched by replacing one small pointer.

directory/
├── current.json           {"current": name, "history": earlier ones, oldest first, "sha256": of these two}
└── 0001-winter/           one slot: manifest.json and parameters.npy; never changed once it has its name
"""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import edge
from edge.core.errors import ArtifactError
from edge.core.manifest import ModelManifest, SlotManifest
from edge.core.scenes import NEW
from edge.core.vectors import vector
from edge.durable import settle, why, write

_NAME = re.compile(r"[0-9]{4,12}(-[a-z0-9]+)*")
_UNFINISHED = ".unfinished-"
_POINTER = ("current", "history")
SCENES = 16  # whose latest slots are kept: more than a home lives in a year


class Healthy(NamedTuple):
    """A verified slot to score with; `reason` says what was wrong with the one that should have been."""

    name: str
    manifest: SlotManifest
    parameters: NDArray[np.float32]
    reason: str | None


@dataclass(frozen=True, slots=True)
class _Pointer:
    """Which slot is used now, and which were before it, oldest first, each once."""

    current: str | None = None
    history: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "_Pointer":
        try:
            document: Any = json.loads(text)
            names = [document["current"], *document["history"]]
            whole = document.keys() == {*_POINTER} or document == json.loads(cls(names[0], tuple(names[1:])).text())
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ArtifactError("current.json is corrupt") from error
        if not whole:
            raise ArtifactError("current.json is not what was written")
        if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
            raise ArtifactError("current.json names no slot")
        return cls(names[0], tuple(names[1:]))

    def text(self) -> str:
        """Return it as JSON, with the sha256 of what it says; what an earlier version wrote has none."""
        said = dict(zip(_POINTER, (self.current, self.history), strict=True))
        return json.dumps({**said, "sha256": hashlib.sha256(json.dumps(said).encode()).hexdigest()})


def shipped(name: str) -> Path:
    """Return the newest version of a model that ships with the package; raises ArtifactError where there is none."""
    package = Path(edge.__file__).parent
    for models in (package / "models", package.parent / "models"):
        versions = [path for path in (models / name).glob("*/") if path.name.isdigit()]
        if versions:
            return max(versions, key=lambda path: int(path.name))
    raise ArtifactError(f"no model {name} is installed")


def verify_model(directory: Path) -> ModelManifest:
    """Read a shipped model's manifest and compare every file's sha256; raises ArtifactError."""
    manifest = ModelManifest.from_json(_read(directory / "manifest.json"))
    for name, expected in manifest.files.items():
        if hashlib.sha256(_read(directory / name)).hexdigest() != expected:
            raise ArtifactError(f"{directory / name} is not the file its manifest describes")
    return manifest


class Slots:
    """The slots of one home. Every change is durable before the method returns; one process writes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with _refused(directory):
            directory.mkdir(parents=True, exist_ok=True)

    def write(self, manifest: SlotManifest, parameters: NDArray[np.float32]) -> str:
        """Store a slot under a fresh name, without using it yet; returns the name."""
        buffer = BytesIO()
        np.save(buffer, np.ascontiguousarray(parameters, np.float32), allow_pickle=False)
        scene = re.sub(r"[^a-z0-9]+", "-", manifest.scene.lower())[:24].strip("-")
        name = f"{self._next_number():04d}" + (f"-{scene}" if scene else "")
        filled = manifest.model_copy(update={"name": name, "sha256": hashlib.sha256(buffer.getvalue()).hexdigest()})
        with _refused(self.directory):
            unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.directory))
            try:
                write(unfinished / "parameters.npy", buffer.getvalue())
                write(unfinished / "manifest.json", filled.sealed().encode())
                settle(unfinished)
                unfinished.rename(self.directory / name)
                settle(self.directory)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        return name

    def load(self, name: str) -> tuple[SlotManifest, NDArray[np.float32]]:
        """Return a slot, verified by hash; raises ArtifactError where it is missing or corrupt."""
        if not _NAME.fullmatch(name):
            raise ArtifactError(f"{name!r} is no slot's name")
        manifest = SlotManifest.from_json(_read(self.directory / name / "manifest.json"))
        stored = _read(self.directory / name / "parameters.npy")
        if manifest.name != name or hashlib.sha256(stored).hexdigest() != manifest.sha256:
            raise ArtifactError(f"slot {name} is not what its manifest describes")
        try:
            return manifest, vector(stored)
        except ArtifactError as error:
            raise ArtifactError(f"the parameters of slot {name} cannot be read: {error}") from error

    def current(self) -> str | None:
        """Return the slot in use, None before the first; raises ArtifactError where the pointer is corrupt."""
        return self._pointer().current

    def previous(self) -> str | None:
        """Return the slot that was in use before, None where there was none."""
        history = self._pointer().history
        return history[-1] if history else None

    def promote(self, name: str) -> None:
        """Use a slot from now on; raises ArtifactError, and changes nothing, where it is not healthy."""
        self.load(name)
        pointer = self._pointer_or_none()
        earlier = (*pointer.history, pointer.current)
        self._point(_Pointer(name, tuple(slot for slot in earlier if slot is not None and slot != name)))

    def rollback(self) -> str:
        """Go back to the newest healthy slot used before; what was in use is forgotten, not deleted.

        Raises ArtifactError, and changes nothing, where there is none.
        """
        history = self._pointer().history
        for place in reversed(range(len(history))):
            if self._reason(history[place]) is None:
                self._point(_Pointer(history[place], history[:place]))
                return history[place]
        raise ArtifactError("there is no earlier slot to go back to")

    def for_scene(self, scene: str) -> str | None:
        """Return the healthy slot used last in that scene, None where there is none (never one that was refused)."""
        pointer = self._pointer_or_none()
        for name in reversed((*pointer.history, *([pointer.current] if pointer.current else []))):
            if self._reason(name) is None and self.load(name)[0].scene == scene:
                return name
        return None

    def load_healthy(self) -> Healthy:
        """Return the current slot or, where it is corrupt, the newest healthy one; raises ArtifactError if none is.

        With the pointer itself lost, any healthy slot is better than none: the newest is taken.
        """
        reasons: list[str] = []
        for name in self._by_preference(reasons):
            try:
                manifest, parameters = self.load(name)
            except ArtifactError as error:
                reasons.append(str(error))
                continue
            return Healthy(name, manifest, parameters, "; ".join(reasons) or None)
        raise ArtifactError("no healthy slot" + (f": {'; '.join(reasons)}" if reasons else " was ever written"))

    def names(self) -> list[str]:
        """Return the names of all slots, oldest first."""
        found = [path.name for path in self.directory.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=lambda name: int(name.partition("-")[0]))

    def clear(self) -> None:
        """Delete what a write that was killed has left; for the one process that writes."""
        for unfinished in self.directory.glob(f"{_UNFINISHED}*"):
            if unfinished.is_dir():
                shutil.rmtree(unfinished, ignore_errors=True)
            else:
                with suppress(OSError):  # it is in nobody's way
                    unfinished.unlink()

    def prune(self, keep: int) -> list[str]:
        """Delete old slots but the current, the previous, each scene's latest, and the newest `keep` of the rest.

        A scene in which a device joined is never lived again, and of the others the last SCENES are kept.
        """
        self.clear()
        pointer = self._pointer()
        scenes: dict[str, str] = {}
        for name in (*pointer.history, *([pointer.current] if pointer.current else [])):
            if self._reason(name) is None and NEW not in (scene := self.load(name)[0].scene):
                scenes.pop(scene, None)  # to the end: it was lived last
                scenes[scene] = name
        needed = {pointer.current, *pointer.history[-1:], *list(scenes.values())[-SCENES:]}
        rest = [name for name in self.names() if name not in needed]
        gone = rest[: max(0, len(rest) - keep)]
        try:
            if pointer.current is not None and gone:  # the pointer first: it must never name what is gone
                self._point(_Pointer(pointer.current, tuple(name for name in pointer.history if name not in gone)))
            with _refused(self.directory):
                for name in gone:
                    shutil.rmtree(self.directory / name)
        except ArtifactError:  # a full disk must not end what has just been promoted: the next time does it
            return []
        return gone

    def drop(self, names: Collection[str]) -> None:
        """Delete slots even where they are in use: the newest of the others used before is in use then, or none."""
        self.clear()
        pointer = self._pointer_or_none()
        left = [name for name in (*pointer.history, pointer.current) if name is not None and name not in names]
        if left:  # the pointer first: it must never name what is gone
            self._point(_Pointer(left[-1], tuple(left[:-1])))
        else:
            with _refused(self.directory):
                (self.directory / "current.json").unlink(missing_ok=True)
                settle(self.directory)
        with _refused(self.directory):
            for name in names:
                shutil.rmtree(self.directory / name)

    def _reason(self, name: str) -> str | None:
        """Say what is wrong with a slot, None where nothing is."""
        try:
            self.load(name)
        except ArtifactError as error:
            return str(error)
        return None

    def _by_preference(self, reasons: list[str]) -> Iterator[str]:
        """Yield the current slot, then earlier ones; with no readable pointer (told in `reasons`) all, newest first."""
        try:
            pointer = self._pointer()
        except ArtifactError as error:
            reasons.append(str(error))
            pointer = _Pointer()
        if pointer.current is None:
            yield from reversed(self.names())
        else:
            yield from (pointer.current, *reversed(pointer.history))

    def _next_number(self) -> int:
        """Return a number no slot has or had, as far as the disk and the pointer remember."""
        pointer = self._pointer_or_none()
        known = (*self.names(), *pointer.history, *([pointer.current] if pointer.current else []))
        return 1 + max((int(name.partition("-")[0]) for name in known), default=0)

    def _pointer(self) -> _Pointer:
        path = self.directory / "current.json"
        return _Pointer.parse(_read(path).decode(errors="replace")) if path.exists() else _Pointer()

    def _pointer_or_none(self) -> _Pointer:
        """Return the pointer; where it is corrupt, the empty one: promoting must be able to mend it."""
        try:
            return self._pointer()
        except ArtifactError:
            return _Pointer()

    def _point(self, pointer: _Pointer) -> None:
        fresh = self.directory / f"{_UNFINISHED}current.json"
        with _refused(self.directory):
            write(fresh, pointer.text().encode())
            fresh.replace(self.directory / "current.json")
            settle(self.directory)


@contextmanager
def _refused(directory: Path) -> Iterator[None]:
    """Say of a disk that refuses what mends it: the slots are as they were."""
    try:
        yield
    except OSError as error:
        raise ArtifactError(f"{directory} cannot be written: {why(error)}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}") from error
