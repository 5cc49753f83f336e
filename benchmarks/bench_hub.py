"""The hub as a whole: behaviors a second through the agent beside a bare paho consumer, start, size, disk."""

import json
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from edge.agent import Agent
from edge.core.behaviors import Behavior
from edge.demo.recorded import Recorded, open_home
from edge.sections import Adapt, Broker, Data, Learn
from edge.settings import Settings
from edge.slots import shipped
from edge.sources import GenericSource

ROOT = Path(__file__).parent.parent


@contextmanager
def mosquitto(folder: Path) -> Iterator[str]:
    """Run a real mosquitto on a free port; yield its URL."""
    import socket  # noqa: PLC0415

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 100000\n")
    child = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(config)], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    try:
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait()


def _behaviors(recorded: Recorded, count: int) -> list[Behavior]:
    """Repeat the home's record, later each time, until there are `count` behaviors."""
    span = recorded.source[-1].time - recorded.source[0].time + 86400
    times = -(-count // len(recorded.source))
    repeated = [
        Behavior(each.time + number * span, each.device, each.control)
        for number in range(times)
        for each in recorded.source
    ]
    return repeated[:count]


def _publish(url: str, behaviors: list[Behavior]) -> paho.Client:
    """Publish as fast as the broker takes it."""
    host, port = url.removeprefix("mqtt://").split(":")
    sender = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="sender", protocol=paho.MQTTv5)
    sender.max_inflight_messages_set(200)
    sender.connect(host, int(port))
    sender.loop_start()
    for each in behaviors:
        sender.publish(f"home/{each.device}", json.dumps({"t": each.time, "control": each.control}), 1)
    return sender


def throughput(count: int = 4000) -> dict[str, float]:
    """Measure behaviors a second stored and scored by the agent, and received by a bare paho client, in one run."""
    recorded = open_home(shipped("demo-home"), None)
    with tempfile.TemporaryDirectory() as name, mosquitto(Path(name)) as url:
        settings = Settings(
            broker=Broker(url=url),
            data=Data(directory=Path(name) / "data", commit_seconds=0.05),
            sources=(GenericSource(dialect="generic", topic="home/{device}"),),
            home=recorded.home,
            adapt=Adapt(notice=False),
            learn=Learn(nightly=False),
        )
        agent = Agent(settings)
        assert agent.jobs.slow is not None
        learned = _learn(agent, recorded)
        agent.watch.swap(learned)
        stop = threading.Event()
        thread = threading.Thread(target=agent.run, args=(stop,))
        thread.start()
        assert agent.session.wait(10)
        time.sleep(0.5)
        bare = _bare(url, recorded, count)
        lived = _behaviors(recorded, count)
        before, size, started = agent.store.count(), _size(settings.data.directory), time.perf_counter()
        sender = _publish(url, lived)
        while agent.store.count() - before < count or agent.watch.scored < count:
            time.sleep(0.005)
        seconds = time.perf_counter() - started
        sender.disconnect()
        sender.loop_stop()
        stop.set()
        thread.join()
        grown = _size(settings.data.directory) - size
    return {
        "stored_and_scored_per_second": round(count / seconds, 1),
        "bare_paho_per_second": round(bare, 1),
        "ratio": round(count / seconds / bare, 3),
        "file_bytes_per_1000_behaviors": round(grown / count * 1000),
    }


def _learn(agent: Agent, recorded: Recorded) -> Any:
    from edge.core.dictionary import Dictionary  # noqa: PLC0415
    from edge.core.scenes import Scene  # noqa: PLC0415
    from edge.core.sequences import split  # noqa: PLC0415
    from edge.synthesis import Home  # noqa: PLC0415

    lived = Dictionary.of((each.device, each.control) for each in recorded.source)
    home = Home(lived, tuple(split(recorded.source, recorded.home.zone)), weeks=8.0)
    assert agent.jobs.slow is not None
    return agent.jobs.slow.learn(home, Scene(), 0.0).model


def _bare(url: str, recorded: Recorded, count: int) -> float:
    """Count the same messages with a paho client that does nothing else, same QoS."""
    got = threading.Event()
    seen = [0]

    def on_message(_: Any, __: Any, ___: Any) -> None:
        seen[0] += 1
        if seen[0] == count:
            got.set()

    host, port = url.removeprefix("mqtt://").split(":")
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="bare", protocol=paho.MQTTv5)
    client.on_message = on_message
    client.connect(host, int(port))
    client.subscribe("home/#", 1)
    client.loop_start()
    time.sleep(0.5)
    started = time.perf_counter()
    sender = _publish(url, _behaviors(recorded, count))
    assert got.wait(120)
    seconds = time.perf_counter() - started
    client.disconnect()
    client.loop_stop()
    sender.disconnect()
    sender.loop_stop()
    return count / seconds


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def written(count: int = 1000) -> dict[str, float]:
    """Measure the bytes a process really writes for 1,000 behaviors, one a commit, as a quiet home makes them."""
    code = (
        "import sys, tempfile\nfrom pathlib import Path\n"
        "from edge.core.behaviors import Behavior, Entry\nfrom edge.core.events import Event, Message\n"
        "from edge.store import Store\n"
        "io = lambda: int(Path('/proc/self/io').read_text().split('write_bytes: ')[1].split()[0])\n"
        f"with tempfile.TemporaryDirectory(dir='{ROOT}') as name:\n"
        "    store = Store.open(Path(name))\n    before = io()\n"
        f"    for n in range({count}):\n"
        "        m = Message('home/lamp', b'%d' % n, float(n), mid=n % 60000 + 1)\n"
        "        e = Event(float(n), f'lamp{n % 20}', 'lamp', '', 'switch on', True)\n"
        "        store.record([Entry(m, (e,), (Behavior(float(n), e.device, 'switch on'),))])\n"
        "    store.close()\n    print(io() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {"written_bytes_per_1000_behaviors": int(done.stdout) * 1000 / count}


def start() -> dict[str, float]:
    """Measure process start to the first score: the median of five fresh interpreters on a learned slot."""
    code = (
        "from edge.scorer import Scorer; from edge.slots import shipped; import numpy as np\n"
        "from edge.core.vocabulary import Vocabulary; from edge.core.sequences import Step\n"
        "d = shipped('detector'); v = Vocabulary().grown([('lamp', 'switch on')])\n"
        "print(Scorer(d, np.load(d / 'initial.npy'), v).scores([(Step(0, 7, 'lamp', 'switch on'),)]))\n"
    )
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT)
        seconds.append(time.perf_counter() - started)
    return {"start_to_first_score_seconds": round(sorted(seconds)[2], 3)}


def installed() -> dict[str, float]:
    """Measure what the base install adds to an empty virtual environment, in MB."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "venv"
        venv.create(folder, with_pip=True)
        before = _size(folder)
        pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", str(ROOT)]
        subprocess.run(pip, check=True)
        return {"base_install_mb": round((_size(folder) - before) / 1e6, 1)}
