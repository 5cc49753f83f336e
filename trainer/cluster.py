"""The same work for many homes: here, one after the other, or as Ray tasks on many machines. The door to Ray.

A piece of work is a function of a JSON value that gives another, the same for the same: what it draws, it draws from
a seed. It runs on one thread of arithmetic wherever it runs, so that sums are added in the same order. A task whose
worker or node dies is begun again elsewhere. What is done can be kept, a file a piece, and is not done again.
"""

import hashlib
import json
import logging
import os
import platform
import secrets
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Items
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

import edge
from edge.core.errors import SettingsError

LOCAL = "local"
RETRIES = 10  # times a piece is begun again where its worker or its node died
PATIENCE = 10.0  # seconds until an address is given up
STORE = 128 * 2**20  # bytes of the objects in flight on a local cluster: pieces and results are small
Tell = Callable[[str, int, int], None]  # (what is going on, done, of how many)
Piece = Callable[[Any, Tell], Any]  # an importable function: (JSON value, progress) -> JSON value
_LIBRARIES = ("numpy", "onnxruntime", "torch", "scikit-learn", "llama-cpp-python")  # what figures hang on


@dataclass(frozen=True, slots=True)
class Where:
    """Where pieces are done, and where results are kept.

    `cluster`: None: here; `local`: as many processes as this machine has cores; else the address of a Ray cluster whose
    nodes have the same sceneshift. `done`: folder of results, which are not worked out again; None: nothing is kept.
    """

    cluster: str | None = None
    done: Path | None = None


HERE = Where()


def run(function: Piece, items: Items[Any], where: Where, tell: Tell) -> list[Any]:
    """Return the results of all pieces, in their order: the same here, on a cluster, and where nodes of it die.

    Raises what the first piece to fail raised, and SettingsError where there is no such cluster.
    """
    found = dict(results(function, items, where, tell))
    return [found[place] for place in range(len(items))]


def results(function: Piece, items: Items[Any], where: Where, tell: Tell) -> Iterator[tuple[int, Any]]:
    """Yield each piece's place and result as they come, what was kept first; raises as `run` does."""
    kept = Kept(where.done, function) if where.done is not None else None
    todo: dict[int, Any] = {}
    for place, item in enumerate(items):
        text = kept.read(item) if kept is not None else None
        if text is None:
            todo[place] = item
        else:
            yield place, json.loads(text)
    pieces = _here(function, todo, tell) if where.cluster is None else _on_ray(function, todo, where.cluster, tell)
    for place, text in pieces:
        if kept is not None:
            kept.write(items[place], text)
        yield place, json.loads(text)


class Kept:
    """Results on disk, each under the digest of what was asked and of the code that answered."""

    def __init__(self, folder: Path, function: Piece) -> None:
        """Keep results of a function in a folder."""
        self._folder = folder
        self._name = f"{function.__module__}.{function.__qualname__}"
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, item: Any) -> str | None:
        """Return a piece's result as JSON, None where it is not there or broken."""
        try:
            text = self._path(item).read_text(encoding="utf-8")
            json.loads(text)
        except (OSError, ValueError):
            return None
        return text

    def write(self, item: Any, text: str) -> None:
        """Keep a result whole, or not at all."""
        path = self._path(item)
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def _path(self, item: Any) -> Path:
        asked = json.dumps([self._name, item, code()], sort_keys=True)
        return self._folder / f"{hashlib.sha256(asked.encode()).hexdigest()[:32]}.json"


@cache
def code() -> str:
    """Return the digest of the code, the shipped models and the libraries that figures hang on."""
    digest = hashlib.sha256(platform.python_version().encode())
    for library in _LIBRARIES:
        try:
            digest.update(f"{library} {version(library)}".encode())
        except PackageNotFoundError:
            continue
    package = Path(edge.__file__).parent
    roots = (package, Path(__file__).parent, package.parent / "models")
    for path in sorted(
        path for root in roots for path in root.rglob("*") if path.name.endswith((".py", "manifest.json"))
    ):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _silent(_what: str, _done: int, _of: int) -> None:
    """Tell nobody."""


