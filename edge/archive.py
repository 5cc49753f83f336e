"""A bundle's file on this machine: opened, verified to the last byte, its models' files copied out."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tarfile import BLOCKSIZE
from typing import IO

from edge.core.bundle import (
    END,
    MANIFEST,
    SIGNATURE,
    SIGNATURE_SIZE,
    BundleManifest,
    File,
    Packed,
    Signature,
    header,
    padding,
    place,
    size_of_manifest,
)
from edge.core.errors import ArtifactError
from edge.trust import Keys, verify

_CHUNK = 1 << 20
Take = Callable[[bytes], object]


class Archive:
    """A bundle whose manifest a trusted key has signed. Its files are verified as often as they are read."""

    def __init__(self, file: IO[bytes], keys: Keys) -> None:
        """Read manifest and signature, which are believed only after the signature held; raises ArtifactError."""
        self._file = file
        self._file.seek(0)
        size = size_of_manifest(self._exactly(BLOCKSIZE))
        content = self._exactly(size)
        self._expect(padding(size) + header(SIGNATURE, SIGNATURE_SIZE))
        signature = Signature.parse(self._exactly(SIGNATURE_SIZE))
        self._expect(padding(SIGNATURE_SIZE))
        verify(content, signature, keys)
        self.manifest = BundleManifest.from_json(content)
        self.key = signature.key
        self._begin = self._file.tell()

    def verify(self) -> None:
        """Read the whole file; raises ArtifactError where a byte is not the manifest's, or there are more."""
        self._walk(lambda _model, _name: lambda _chunk: None)

    def copy(self, model: Packed, folder: Path) -> None:
        """Write a model's files into a folder, each on disk when this returns; raises ArtifactError."""

        def begun(each: Packed, name: str) -> Take:
            if each != model:
                return lambda _chunk: None
            path = folder / name
            path.touch(exist_ok=False)
            return lambda chunk: _append(path, chunk)

        self._walk(begun)
        for name in model.files:
            with (folder / name).open("rb") as file:
                os.fsync(file.fileno())

    def _walk(self, begun: Callable[[Packed, str], Take]) -> None:
        """Read every entry, and hand its bytes to whom `begun` names."""
        self._file.seek(self._begin)
        for model, name, file in self.manifest.entries():
            self._expect(header(place(model, name), file.size))
            self._entry(file, place(model, name), begun(model, name))
            self._expect(padding(file.size))
        self._expect(END)
        if self._file.read(1):
            raise ArtifactError("the bundle goes on behind its end: get it anew")

    def _entry(self, file: File, name: str, take: Take) -> None:
        digest = hashlib.sha256()
        left = file.size
        while left:
            chunk = self._exactly(min(left, _CHUNK))
            digest.update(chunk)
            take(chunk)
            left -= len(chunk)
        if digest.hexdigest() != file.sha256:
            raise ArtifactError(f"{name} is not the file the bundle's manifest describes: get the bundle anew")

    def _exactly(self, size: int) -> bytes:
        content = self._file.read(size)
        if len(content) < size:
            raise ArtifactError("the bundle ends too early: get it anew")
        return content

    def _expect(self, content: bytes) -> None:
        if self._exactly(len(content)) != content:
            raise ArtifactError(f"the bundle is not laid out as its {MANIFEST} says: get it anew")


@contextmanager
def opened(path: Path, keys: Keys) -> Iterator[Archive]:
    """Open a bundle; raises ArtifactError where it cannot be read, or is none that a trusted key has signed."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise ArtifactError(f"{path}: {error.strerror}") from error
    with file:
        yield Archive(file, keys)


def _append(path: Path, chunk: bytes) -> None:
    with path.open("ab") as file:
        file.write(chunk)
