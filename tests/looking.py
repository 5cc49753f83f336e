"""A home to look at for tests of the page: a real store and real slots, the real server, an agent that only answers."""

import time
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np

from edge.core.behaviors import Behavior, Entry
from edge.core.calibration import PARTS, Limits
from edge.core.devices import Device
from edge.core.events import Message
from edge.core.explanations import Expected, Explanation
from edge.core.habits import Habit
from edge.core.manifest import SlotManifest
from edge.core.quiet import REASONS
from edge.core.verdicts import Alert
from edge.core.vocabulary import Vocabulary
from edge.sections import Data, Web
from edge.settings import Settings
from edge.slots import Slots
from edge.store import Store
from edge.web.server import serve
from tests import homes
from tests.conftest import free_port

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
BEGAN = time.monotonic()
IDLE = {"scene": "winter", "slot": None, "scores": False, "judged": 0, "busy": False, "progress": None, "problem": ""}
JOB = {"job": "adapt", "scene": "spring", "what": "writing", "done": 3, "of": 200}
STATES = {
    "recording": IDLE,
    "no model though due": {**IDLE, "problem": "no model to score with: damaged"},
    "calibrating": {**IDLE, "scores": True, "shadow_mode": "3 days", "calibrating": {"days": 3.0, "needed_days": 7.0}},
    "watching": {**IDLE, "scores": True, "slot": "0001-winter", "judged": 12, "budget": {"told": 1, "of": 10}},
    "probation": {**IDLE, "scores": True, "slot": "0002-spring", "probation": True, "drift_since": TODAY - 9e5},
    "working": {**IDLE, "scores": True, "busy": True, "progress": JOB},
    "starting a job": {**IDLE, "busy": True, "progress": {**JOB, "job": "learn", "scene": "", "of": 0}},
    "quiet": {**IDLE, "scores": True, "alerts": False, "mutes": {"*": TODAY + 9e5}, "budget": {"told": 3, "of": 3}},
    "cleaning": {**IDLE, "scores": True, "mode": "cleaner", "mutes": {"fan1": TODAY + 86400}},
    "nothing known": {},
}  # fmt: skip


class Answering:
    """An agent with the real one's interface towards the page; `answer` is what it says, None while it is at work."""

    def __init__(self, settings, store, snapshot=None, answer=None):
        self.settings, self.store = settings, store
        self.snapshot = dict(IDLE if snapshot is None else snapshot)
        self.on_publish, self.asked = [], []
        self.answer = answer or {"status": "ok", "data": {}}

    def ask(self, request):
        self.asked.append(request)
        future = Future()
        if self.answer != "at work":
            future.set_result(self.answer)
        return future

    def publish(self, topic, body):
        for listener in self.on_publish:
            listener(topic, body)


def why(device="fan1", name="Desk fan", **more):
    parts = (9.0, *(0.5,) * (len(PARTS) - 1))
    habit = Habit(
        12,
        4.0,
        ((7, 9),),
        (0, 1, 2, 3, 4),
        tuple(3 if 7 <= hour < 11 else 0 for hour in range(24)),
        last="2026-01-05T07:10",
    )
    told = {
        "time": TODAY + 3 * 3600, "day": 0, "hour": 3, "device": device, "name": name, "control": "state ON",
        "odd": "time", "habit": habit, "device_near": 0, "after": None, "since": None, "usual_since": None,
        "expected": (Expected("lamp1", "Hall lamp", "state OFF", 0.6),), "model": "0001-winter",
        "surprise": parts, "limits": (5.0,) * len(PARTS),
    }  # fmt: skip
    return Explanation(**{**told, **more})


def filled(directory, name="Desk fan"):
    """Fill a store: two weeks and today lived and scored, an alert in every state, every kind of adaptation, slots."""
    store = Store.open(directory)
    store.remember([*homes.DEVICES[:3], Device("fan1", name, "fan")])
    first = TODAY - 14 * 86400
    lived = [Behavior(first + (each.time - homes.MONDAY), each.device, each.control) for each in homes.behaviors(28)]
    lived += [Behavior(TODAY + minute * 60, "fan1", f"state {'ON' if minute % 2 else 'OFF'}") for minute in range(9)]
    message = Message("home/lamp1", b"", TODAY, mid=1)
    [rows] = store.record([Entry(message, (), tuple(lived))])
    store.add_scores({row: 0.1 + 0.01 * place for place, row in enumerate(rows[-8:])})
    told, said = why(name=name), f"On Monday {name} turned on."
    for place, state in enumerate(("sent", "fine", "wrong", *REASONS)):
        store.add_alert(Alert(TODAY + 60 * place, rows[-1 - place], 1.8, 1.0, said, state, explanation=told))
    store.add_alert(Alert(TODAY, None, 1.2, 1.0, "An old one."))
    slots = Slots(directory / "slots")
    for scene in ("winter", "spring", "summer"):
        slots.promote(slots.write(manifest(scene), np.ones(64, np.float32)))
    metrics = {"auroc": 0.99, "recall": 0.95, "false_positive_rate": 0.04, "next_nll": float("nan"), "normals": 40}
    gate = {"accepted": True, "reasons": ["not worse"], "incumbent": {**metrics, "auroc": 0.9}, "candidate": metrics}
    spring = {"scene": {"from": "winter", "to": "spring"}, "synthetic": {"kept": 1}, "gate": gate}
    summer = {"scene": {"from": "spring", "to": "summer"}, "reused": "0003-summer"}
    for scene, report in (
        ("winter", {"retrain": {"steps": 10}, "metrics": metrics, "swap": {"from": None, "to": "0001-winter"}}),
        ("spring", {**spring, "swap": {"from": "0001-winter", "to": "0002-spring"}}),
        ("summer", {**summer, "swap": {"from": "0002-spring", "to": "0003-summer"}}),
        ("winter", {"abandoned": f"no synthetic sequence of {name} passed"}),
        ("winter", {"probation": ["alarms on every third day"], "swap": {"from": "0002-spring", "to": "0001-winter"}}),
    ):
        store.add_adaptation(TODAY, scene, report)
    return store


def manifest(scene):
    return SlotManifest(
        scene=scene, created=TODAY, model="detector", model_version=1, vocabulary=Vocabulary().grown(homes.PAIRS),
        limits=Limits(7.5, 3.5, 4.5, 0.01, 10), metrics={"auroc": 0.98}, origin="learned", steps=600, seconds=12.0,
    )  # fmt: skip


def settings(directory, **web):
    return Settings(data=Data(directory=directory), web=Web.model_validate({"port": free_port(), **web}))


def noon():
    """What the page's clock shows: TODAY's noon and on from there, for a test may run across midnight."""
    return TODAY + 12 * 3600 + time.monotonic() - BEGAN


@contextmanager
def looking(directory, snapshot=None, *, answer=None, store=None, file=None, **web):
    """Serve the page of a store; yield the answering agent and a client that has the page's address."""
    told = settings(directory, **web)
    agent = Answering(told, store or Store.open(directory), snapshot, answer)
    page = serve(agent, told.web, file, clock=noon)
    try:
        with httpx.Client(base_url=page.url.replace("0.0.0.0", "127.0.0.1"), timeout=10) as client:
            yield agent, client
    finally:
        page.close()
        agent.store.close()


def mark(client, path="/"):
    """Return what the forms of a page carry."""
    return client.get(path).text.partition('name="mark" value="')[2].partition('"')[0]


def ahead(days):
    return (datetime.fromtimestamp(TODAY, UTC) + timedelta(days=days)).date().isoformat()
