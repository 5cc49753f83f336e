"""Pictures of the page: `python -m benchmarks.screenshots` lives the demo home through the real agent and looks at it.

A real mosquitto, the real agent, the shipped language model, the real server and the system's Chromium; no figure in a
picture is made up. With a folder as argument the home lived there is kept, and shown again without living it anew.
"""

import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import FloatRect, Page, sync_playwright
from rich.progress import track

from benchmarks.bench_hub import mosquitto
from edge.agent import Agent
from edge.core.behaviors import Behavior
from edge.demo.recorded import open_home
from edge.mqtt import Session
from edge.sections import Adapt, Broker, Data, Learn, Model, Web
from edge.settings import Settings
from edge.slots import shipped
from edge.sources import GenericSource
from edge.web.server import serve

HOME = shipped("demo-home")
PICTURES = Path(__file__).parent.parent / "deploy" / "pictures"
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip
PORT = 8799
UNTIL = "2026-05-20"  # the days of the new scene that are lived, with the odd acts of the recorded attack among them
AHEAD = 400  # messages on their way at most
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 375, "height": 812}
SHOWN = {
    "today": "/", "alerts": "/alerts", "alert": "/alerts/{alert}", "learned": "/learned", "scenes": "/scenes/{scene}",
    "models": "/models",
}  # fmt: skip
PHONES = ("today", "alert")
TALLEST = 1400  # pixels of a picture
COLORS = 256  # of a picture: the page has few, and a picture is then a third as large


def main() -> None:
    """Live the home where it is not lived yet, and take every picture."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(name)
        with mosquitto(Path(name)) as url:
            settings = _settings(url, folder)
            with running(settings) as agent, closing(serve(agent, settings.web)) as page:
                if not agent.store.count():
                    live(agent)
                shoot(page.url, agent)


def _settings(url: str, folder: Path) -> Settings:
    recorded = open_home(HOME, None)
    return Settings(
        broker=Broker(url=url),
        data=Data(directory=folder, commit_seconds=0.05),
        sources=(GenericSource(dialect="generic", topic="home/{device}"),),
        home=recorded.home,
        model=Model(alarms_per_week=2, learn_after_days=1e6),  # learned when this script says so
        adapt=Adapt(notice=False),
        learn=Learn(nightly=False),
        web=Web(port=PORT),
    )


@contextmanager
def running(settings: Settings) -> Iterator[Agent]:
    """Run the agent in a thread."""
    agent, stop = Agent(settings), threading.Event()
    thread = threading.Thread(target=agent.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield agent
    finally:
        stop.set()
        thread.join(60)


def live(agent: Agent) -> None:
    """Live winter, learn it, adapt to spring by the shipped language model, and live three weeks of it."""
    recorded = open_home(HOME, None)
    zone = recorded.home.zone
    client = Session(agent.settings.broker.model_copy(update={"client_id": "home"}), lasting=False, first_wait=0.1)
    client.open()
    client.wait(10)
    publish(agent, client, recorded.source)
    for topic, payload in (("request/learn", ""), ("scene/set", recorded.scene)):
        ended = agent.jobs.outcomes
        client.publish(f"{agent.settings.broker.prefix}/{topic}", payload)
        while agent.jobs.outcomes == ended:
            time.sleep(0.1)
    rows = (json.loads(line) for line in (HOME / "target_attack.jsonl").read_text(encoding="utf-8").splitlines())
    spring = [Behavior(float(row["t"]), str(row["device"]), str(row["control"])) for row in rows]
    publish(agent, client, [each for each in spring if f"{datetime.fromtimestamp(each.time, zone):%F}" <= UNTIL])
    client.close()


def publish(agent: Agent, client: Session, behaviors: Iterable[Behavior]) -> None:
    """Publish behaviors as fast as the agent stores them."""
    first = agent.store.count()
    for sent, each in enumerate(track(list(behaviors), description="living"), 1):
        client.publish(f"home/{each.device}", json.dumps({"t": each.time, "control": each.control}))
        while sent - (agent.store.count() - first) >= AHEAD:
            time.sleep(0.02)
    while agent.store.count() - first < sent:
        time.sleep(0.05)
    time.sleep(2.0)


def shoot(url: str, agent: Agent) -> None:
    """Take each page wide and in light, and some on a phone and in the dark."""
    written = [each.id for each in agent.store.adaptations() if "synthetic" in each.report]
    newest = {"alert": agent.store.alerts()[-1].id, "scene": written[-1]}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        for name, path in SHOWN.items():
            page = browser.new_page(viewport=WIDE, color_scheme="light")
            _take(page, url + path.format(**newest), name)
        for name in PHONES:
            page = browser.new_page(viewport=PHONE, color_scheme="dark", device_scale_factor=1.5)
            _take(page, url + SHOWN[name].format(**newest), f"{name}-phone")
        browser.close()


def _take(page: Page, address: str, name: str) -> None:
    page.goto(address)
    page.wait_for_timeout(500)
    width, height = page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
    clip = FloatRect(x=0, y=0, width=width, height=min(height, TALLEST))
    taken = Image.open(BytesIO(page.screenshot(full_page=True, clip=clip)))
    taken.convert("RGB").quantize(COLORS, Image.Quantize.MAXCOVERAGE).save(PICTURES / f"{name}.png", optimize=True)
    page.close()


if __name__ == "__main__":
    main()
