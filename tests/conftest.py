"""What several tests need: a real mosquitto on a free loopback port."""

import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from edge.sections import Broker

# A property holds however loaded the machine is: no example has a deadline of its own.
settings.register_profile("loaded", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("loaded")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Mosquitto:
    """A broker with persistence that can be stopped, killed and started again."""

    folder: Path
    port: int = field(default_factory=free_port)
    extra: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def address(self, client_id: str = "sceneshift", **more: object) -> Broker:
        return Broker.model_validate({"url": self.url, "client_id": client_id, **more})

    def start(self) -> None:
        self.launch(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {self.folder}/\nmax_queued_messages 100000\n{self.extra}\n"
        )

    def launch(self, config: str) -> None:
        """Start mosquitto with a configuration, as whoever runs the tests, and wait until it listens."""
        path = self.folder / "mosquitto.conf"
        path.write_text(f"{config}\nuser {getpass.getuser()}\n", encoding="utf-8")
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        if program is None:
            pytest.skip("MOSQUITTO IS MISSING: apt-get install mosquitto; what needs a broker is NOT tested")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([program, "-c", str(path)], stdout=log, stderr=log)
        deadline = time.monotonic() + 5
        while not listens(self.port):
            assert self.process.poll() is None, (self.folder / "mosquitto.log").read_text()
            assert time.monotonic() < deadline, "mosquitto does not listen"
            time.sleep(0.02)

    def stop(self, *, kill: bool = False) -> None:
        if self.process is not None:
            if kill:
                self.process.kill()
            else:
                self.process.terminate()
            self.process.wait(5)
            self.process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    running = Mosquitto(folder)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def shipped_llm():
    """The shipped language model's file; the test is skipped, loudly, where llama.cpp is not installed."""
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: pip install '.[llm]'")
    from edge import compose

    return compose.language_model()


def pytest_ignore_collect(collection_path, config):
    """Leave out what runs beside other programs: it is asked for by its path (`make interop`), never `make test`'s."""
    asked = any("interop" in arg for arg in config.args)
    return True if collection_path.name == "interop" and not asked else None
