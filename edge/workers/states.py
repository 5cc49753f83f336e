"""The evaluated beginning of a home's prompts, kept on disk; what is not exactly what was kept is not used."""

import hashlib
import os
import time
from collections.abc import Sequence as Items
from contextlib import suppress
from pathlib import Path
from typing import Protocol

MAGIC = b"sceneshift state\n"
DIGEST = 32  # bytes of a sha256
KEPT = 4  # files, the newest
BYTES = 512 * 2**20  # of all files together
ABANDONED = 3600.0  # seconds after which an unfinished file is nobody's


class Holding(Protocol):
    """A model whose evaluated beginning can be taken out and put back (edge/workers/engine.py)."""

    def state(self) -> bytes:
        """Return what is evaluated, as bytes."""
        ...

    def restore(self, state: memoryview, count: int) -> bool:
        """Take bytes in; tell whether they hold `count` tokens."""
        ...


class States:
    """A folder of states, each under the digest of all it depends on, checked byte by byte before use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, key: Items[object], tokens: Items[int]) -> Path:
        """Return where the state of these tokens stands for a model, library and context (`key`)."""
        return self._folder / f"{_seal(key, tokens).hex()}.state"

    def load(self, engine: Holding, key: Items[object], tokens: Items[int]) -> bool:
        """Restore the state of these tokens; False where there is none or it is not what was kept."""
        path = self.path(key, tokens)
        try:
            raw = memoryview(path.read_bytes())
        except OSError:
            return False
        start = len(MAGIC) + DIGEST
        digest = _digest(_seal(key, tokens), raw[start:])
        if raw[:start] == MAGIC + digest and engine.restore(raw[start:], len(tokens)):
            with suppress(OSError):
                os.utime(path)
            return True
        with suppress(OSError):
            path.unlink()
        return False

    def save(self, engine: Holding, key: Items[object], tokens: Items[int]) -> bool:
        """Keep the state of these tokens, whole or not at all; False where the disk refuses it."""
        state = engine.state()
        if not state or len(state) > BYTES:
            return False
        path = self.path(key, tokens)
        scratch = path.with_suffix(f".{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            scratch.write_bytes(MAGIC + _digest(_seal(key, tokens), state) + state)
            scratch.replace(path)
        except OSError:
            with suppress(OSError):
                scratch.unlink()
            return False
        self._prune()
        return True

    def _prune(self) -> None:
        total = 0
        with suppress(OSError):
            for path in self._folder.iterdir():
                if path.suffix != ".state" and path.stat().st_mtime < time.time() - ABANDONED:
                    path.unlink()
            newest = sorted(self._folder.glob("*.state"), key=lambda path: path.stat().st_mtime, reverse=True)
            for number, path in enumerate(newest):
                total += path.stat().st_size
                if number >= KEPT or total > BYTES:
                    path.unlink()


def _seal(key: Items[object], tokens: Items[int]) -> bytes:
    return hashlib.sha256(repr((tuple(key), tuple(tokens))).encode()).digest()


def _digest(seal: bytes, state: bytes | memoryview) -> bytes:
    made = hashlib.sha256(seal)
    made.update(state)
    return made.digest()
