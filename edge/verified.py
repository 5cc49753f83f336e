"""A file of a model, handed on only as the bytes its manifest describes: what was verified is what is opened.

A path that was verified may name another file by the time a library opens it; bytes do not change.
"""

import hashlib
from pathlib import Path

from edge.core.errors import ArtifactError
from edge.core.manifest import Described


def content(directory: Path, name: str) -> bytes:
    """Return the bytes of a model's file; raises ArtifactError where they are not those of its manifest."""
    try:
        expected = Described.parse((directory / "manifest.json").read_bytes()).files[name]
        found = (directory / name).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{directory} holds no model: {name} cannot be read: {error.strerror}") from error
    except KeyError as error:
        raise ArtifactError(f"the manifest in {directory} describes no {name}") from error
    if hashlib.sha256(found).hexdigest() != expected:
        raise ArtifactError(f"{directory / name} is not the file its manifest describes")
    return found
