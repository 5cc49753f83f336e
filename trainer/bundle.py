"""Packing what the host hands to hubs: models in one signed archive (edge/core/bundle.py); the keys to sign with."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

import edge
from edge.core.bundle import (
    END,
    FORMAT,
    MANIFEST,
    SIGNATURE,
    BundleManifest,
    File,
    Packed,
    Signature,
    header,
    padding,
    place,
)
from edge.core.errors import ArtifactError, SettingsError
from edge.core.manifest import CONTRACT, Described

KEY, PUBLIC = "sceneshift.key", "sceneshift.pub"
_CHUNK = 1 << 20


def new_keys(folder: Path) -> tuple[Path, Path]:
    """Write a key to sign with, for its owner's eyes alone, and the public one hubs trust; raises SettingsError."""
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content, mode in ((KEY, secret, 0o600), (PUBLIC, public, 0o644)):
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
    except FileExistsError as error:
        raise SettingsError(f"{error.filename} is there already: a key is never written over") from error
    except OSError as error:
        raise SettingsError(f"{folder}: {error.strerror}") from error
    return folder / KEY, folder / PUBLIC


def signing_key(path: Path) -> Ed25519PrivateKey:
    """Read a key to sign with; raises SettingsError for what is none, or what others can read."""
    try:
        text = path.read_bytes()
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"{path}: others can read it: chmod 600 {path}, and think of making another")
        key = load_pem_private_key(text, password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"{path}: no key to sign with: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"{path}: not an Ed25519 key; `sceneshift-trainer keys new` makes one")
    return key


def pack(
    folders: list[Path], key: Ed25519PrivateKey, out: Path, *, created: float, expires: float | None = None
) -> BundleManifest:
    """Pack models' folders into a signed bundle; the same models, key and times give the same bytes.

    `created`, `expires`: seconds since the epoch. Raises ArtifactError where a file is not what its manifest says;
    `out` is written whole, or not at all.
    """
    models = tuple(_packed(folder) for folder in folders)
    try:
        manifest = BundleManifest(
            format=FORMAT,
            contract=CONTRACT,
            sceneshift=edge.__version__,
            created=created,
            expires=expires,
            models=models,
        )
    except ValueError as error:
        raise ArtifactError(f"these models make no bundle: {error}") from error
    part = out.with_name(f"{out.name}.part")
    try:
        with part.open("wb") as file:
            for chunk in _bytes(manifest, dict(zip((model.name for model in models), folders, strict=True)), key):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return manifest


def _packed(folder: Path) -> Packed:
    """Describe a model's folder: its manifest, and the files that names."""
    try:
        text = (folder / MANIFEST).read_bytes()
        said = Described.parse(text)
        files = {MANIFEST: File(sha256=hashlib.sha256(text).hexdigest(), size=len(text))}
        for name, expected in sorted(said.files.items()):
            path = folder / name
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != expected:
                raise ArtifactError(f"{path} is not the file its manifest describes: export the model again")
            files[name] = File(sha256=found, size=path.stat().st_size)
        return Packed.model_validate({"name": said.name, "version": said.version, "files": files})
    except OSError as error:
        raise ArtifactError(f"{folder} holds no whole model: {error.filename}: {error.strerror}") from error
    except ValueError as error:
        raise ArtifactError(f"{folder} holds no model that can be packed: {error}") from error


def _bytes(manifest: BundleManifest, folders: Mapping[str, Path], key: Ed25519PrivateKey) -> Iterator[bytes]:
    content = manifest.to_json().encode()
    public = key.public_key().public_bytes_raw()
    signature = Signature(hashlib.sha256(public).hexdigest()[:16], key.sign(content)).to_bytes()
    for name, entry in ((MANIFEST, content), (SIGNATURE, signature)):
        yield header(name, len(entry)) + entry + padding(len(entry))
    for model, name, file in manifest.entries():
        yield header(place(model, name), file.size)
        left = file.size
        with (folders[model.name] / name).open("rb") as opened:
            while left and (chunk := opened.read(min(left, _CHUNK))):
                yield chunk
                left -= len(chunk)
        yield padding(file.size)
    yield END
