"""An agent in a thread with a client beside it, for tests: real broker, real store, real models."""

import json
import threading
import time

from edge.agent import Agent
from edge.mqtt import Session
from edge.sections import Adapt, Data, Home, Learn, Llm, Model
from edge.settings import Settings
from edge.sources import GenericSource
from tests import homes


def settings_for(broker, folder):
    """Return settings of the small home of tests/homes.py; a few steps of training, a few sequences written."""
    dictionary = folder / "home.json"
    devices = [{"id": each.id, "name": each.name, "kind": each.kind} for each in homes.DEVICES]
    dictionary.write_text(json.dumps({"devices": devices, "controls": homes.PAIRS}))
    return Settings(
        broker=broker.address(),
        data=Data(directory=folder / "data", commit_seconds=0.05),
        sources=(GenericSource(dialect="generic", topic="home/{device}"),),
        home=Home(scene="winter", dictionary=dictionary),
        model=Model(learn_after_days=1000.0),
        llm=Llm(count=40),
        adapt=Adapt(steps=150, notice=False),
        learn=Learn(nightly=False),
    )


class Running:
    """An agent at work, and what its client hears under its prefix and at `also`."""

    def __init__(self, settings, also=()):
        self.settings = settings
        self.agent = Agent(settings)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.agent.run, args=(self.stop,), daemon=True)
        client = settings.broker.model_copy(update={"client_id": "test-client"})
        self.client = Session(client, lasting=False)
        self.client.subscribe([f"{settings.broker.prefix}/#", *also])
        self.heard = []

    def __enter__(self):
        self.thread.start()
        self.client.open()
        self.wait(lambda: self.said("availability", b"online"))
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(60)
        self.client.close()
        assert not self.thread.is_alive()

    def wait(self, condition, seconds=60.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "nothing happened in time"
            messages = self.client.take(100, 0.05)
            self.client.acknowledge(messages)
            self.heard += messages

    def said(self, topic, payload=None):
        full = f"{self.settings.broker.prefix}/{topic}"
        return [m for m in self.heard if m.topic == full and payload in (None, m.payload)]

    def live(self, behaviors):
        before = self.agent.store.count()
        for each in behaviors:
            body = json.dumps({"t": each.time, "control": each.control})
            self.client.publish(f"home/{each.device}", body)
        self.wait(lambda: self.agent.store.count() == before + len(behaviors))
