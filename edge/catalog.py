"""Where models lie: shipped with the package, or installed into the data directory beside what ships.

data/models/
├── current.json           {"detector": {"version": 3, "over": 2}}: what is used; what shipped when it was chosen
└── detector/3/            one model, as its bundle held it; never changed once it has its name

What was installed is used until something newer ships; an older one, chosen on purpose, as well.
"""

import hashlib
import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveInt, TypeAdapter, ValidationError

from edge.core.errors import ArtifactError
from edge.core.manifest import Described
from edge.slots import shipped

POINTER = "current.json"
UNFINISHED = ".unfinished-"  # what begins so is cleared away by the next installation


class Choice(BaseModel):
    """A version that was chosen, and the newest shipped one at that time (0: none)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: PositiveInt
    over: int


_CHOICES = TypeAdapter(dict[str, Choice])


@dataclass(frozen=True, slots=True)
class Models:
    """The models a hub can use. `installed`: the folder of those from bundles, which need not exist."""

    installed: Path

    @classmethod
    def beside(cls, data: Path) -> "Models":
        """Return the models of a data directory, and those shipped."""
        return cls(data / "models")

    def used(self, name: str) -> Path:
        """Return the folder of the version in use; raises ArtifactError where there is none."""
        choice = self.choices().get(name)
        newest = _newest_shipped(name)
        if choice is not None and newest <= max(choice.version, choice.over):
            return self.version(name, choice.version)
        return shipped(name)

    def version(self, name: str, version: int) -> Path:
        """Return the folder of one version, installed or shipped; raises ArtifactError where it is not here."""
        found = self.places(name, version)
        if not found:
            raise ArtifactError(f"{name} {version} is not here: install its bundle (`sceneshift install`)")
        return found[0]

    def places(self, name: str, version: int) -> list[Path]:
        """Return the folders that hold one version: the installed, then the shipped one."""
        folders = [self.installed / name / str(version)]
        if _newest_shipped(name):
            folders.append(shipped(name).parent / str(version))
        return [folder for folder in folders if folder.is_dir()]

    def in_use(self, name: str) -> int:
        """Return the version in use, 0 where there is none."""
        try:
            return int(self.used(name).name)
        except ArtifactError:
            return 0

    def choices(self) -> dict[str, Choice]:
        """Return what was chosen, by name; raises ArtifactError where that is corrupt."""
        path = self.installed / POINTER
        try:
            return _CHOICES.validate_json(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError) as error:
            raise ArtifactError(f"{path} cannot be read: install a bundle, or delete it to use what ships") from error

    def prune(self, learned_on: Collection[tuple[str, int]]) -> list[Path]:
        """Delete installed models but those used, those slots were `learned_on`, and the newest other of each name.

        For before anything runs on them. Ended anywhere, what is left of one is no model's folder. Raises ArtifactError
        where nobody knows what is used.
        """
        self.choices()
        gone = []
        for folder in sorted(self.installed.glob("*/")):
            versions = sorted(int(path.name) for path in folder.glob("*/") if path.name.isdigit())
            others = [version for version in versions if version != self.in_use(folder.name)]
            for version in others[:-1]:
                if (folder.name, version) not in learned_on:
                    away = self.installed / f"{UNFINISHED}{folder.name}-{version}"
                    (folder / str(version)).rename(away)
                    shutil.rmtree(away)
                    gone.append(folder / str(version))
        return gone

    def choosing(self, versions: Mapping[str, int]) -> str:
        """Return the pointer's text with these versions chosen too; one that is corrupt is forgotten."""
        try:
            before = self.choices()
        except ArtifactError:
            before = {}
        chosen = {name: Choice(version=version, over=_newest_shipped(name)) for name, version in versions.items()}
        return json.dumps({name: choice.model_dump() for name, choice in sorted((before | chosen).items())})


def _newest_shipped(name: str) -> int:
    try:
        return int(shipped(name).name)
    except ArtifactError:
        return 0


def whole(folder: Path) -> bool:
    """Tell whether every file of a model is the one its manifest describes."""
    try:
        files = Described.parse((folder / "manifest.json").read_bytes()).files
        return all(digest(folder / name) == expected for name, expected in files.items())
    except (OSError, ArtifactError):
        return False


def digest(path: Path) -> str:
    """Return a file's sha256 in hexadecimal; language models are large, so it is read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
