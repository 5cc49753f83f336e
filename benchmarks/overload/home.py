"""A home under load: a real mosquitto, the real agent as its own process, and a client that measures from outside."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.torture.points import ROOT
from benchmarks.torture.processes import Broker
from edge.core.behaviors import Behavior
from edge.store import Store

PATIENCE = 120.0  # seconds for what must happen
UNDER_WAY = 1000  # publications the broker has not acknowledged, at most
STILL = 3.0  # seconds without a word after which what is waited for does not come any more
SETTINGS = """
[broker]
url = "mqtt://127.0.0.1:{port}"
[data]
directory = "{data}"
commit_seconds = 0.2
[model]
learn_after_days = 10000
[adapt]
notice = false
steps = 120
[learn]
nightly = false
[web]
enabled = false
"""
GENERIC = '[[sources]]\ndialect = "generic"\ntopic = "home/{device}"\n'
EVERY_DIALECT = GENERIC + "".join(
    f'[[sources]]\ndialect = "{name}"\n' for name in ("zigbee2mqtt", "tasmota", "esphome", "shelly", "statestream")
)


@dataclass(frozen=True, slots=True)
class Letter:
    """One message to send: a topic and what it says; `key` names it among the behaviors that are told."""

    topic: str
    payload: str | bytes
    key: tuple[str, float] | None = None
    retain: bool = False


def act(device: str, time: float, control: str = "state ON") -> Letter:
    """Return a message that somebody used a device at a time of its own (seconds since the epoch)."""
    return Letter(f"home/{device}", json.dumps({"t": time, "control": control}), (device, time))


class Client:
    """Sends, and hears everything under the agent's prefix, unless it only sends."""

    def __init__(self, port: int, name: str = "meter", *, hears: bool = True) -> None:
        self.sent: dict[tuple[str, float], float] = {}  # when (monotonic)
        self.told: dict[tuple[str, float], float] = {}
        self.alerts: list[dict[str, Any]] = []
        self.answers: Counter[str] = Counter()  # by status
        self.status: dict[str, Any] = {}
        self.last = time.monotonic()
        self._room = threading.BoundedSemaphore(UNDER_WAY)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv5)
        self._client.max_inflight_messages_set(200)
        self._client.on_publish = lambda *_: self._room.release()
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        if hears:
            self._client.subscribe("sceneshift/#", 1)
        self._client.loop_start()

    def send(self, letters: Iterable[Letter], qos: int = 1, pace: float = 0.0) -> int:
        """Publish, at most `pace` a second (0: as fast as the broker takes it); return how many, once it has them."""
        began, count = time.monotonic(), 0
        for letter in letters:
            self._room.acquire()
            if letter.key is not None:
                self.sent[letter.key] = time.monotonic()
            self._client.publish(letter.topic, letter.payload, qos, letter.retain)
            count += 1
            if pace and (ahead := began + count / pace - time.monotonic()) > 0:
                time.sleep(ahead)
        for _ in range(UNDER_WAY):
            self._room.acquire()
        for _ in range(UNDER_WAY):
            self._room.release()
        return count

    def latencies(self, keys: Iterable[tuple[str, float]]) -> list[float]:
        """Return the seconds from sending to hearing it told, of those that were told."""
        return [self.told[key] - self.sent[key] for key in keys if key in self.told]

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()

    def _hear(self, _: object, __: object, message: paho.MQTTMessage) -> None:
        what = message.topic.removeprefix("sceneshift/")
        if what == "behavior":
            body = json.loads(message.payload)
            self.told.setdefault((body["device"], body["t"]), time.monotonic())
            self.last = time.monotonic()
        elif what == "alert":
            self.alerts.append(json.loads(message.payload))
        elif what == "state":
            self.status = json.loads(message.payload)
        elif what.startswith("response/"):
            self.answers[json.loads(message.payload)["status"]] += 1
            self.last = time.monotonic()


class Home:
    """One home, on a copy of what was learned."""

    def __init__(self, folder: Path, data: Path, sources: str = GENERIC) -> None:
        self.folder = folder
        self.data = data
        self.broker = Broker(folder / "broker")
        with (folder / "broker/mosquitto.conf").open("a") as config:
            config.write("max_inflight_messages 200\n")  # as firmware_configs/mosquitto has it
        self.broker.start()
        self.settings = folder / "sceneshift.toml"
        self.point_at(self.broker.port, sources)
        self.client = Client(self.broker.port)
        self.process: subprocess.Popen[bytes] | None = None
        self.valve: object = None  # in front of the broker, where there is one

    def point_at(self, port: int, sources: str = GENERIC) -> None:
        """Write the settings: the broker, or a wire in front of it."""
        self.settings.write_text(SETTINGS.format(port=port, data=self.data) + sources)

    def command(self, *words: str) -> None:
        """Run a command of the hub to its end."""
        line = [sys.executable, "-m", "edge", *words, "--settings", str(self.settings)]
        subprocess.run(line, check=True, cwd=ROOT, env=_environment({}), capture_output=True)

    def start(self, **environment: str) -> None:
        """Start the agent, and wait until it is there."""
        self.client.status = {}
        with (self.folder / "agent.log").open("ab") as log:
            line = [sys.executable, "-m", "edge", "run", "--settings", str(self.settings)]
            self.process = subprocess.Popen(line, stdout=log, stderr=log, cwd=ROOT, env=_environment(environment))
        self.until(lambda: self.client.status)

    def until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError((self.folder / "agent.log").read_text()[-2000:])
            assert time.monotonic() < deadline, "not in time"
            time.sleep(0.02)

    def settle(self) -> None:
        """Wait until nothing is told any more, and the agent has said how it is."""
        self.until(lambda: time.monotonic() - self.client.last > STILL, 3600.0)
        self.client.status = {}
        self.client.send([Letter("sceneshift/request/alerts", '{"on": true}')])
        self.until(lambda: self.client.status)

    def forget_peak(self) -> None:
        """Let the peak of memory begin anew."""
        assert self.process is not None
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def memory(self, what: str) -> float:
        """Return MB of the agent: VmRSS now, or VmHWM, its peak."""
        assert self.process is not None
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what))

    def processor(self) -> float:
        """Return the seconds of a processor the agent has used."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End the agent."""
        if self.process is not None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(60)
            self.process.kill()
            self.process = None

    def close(self) -> None:
        """End everything."""
        self.stop()
        self.client.close()
        self.broker.stop()

    def recorded(self) -> tuple[int, dict[str, int]]:
        """Return how many behaviors are in the record, and what was set aside by reason."""
        store = Store.open(self.data, read_only=True)
        try:
            return store.count(), store.counters()
        finally:
            store.close()


@contextmanager
def opened(folder: Path, data: Path, sources: str = GENERIC) -> Iterator[Home]:
    """Yield a home, closed at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    home = Home(folder, data, sources)
    try:
        yield home
    finally:
        home.close()


def learned(folder: Path, lived: Iterable[Behavior]) -> Path:
    """Take a home's past in and learn a model of it; return its data directory."""
    past = folder / "past.jsonl"
    lines = (json.dumps({"t": each.time, "device": each.device, "control": each.control}) for each in lived)
    with opened(folder, folder / "data") as home:
        past.write_text("\n".join(lines) + "\n")
        home.command("import", str(past))
    return folder / "data"


def quantile(seconds: list[float], share: float) -> float | None:
    """Return a quantile in milliseconds, None of nothing."""
    return round(float(np.quantile(seconds, share)) * 1000, 1) if seconds else None


def _environment(more: dict[str, str]) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}
