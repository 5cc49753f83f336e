"""The page, asked by schemathesis as its description allows and as it forbids, before a real agent of a real home."""

import contextlib
import logging
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    status_code_conformance,
)

from edge.core.behaviors import Behavior, Entry
from edge.core.devices import Device
from edge.core.events import Message
from edge.core.verdicts import Alert
from edge.demo import broker
from edge.store import Store
from fuzz.api import description
from fuzz.engine import Wanted
from fuzz.pool import CASES

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance]
EXAMPLES = 5  # of one operation in a row: each of them has its turn in a minute
START = 300.0  # seconds until the page answers, on a busy machine
ANSWER = 120.0  # seconds for an answer, on a busy machine
TOKEN = "planted-token-of-the-page"
_ROOT = Path(__file__).parent.parent


@dataclass
class Visitor:
    """Who asks: a browser's session, with the token or without; `cases`: how often it has."""

    url: str
    session: requests.Session = field(default_factory=requests.Session)
    kept: Any = None  # its cookies: an answer to strange headers begins another session
    cases: int = 0

    def enter(self) -> None:
        """Show the token."""
        mark = self._mark("/login")
        told = self.session.post(f"{self.url}/login", {"mark": mark, "token": TOKEN}, timeout=ANSWER)
        assert told.status_code == 200, told.text
        self.kept = self.session.cookies.copy()

    def ask(self, case: Case) -> None:
        """Ask once; every other form carries the mark of the session, as ours do. Raises what a check does."""
        self.cases += 1
        self.session.cookies = self.kept.copy() if self.kept else requests.cookies.RequestsCookieJar()
        if isinstance(case.body, dict) and len(str(case.body.get("mark"))) % 2 == 0:
            case.body["mark"] = self._mark("/settings")
        response = case.call(self.url, session=self.session, timeout=ANSWER, allow_redirects=False)
        case.validate_response(response, checks=CHECKS)
        for secret in (TOKEN, "Traceback (most recent"):
            assert secret not in response.text, f"an answer holds {secret!r}"

    def _mark(self, path: str) -> str:
        text = self.session.get(self.url + path, timeout=ANSWER).text
        found = re.search(r'name="mark" value="([^"]*)"', text)
        return found[1] if found else ""


def browse(wanted: Wanted) -> int:
    """Ask every route, known and as a stranger, until time or cases are over; return 1 where a check failed."""
    logging.disable(logging.WARNING)
    rounds = 0
    with _agent() as (url, log):
        operations = [*_operations(strange=False), *_operations(strange=True)]
        known, stranger = Visitor(url), Visitor(url)
        known.enter()  # once: who guesses tokens, as a case may, has to wait
        began = time.monotonic()
        while (not wanted.runs or known.cases + stranger.cases < wanted.runs) and (
            not wanted.seconds or time.monotonic() - began < wanted.seconds
        ):
            operation, turn = operations[rounds % len(operations)], rounds // len(operations)
            rounds += 1
            visitor = known if turn % 3 < 2 else stranger
            mode = GenerationMode.NEGATIVE if turn % 2 else GenerationMode.POSITIVE
            try:
                _asked(operation, mode, visitor, wanted.seed + rounds)
            except BaseException:
                print(log.read_text(errors="replace")[-6000:])
                print(f"{CASES} {known.cases + stranger.cases}", flush=True)
                raise
    print(f"{CASES} {known.cases + stranger.cases}")  # as the other targets tell it
    return 0


def _operations(*, strange: bool) -> list[Any]:
    found = schemathesis.openapi.from_dict(description(strange=strange)).get_all_operations()
    return [each.ok() for each in found]


def _asked(operation: Any, mode: GenerationMode, visitor: Visitor, chance: int) -> None:
    """Ask one operation some times."""

    @seed(chance)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: Case) -> None:
        visitor.ask(case)

    with contextlib.suppress(Unsatisfiable):  # of some operations nothing is forbidden
        ask()


@contextlib.contextmanager
def _agent() -> Iterator[tuple[str, Path]]:
    """Run an agent of a small home; yield the page's address and the agent's log."""
    with tempfile.TemporaryDirectory(prefix="fuzz-page-") as name, broker.running() as port:
        folder = Path(name)
        _lived(folder / "data")
        url = _written(folder, port)
        with (folder / "log").open("wb") as log:
            command = [sys.executable, "-m", "edge", "run", "--settings", str(folder / "sceneshift.toml")]
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=_ROOT)
        try:
            deadline = time.monotonic() + START
            while not _answers(url):
                if child.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the agent shows no page:\n{(folder / 'log').read_text(errors='replace')}")
                time.sleep(0.2)
            yield url, folder / "log"
            if child.poll() is not None:
                raise RuntimeError(f"the agent ended:\n{(folder / 'log').read_text(errors='replace')[-6000:]}")
        finally:
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _written(folder: Path, port: int) -> str:
    """Write the settings; return the page's address."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        page = free.getsockname()[1]
    (folder / "token").write_text(TOKEN, encoding="ascii")
    (folder / "token").chmod(0o600)
    (folder / "sceneshift.toml").write_text(
        f'[broker]\nurl = "mqtt://127.0.0.1:{port}"\n[data]\ndirectory = "data"\n'
        f'[web]\nport = {page}\ntoken_file = "token"\n[llm]\ncount = 1\nseconds = 5\n[adapt]\nsteps = 1\nseconds = 10\n'
        "[learn]\nnightly = false\n",
        encoding="utf-8",
    )
    return f"http://127.0.0.1:{page}"


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/login", timeout=ANSWER).status_code == 200
    except requests.RequestException:
        return False


def _lived(directory: Path) -> None:
    """Fill a record: a week of a lamp, two alerts, an adaptation that came to nothing."""
    store = Store.open(directory)
    store.remember([Device("lamp", "Hall lamp", "light")])
    now = time.time()
    lived = [Behavior(now - 3600 * hour, "lamp", f"state {'ON' if hour % 2 else 'OFF'}") for hour in range(168, 0, -1)]
    [rows] = store.record([Entry(Message("home/lamp", b"", now, mid=1), (), tuple(lived))])
    for row, state in ((rows[-1], "sent"), (rows[-2], "fine")):
        store.add_alert(Alert(now - 60, row, 1.8, 1.0, "On Monday Hall lamp turned on.", state))
    store.add_adaptation(now - 60, "winter", {"abandoned": "there is too little"})
    store.close()
