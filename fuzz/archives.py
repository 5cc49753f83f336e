"""Archives from elsewhere: bundles of models and the keys they are believed by, backups.

The first line of an input says how the rest becomes a file: `raw` as it is, or put together as who signs or backs up
would, so that what lies behind a signature or a digest is reached as well.
"""

import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.archive import Archive
from edge.backup import END, MANIFEST
from edge.catalog import whole
from edge.core.behaviors import Behavior, Entry
from edge.core.bundle import END as LAST
from edge.core.bundle import SIGNATURE, SIGNATURE_SIZE, Signature, header, padding
from edge.core.errors import ArtifactError, SettingsError, StoreError
from edge.core.events import Message
from edge.database import migrations
from edge.restore import unpacked
from edge.store import FILE, Store
from edge.trust import identity, read
from fuzz.damage import damaged

_FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-archives-"))
_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
_ID = identity(_KEY.public_key().public_bytes_raw())
_MOST = 1 << 20  # bytes that may come of one input


def bundles(data: bytes) -> None:
    """Read a bundle as far as its first use, or a public key."""
    kind, _, rest = data.partition(b"\n")
    try:
        if kind == b"key":
            _keyed(rest)
        elif kind == b"raw":
            _installed(rest)
        elif kind == b"signed":
            content, _, files = rest.partition(b"\n===\n")
            _installed(_signed(content) + files)
        elif kind == b"packed":
            _installed(_packed(rest))
    except ArtifactError as error:
        str(error).encode()


def _keyed(content: bytes) -> None:
    path = _FOLDER / "sceneshift.pub"
    path.write_bytes(content)
    try:
        name, key = read(path)
    except SettingsError as error:
        str(error).encode()
        return
    assert name == identity(key.public_bytes_raw())


def _signed(content: bytes) -> bytes:
    """Return a manifest whatever it says, signed by a key that is trusted."""
    if not content:
        raise ArtifactError("no archive begins with nothing")
    signature = Signature(_ID, _KEY.sign(content)).to_bytes()
    head = header("manifest.json", len(content)) + content + padding(len(content))
    return head + header(SIGNATURE, SIGNATURE_SIZE) + signature + padding(SIGNATURE_SIZE)


def _packed(rows: bytes) -> bytes:
    """Return a whole bundle of `model/version/file TAB content`, the hashes right, the names whatever they are."""
    models: dict[tuple[str, str], dict[str, Any]] = {}
    entries = b""
    for row in rows.split(b"\n", 16):
        place, _, content = row.partition(b"\t")
        model, _, rest = place.decode("utf-8", "replace").partition("/")
        version, _, name = rest.partition("/")
        models.setdefault((model, version), {})[name] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
        }
        try:
            entries += header(f"{model}/{version}/{name}", len(content)) + content + padding(len(content))
        except UnicodeEncodeError as error:
            raise ArtifactError("no archive has such a name") from error
    told = [
        {"name": model, "version": int(version[:6]) if version[:6].isdigit() else version, "files": files}
        for (model, version), files in models.items()
    ]
    manifest = {"format": 1, "contract": 1, "sceneshift": "0.1.0", "created": 1.7e9, "models": told}
    return _signed(json.dumps(manifest).encode()) + entries + LAST


def _installed(content: bytes) -> None:
    """Verify a bundle and write its models out, as an installation does; nothing else may be written."""
    archive = Archive(io.BytesIO(content), {_ID: _KEY.public_key()})
    archive.manifest.check(1.8e9, "0.1.0")
    archive.verify()
    for model in archive.manifest.models:
        folder = _empty("model")
        archive.copy(model, folder)
        assert {path.name for path in folder.iterdir()} == set(model.files)
        whole(folder)


def backups(data: bytes) -> None:
    """Restore a backup as far as its first use."""
    kind, _, rest = data.partition(b"\n")
    if kind == b"raw":
        _restored(rest)
    elif kind == b"made":
        _restored(_made(rest))
    elif kind == b"damaged":
        _restored(_tar({FILE: damaged(_DATABASE, rest)}))


def _restored(content: bytes) -> None:
    """Unpack what a last line vouches for: a StoreError, or what is healthy; and never more than was packed."""
    path, folder = _FOLDER / "backup.tar", _empty("unpacked")
    path.write_bytes(content + END % hashlib.sha256(content).hexdigest().encode())
    try:
        manifest = unpacked(path, folder)
    except StoreError as error:
        str(error).encode()
    else:
        assert FILE in manifest.files
    there = [each for each in folder.rglob("*") if each.is_file()]
    assert all(not each.is_symlink() for each in folder.rglob("*"))
    assert sum(each.stat().st_size for each in there) <= len(content) + _MOST


def _made(rows: bytes) -> bytes:
    """Return a backup of `name TAB content` beside a sound database, the hashes right."""
    files = {FILE: _DATABASE}
    for row in rows.split(b"\n", 16):
        name, _, content = row.partition(b"\t")
        files[name.decode("utf-8", "replace")] = content
    return _tar(files)


def _tar(files: dict[str, bytes]) -> bytes:
    parts = {
        name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in files.items()
    }
    manifest = {"format": 1, "version": "0.1.0", "created": 1.7e9, "database": max(migrations()), "behaviors": 1}
    whole_file = io.BytesIO()
    with tarfile.open(fileobj=whole_file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in {MANIFEST: json.dumps({**manifest, "files": parts}).encode(), **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return whole_file.getvalue()


def _database() -> bytes:
    """Return a sound record of one behavior."""
    folder = _empty("record")
    store = Store.open(folder)
    store.record([Entry(Message("home/lamp", b"on", 1.7e9, mid=1), (), (Behavior(1.7e9, "lamp", "state ON"),))])
    store.close()
    return (folder / FILE).read_bytes()


def _empty(name: str) -> Path:
    folder = _FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


_DATABASE = _database()
