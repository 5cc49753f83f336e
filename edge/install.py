"""Installing a bundle: everything is verified before anything is touched; then models are written whole, or not at all.

Verified: who signed it, every byte, that this hub's code can run it, that it is not older than what is used, that there
is room. Then each model is written beside its place, loaded and run once, and renamed; last, one small pointer is
replaced, and the agent uses the models from its next start on. Ended anywhere, what was used before is used still.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import edge
from edge.archive import Archive, opened
from edge.catalog import POINTER, UNFINISHED, Models, digest, whole
from edge.core.bundle import MANIFEST, BundleManifest, Packed
from edge.core.errors import ArtifactError
from edge.durable import settle, why, write
from edge.trust import Keys
from edge.tryout import try_out

ROOM = 64 * 2**20  # bytes left free on the disk: the record must go on


@dataclass(frozen=True, slots=True)
class Installed:
    """What became of one model of a bundle; `fresh`: whether it was written now; `before`: version used until now."""

    name: str
    version: int
    fresh: bool
    before: int


def install(bundle: Path, models: Models, keys: Keys, now: float, *, allow_older: bool = False) -> list[Installed]:
    """Install a bundle for the agent's next start; `now`: seconds since the epoch.

    Raises ArtifactError, and leaves all that is used as it was, where anything about it is wrong.
    """
    with opened(bundle, keys) as archive:
        manifest = archive.manifest
        manifest.check(now, edge.__version__)
        if not allow_older:
            _newer(manifest, models)
        wanted = [model for model in manifest.models if not _is_here(model, models)]
        _room(sum(model.size for model in wanted), models.installed)
        archive.verify()
        told = [
            Installed(model.name, model.version, model in wanted, models.in_use(model.name))
            for model in manifest.models
        ]
        try:
            with _written(archive, wanted, models.installed) as written:
                for model, folder in written:
                    _settle(folder, models.installed / model.name / str(model.version))
                _choose(models, {model.name: model.version for model in manifest.models})
        except OSError as error:
            raise ArtifactError(f"{models.installed} cannot be written: {why(error)}") from error
    return told


def _newer(manifest: BundleManifest, models: Models) -> None:
    for model in manifest.models:
        used = models.in_use(model.name)
        if model.version < used:
            raise ArtifactError(
                f"{model.name} {model.version} is older than {used}, which is used: --allow-older if that is wanted"
            )


def _is_here(model: Packed, models: Models) -> bool:
    """Tell whether a model is installed whole; raises ArtifactError where its version is another model's already.

    Slots name the model they were learned on by its version, so a version is one model for ever. What is broken is
    not there: it is written again.
    """
    for folder in models.places(model.name, model.version):
        same = (folder / MANIFEST).is_file() and digest(folder / MANIFEST) == model.files[MANIFEST].sha256
        if not same and whole(folder):
            raise ArtifactError(
                f"another {model.name} {model.version} is in {folder}: a changed model must be packed as a new version"
            )
        if same and whole(folder) and folder.is_relative_to(models.installed):
            return True
    return False


def _room(size: int, folder: Path) -> None:
    place = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(place).free
    if free < size + ROOM:
        raise ArtifactError(
            f"{place}: {free / 1e6:.0f} MB are free, {(size + ROOM) / 1e6:.0f} MB are needed: make room first"
        )


@contextmanager
def _written(archive: Archive, wanted: list[Packed], installed: Path) -> Iterator[list[tuple[Packed, Path]]]:
    """Write models beside their places, and try each; whatever happens, what was not renamed is gone after it."""
    installed.mkdir(parents=True, exist_ok=True)
    with _alone(installed), TemporaryDirectory("", UNFINISHED, installed, ignore_cleanup_errors=True) as name:
        found = []
        for model in wanted:
            folder = Path(name) / model.name
            folder.mkdir(mode=0o755)
            archive.copy(model, folder)
            settle(folder)
            try_out(folder, model.name, model.version)
            found.append((model, folder))
        yield found


@contextmanager
def _alone(installed: Path) -> Iterator[None]:
    """Keep other installations off, and clear away what one left that a power cut ended."""
    handle = os.open(installed, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel gives it up with the process
        except BlockingIOError as error:
            raise ArtifactError("another installation is under way: wait until it has ended") from error
        for left in installed.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield
    finally:
        os.close(handle)


def _settle(folder: Path, place: Path) -> None:
    """Give a written model its place; one that is broken there makes way."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.rename(folder.with_name(f"{folder.name}-before"))
    folder.rename(place)
    settle(place.parent)
    settle(place.parent.parent)


def _choose(models: Models, versions: dict[str, int]) -> None:
    """Replace the pointer: the one step from the models before to those of the bundle."""
    fresh = models.installed / f"{UNFINISHED}{POINTER}"
    write(fresh, models.choosing(versions).encode("ascii"))
    fresh.replace(models.installed / POINTER)
    settle(models.installed)
