"""What the host hands to hubs: one archive of models, with a manifest and a signature of the manifest's bytes.

An uncompressed tar (USTAR) that any tar lists. Its bytes follow from the manifest, the signature and the files alone,
so a hub does not interpret headers: it knows each one before it reads it. Nothing is compressed, so nothing expands.

manifest.json                    what the bundle holds: every file's size and sha256
manifest.sig                     who signed those bytes, and the Ed25519 signature
detector/3/manifest.json ...     the files, in the manifest's order
"""

import json
import re
from collections.abc import Iterator
from tarfile import BLOCKSIZE, USTAR_FORMAT, HeaderError, TarInfo
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from edge.core.errors import ArtifactError
from edge.core.events import CLOCK_SET
from edge.core.manifest import CONTRACT, Document, Hash

FORMAT: Literal[1] = 1
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
MOST_MANIFEST = 64 * 1024  # bytes: what is read before anybody's signature was looked at
MOST_FILE = 8 * 2**30 - 1  # bytes: what a tar's header can say
END = bytes(2 * BLOCKSIZE)
DETECTOR, LANGUAGE_MODEL = "detector", "behavior-lm"

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]  # no folder, no other file's disguise


class File(Document):
    """One file of a model."""

    sha256: Hash
    size: Annotated[NonNegativeInt, Field(le=MOST_FILE)]


class Packed(Document):
    """One model of a bundle: its name, version and every file of its folder, its own manifest among them."""

    name: Literal["detector", "behavior-lm"]
    version: Annotated[PositiveInt, Field(le=999_999)]
    files: Annotated[dict[FileName, File], Field(min_length=2, max_length=32)]

    @model_validator(mode="after")
    def _describes_itself(self) -> Self:
        if MANIFEST not in self.files:
            raise ValueError(f"{self.name} without its {MANIFEST}")
        if len({name.lower() for name in self.files}) < len(self.files):
            raise ValueError("two files that differ in their letters' case alone, which some disks take for one")
        return self

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files.values())


class BundleManifest(Document):
    """What a bundle holds. `created`, `expires`: seconds since the epoch; `contract`: of the detector's graphs.

    `sceneshift`: the version that packed it, for messages only.
    """

    format: Literal[1]
    contract: int
    sceneshift: Annotated[str, Field(pattern=r"^[0-9A-Za-z.+-]{1,40}$")]
    created: NonNegativeFloat
    expires: NonNegativeFloat | None = None
    models: Annotated[tuple[Packed, ...], Field(min_length=1, max_length=2)]

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read it; raises ArtifactError. The format comes first: another one's keys need not be those of this one."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ArtifactError("the bundle's manifest is no JSON") from error
        if isinstance(document, dict) and document.get("format") != FORMAT:
            raise ArtifactError(
                f"a bundle of another format than {FORMAT}: install the sceneshift that it was made for"
            )
        return super().from_json(text)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({model.name for model in self.models}) < len(self.models):
            raise ValueError("a model twice")
        return self

    def check(self, now: float, version: str) -> None:
        """Raise ArtifactError where this hub's code cannot run it, or its time is over; `version`: of this hub."""
        if self.contract != CONTRACT:
            raise ArtifactError(
                f"its graphs keep contract {self.contract}, this hub's code {CONTRACT}: packed by sceneshift "
                f"{self.sceneshift}, this is {version}; install the newer of the two"
            )
        if self.expires is not None and now < CLOCK_SET:
            raise ArtifactError("the bundle expires some day, and this clock is not set: set it first")
        if self.expires is not None and now > self.expires:
            raise ArtifactError("the bundle has expired: ask for a newer one (or is this clock wrong?)")

    def entries(self) -> Iterator[tuple[Packed, str, File]]:
        """Yield every file in the archive's order: its model, its name there, what it is."""
        for model in self.models:
            for name, file in model.files.items():
                yield model, name, file


class Signature(NamedTuple):
    """Who says they signed, as the id of their key, and the signature (64 bytes). As text: one line of fixed form."""

    key: str
    signature: bytes

    @classmethod
    def parse(cls, content: bytes) -> "Signature":
        """Read it; raises ArtifactError."""
        found = re.fullmatch(rb"ed25519 ([0-9a-f]{16}) ([0-9a-f]{128})\n", content)
        if found is None:
            raise ArtifactError(f"{SIGNATURE} is no signature")
        return cls(found[1].decode(), bytes.fromhex(found[2].decode()))

    def to_bytes(self) -> bytes:
        """Write it."""
        return f"ed25519 {self.key} {self.signature.hex()}\n".encode()


SIGNATURE_SIZE = len(Signature("0" * 16, bytes(64)).to_bytes())


def place(model: Packed, name: str) -> str:
    """Return where a model's file stands in the archive."""
    return f"{model.name}/{model.version}/{name}"


def header(name: str, size: int) -> bytes:
    """Return the one header an entry can have: readable by all, nobody's, of no time."""
    info = TarInfo(name)
    info.size = size
    try:
        return info.tobuf(USTAR_FORMAT)
    except (HeaderError, ValueError) as error:
        raise ArtifactError(f"{name!r} fits no archive: {error}") from error


def size_of_manifest(block: bytes) -> int:
    """Return the size of the manifest from an archive's first block; raises ArtifactError where it is no bundle."""
    try:
        size = TarInfo.frombuf(block, "ascii", "strict").size
        known = 0 < size <= MOST_MANIFEST and block == header(MANIFEST, size)
    except (HeaderError, UnicodeDecodeError) as error:
        raise ArtifactError("this is no bundle: it begins with no manifest") from error
    if not known:
        raise ArtifactError("this is no bundle: it begins with no manifest")
    return size


def padding(size: int) -> bytes:
    """Return what stands behind a file of so many bytes."""
    return bytes(-size % BLOCKSIZE)
