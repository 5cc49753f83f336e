"""The demo: a recorded home lives through MQTT in front of the real agent, and what came of it is reported."""

import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.adapt import Model as Live
from edge.agent import TICK, Agent
from edge.core.behaviors import Behavior
from edge.core.errors import EdgeError
from edge.core.metrics import measure, rate_at_recall
from edge.core.verdicts import UNUSUAL
from edge.demo import broker
from edge.demo.recorded import Recorded
from edge.mqtt import Session
from edge.scorer import hit_rate
from edge.sections import Adapt, Broker, Data, Learn, Llm, Model
from edge.settings import Settings
from edge.sources import GenericSource

PATIENCE = 120.0  # seconds without any progress before the demo gives up
AHEAD = 400  # messages published but not stored yet, at most: what the broker's memory is asked to hold

Progress = Callable[[str, int, int], None]


def run(recorded: Recorded, llm: Path | None, seed: int, on_progress: Progress) -> dict[str, Any]:
    """Live the home through; return the report. Raises EdgeError where something does not come to an end."""
    with tempfile.TemporaryDirectory(prefix="sceneshift-demo-") as name, broker.running() as port:
        settings = _settings(recorded, llm, port, Path(name))
        agent = Agent(settings, on_progress)
        if agent.jobs.slow is not None:
            agent.jobs.slow.reseed(seed)
        stop, failed = threading.Event(), []

        def work() -> None:
            try:
                agent.run(stop)
            except EdgeError as error:
                failed.append(error)

        thread = threading.Thread(target=work, name="agent", daemon=True)
        thread.start()
        try:
            report = _live(agent, recorded, port, on_progress)
        finally:
            stop.set()
            thread.join(timeout=60)
        if failed:
            raise failed[0]
        return report


def _settings(recorded: Recorded, llm: Path | None, port: int, directory: Path) -> Settings:
    """Return a home's settings; only what the demo itself decides differs from the defaults."""
    return Settings(
        broker=Broker(url=f"mqtt://127.0.0.1:{port}"),
        data=Data(directory=directory, commit_seconds=0.05, keep_days=36_500),  # recorded days may be strewn over years
        sources=(GenericSource(dialect="generic", topic="home/{device}"),),
        home=recorded.home,
        llm=Llm(file=llm),
        model=Model(learn_after_days=1e6),  # the demo says when to learn, and when the scene changes
        adapt=Adapt(notice=False),
        learn=Learn(nightly=False),
    )


def _live(agent: Agent, recorded: Recorded, port: int, on_progress: Progress) -> dict[str, Any]:
    publisher = Session(Broker(url=f"mqtt://127.0.0.1:{port}", client_id="home"), lasting=False, first_wait=0.1)
    publisher.subscribe([agent.session.availability_topic])
    publisher.open()
    try:
        _await_agent(publisher)
        _publish(agent, publisher, recorded.source, "living before the change", on_progress)
        before = _learn(agent, publisher)
        told: dict[str, Any] = {"home": recorded.name, "scene": recorded.scene, "learned": agent.jobs.last_report}
        told["before"] = judge(before, recorded)
        _ask(agent, publisher, "scene/set", recorded.scene)
        told.update(agent.jobs.last_report)
        after = agent.watch.model or before
        told["after"] = judge(after, recorded)
        told["equal_recall"] = equal_recall(before, after, recorded)
        told.setdefault("gate", {})
        _publish(agent, publisher, recorded.target, "living in the new scene", on_progress)
        _await_probation(agent)
        told["probation"] = agent.store.fact("last_probation")
        told["events_published"] = len(recorded.source) + len(recorded.target)
        told["events_stored"] = agent.store.count()
        told["sequences"] = len(agent.jobs.home().sequences)
        told["alerts"] = len(agent.store.alerts())
        told["rejected_messages"] = agent.store.counters()
        return told
    finally:
        publisher.close()


def _await_agent(publisher: Session) -> None:
    """Wait until the agent says that it is online, which it says after it has subscribed."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        heard = publisher.take(10, 0.2)
        publisher.acknowledge(heard)
        if any(message.payload == b"online" for message in heard):
            return
    raise EdgeError(f"the agent did not come online: {publisher.problem or 'it is silent'}")


def _await_probation(agent: Agent) -> None:
    """Leave the agent the time of a few looks at its trials; whether they decide is for them to say."""
    deadline = time.monotonic() + 3 * TICK
    while agent.watch.shadow is not None and time.monotonic() < deadline:
        time.sleep(0.05)


def _publish(agent: Agent, publisher: Session, behaviors: Iterable[Behavior], what: str, on_progress: Progress) -> None:
    """Publish behaviors as fast as the agent stores them, and wait until it has all of them."""
    lived = list(behaviors)
    first = agent.store.count()
    sent = stored = 0
    last = time.monotonic()
    while stored < len(lived):
        while sent < len(lived) and sent - stored < AHEAD:
            each = lived[sent]
            body = json.dumps({"t": each.time, "control": each.control})
            publisher.publish(f"home/{each.device}", body)
            sent += 1
        time.sleep(0.02)
        now = agent.store.count() - first
        if now > stored:
            stored, last = now, time.monotonic()
        on_progress(what, stored, len(lived))
        if time.monotonic() - last > PATIENCE:
            raise EdgeError(
                f"{len(lived) - stored} of {len(lived)} published behaviors never arrived: {agent.store.counters()}"
            )


def _learn(agent: Agent, publisher: Session) -> Live:
    _ask(agent, publisher, "request/learn", "")
    if agent.watch.model is None:
        raise EdgeError(f"the first model was not learned: {agent.jobs.last_report.get('abandoned')}")
    return agent.watch.model


def _ask(agent: Agent, publisher: Session, topic: str, payload: str) -> None:
    """Ask as a user would, by an MQTT message, and wait until the agent has taken the outcome in."""
    count = agent.jobs.outcomes
    publisher.publish(f"{agent.settings.broker.prefix}/{topic}", payload)
    deadline = time.monotonic() + agent.settings.llm.seconds + agent.settings.adapt.seconds
    while agent.jobs.outcomes == count:
        if time.monotonic() > deadline:
            raise EdgeError("the slow loop did not come to an end in its time")
        time.sleep(0.05)


def judge(model: Live, recorded: Recorded) -> dict[str, float]:
    """Judge a model on real sequences of the new scene, all fields: alarms, and the rank of what comes next."""
    found = asdict(measure(*_scores(model, recorded), UNUSUAL))
    found["hit_rate_at_10"] = hit_rate(model.scorer.foretold(recorded.normal).ranks)
    return {key: round(float(value), 4) for key, value in found.items()}


def _scores(model: Live, recorded: Recorded) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    normal, attack = (model.limits.scores(model.scorer.surprise(each)) for each in (recorded.normal, recorded.attack))
    return normal, attack


def equal_recall(before: Live, after: Live, recorded: Recorded) -> dict[str, float]:
    """Compare the false-positive rates of two models where both find as much as the better of them does now."""
    scores = {name: _scores(each, recorded) for name, each in (("before", before), ("after", after))}
    recall = max(float((attack > UNUSUAL).mean()) for _, attack in scores.values())
    rates = {f"false_positive_rate_{name}": round(rate_at_recall(*pair, recall), 4) for name, pair in scores.items()}
    return {"recall": round(recall, 4), **rates}