def _answer(function: Piece, item: Any, tell: Tell) -> str:
    """Do a piece on one thread of arithmetic; return its result as JSON, as which it is kept and compared."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"  # of libraries that are loaded by the piece itself
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 0
    try:
        if torch:
            torch.set_num_threads(1)
        with threadpool_limits(1):
            return json.dumps(function(item, tell))
    finally:
        if torch:
            torch.set_num_threads(threads)
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def _here(function: Piece, todo: dict[int, Any], tell: Tell) -> Iterator[tuple[int, str]]:
    for number, (place, item) in enumerate(todo.items()):

        def told(what: str, done: int, of: int, number: int = number) -> None:
            tell(what, number * of + done, len(todo) * of)

        yield place, _answer(function, item, told)


def _far(function: Piece, item: Any, expected: str) -> str:
    """Do a piece on a node of a cluster; raises SettingsError where that has other code."""
    if code() != expected:
        raise SettingsError(f"{platform.node()} has another sceneshift, or other libraries, than where it was asked")
    return _answer(function, item, _silent)


def _on_ray(function: Piece, todo: dict[int, Any], cluster: str, tell: Tell) -> Iterator[tuple[int, str]]:
    """Yield results as they come, in any order."""
    if not todo:
        return
    tell(f"starting on {cluster}", 0, len(todo))
    with _ray(cluster) as ray:
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(_far)
        waiting = {task.remote(function, item, code()): place for place, item in todo.items()}
        try:
            while waiting:
                (ready,), _ = ray.wait(list(waiting), num_returns=1)
                yield waiting.pop(ready), _result(ray, ready)
                tell(f"on {cluster}", len(todo) - len(waiting), len(todo))
        finally:
            for each in waiting:
                ray.cancel(each, force=True)


def _result(ray: Any, ready: Any) -> str:
    try:
        return str(ray.get(ready))
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise SettingsError(f"a piece was given up after {RETRIES} retries: {error}") from error


def _authenticate(cluster: str) -> None:
    """Let nobody else on the machine, or in the network, give tasks: Ray runs what it is sent."""
    tokens = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    if cluster == LOCAL:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    elif not any(name in os.environ for name in tokens) and not (Path.home() / ".ray/auth_token").is_file():
        return  # the cluster has none, or answers that one is missing
    os.environ.setdefault("RAY_AUTH_MODE", "token")


def _reach(cluster: str) -> None:
    """Raise SettingsError at once where nothing listens at an address: Ray would try for minutes."""
    host, _, port = cluster.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise SettingsError(f"--cluster {cluster[:60]}: neither `local` nor HOST:PORT of a Ray cluster's head")
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise SettingsError(f"--cluster {cluster}: no cluster answers there: {error}") from error


@contextmanager
def _ray(cluster: str) -> Iterator[Any]:
    """Connect to a cluster, or start one on this machine that goes with this process; raises SettingsError."""
    _authenticate(cluster)
    if cluster != LOCAL:
        _reach(cluster)
    try:
        import ray  # noqa: PLC0415  # large, and needed by few
    except ImportError as error:
        raise SettingsError("--cluster needs Ray: pip install 'sceneshift[cluster]'") from error
    # Sockets lie in the folder, and a socket's path may have 107 characters: not in a deep one.
    folder = tempfile.TemporaryDirectory(prefix="sceneshift-ray-") if cluster == LOCAL else nullcontext()
    with folder as name:
        own = {
            "_node_ip_address": "127.0.0.1",
            "_temp_dir": name,
            "object_store_memory": STORE,
            "include_dashboard": False,
        }
        chosen = {**own, "num_cpus": os.cpu_count()} if cluster == LOCAL else {"address": cluster}
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, configure_logging=False, **chosen)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise SettingsError(f"--cluster {cluster}: no cluster answers there: {error}") from error
        try:
            yield ray
        finally:
            ray.shutdown()
