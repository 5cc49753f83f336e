"""Whose bundles are taken: public keys in files, and whether a signature is one of theirs. The door to cryptography."""

import hashlib
import stat
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from edge.core.bundle import Signature
from edge.core.errors import ArtifactError, SettingsError

MOST_KEY = 4096  # bytes of a key's file
Keys = Mapping[str, Ed25519PublicKey]  # by id


def trusted(folder: Path | None, more: Path | None = None) -> dict[str, Ed25519PublicKey]:
    """Return the keys of a folder's `*.pub` files, and one more; raises SettingsError where there are none."""
    files = sorted(folder.glob("*.pub")) if folder is not None else []
    keys = dict(read(file) for file in (*files, *([more] if more else [])))
    if not keys:
        where = f"in {folder}" if folder is not None else "as model.trusted_keys is not set"
        raise SettingsError(
            f"no key is trusted, {where}: ask who packed the bundle for their .pub file; put it there, or give --trust"
        )
    return keys


def read(file: Path) -> tuple[str, Ed25519PublicKey]:
    """Return a public key with its id; raises SettingsError for what is none, or can be changed by everybody."""
    try:
        with file.open("rb") as opened:
            text = opened.read(MOST_KEY)
        if file.stat().st_mode & stat.S_IWOTH:
            raise SettingsError(f"{file}: everybody may change it, so it proves nothing: chmod o-w {file}")
        key = load_pem_public_key(text)
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"{file}: no public key can be read: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsError(f"{file}: not an Ed25519 key")
    return identity(key.public_bytes_raw()), key


def identity(raw: bytes) -> str:
    """Return the id of a public key (32 bytes): the first 16 hexadecimal digits of its sha256."""
    return hashlib.sha256(raw).hexdigest()[:16]


def verify(content: bytes, signature: Signature, keys: Keys) -> None:
    """Raise ArtifactError where content was not signed so by a trusted key."""
    key = keys.get(signature.key)
    if key is None:
        raise ArtifactError(
            f"the bundle was signed by the key {signature.key}, which is not trusted here ({', '.join(keys)}): "
            "if it should be, give its .pub file with --trust"
        )
    try:
        key.verify(signature.signature, content)
    except InvalidSignature as error:
        raise ArtifactError(
            f"the bundle's manifest is not what {signature.key} signed: it was changed or broke on the way, get it anew"
        ) from error
