"""What a second process can know of an agent: its status from disk, and its answers over MQTT."""

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from edge.agent import BEAT
from edge.core.errors import ArtifactError, StoreError
from edge.mqtt import Session
from edge.sections import Broker
from edge.settings import Settings
from edge.slots import Slots
from edge.store import Store

WEEK = 7 * 86400.0


def status_of(settings: Settings) -> dict[str, Any]:
    """Read the status from the store and the slots; an agent may be running meanwhile."""
    directory = settings.data.directory
    found: dict[str, Any] = {"directory": str(directory), "behaviors": 0, "devices": 0, "set_aside": {}}
    try:
        store = Store.open(directory, read_only=True)
    except StoreError as error:
        return {**found, "problem": str(error)}
    try:
        beat = store.fact("heartbeat", {})
        done = store.adaptations()
        found |= {
            "behaviors": store.count(),
            "devices": len(store.devices()),
            "set_aside": store.counters(),
            "alerts_this_week": len(store.alerts(time.time() - WEEK)),
            "scene": store.fact("scene"),
            "probation": store.fact("probation", {}).get("incumbent"),
            "adaptations": len(done),
            "last_adaptation": _summary(done[-1].report) if done else None,
            "agent": _agent(beat),
            "problem": beat.get("problem", ""),
        }
    finally:
        store.close()
    slots = _slots(settings)
    return {**found, **slots, "problem": slots["problem"] or found["problem"]}


def _slots(settings: Settings) -> dict[str, Any]:
    if not (settings.data.directory / "slots").is_dir():
        return {"slot": None, "slots": 0, "problem": "no model was learned yet"}
    slots = Slots(settings.data.directory / "slots")
    try:
        healthy = slots.load_healthy()
    except ArtifactError as error:
        return {"slot": None, "slots": len(slots.names()), "problem": str(error)}
    return {
        "slot": healthy.name,
        "slots": len(slots.names()),
        "limits": {"what": round(healthy.manifest.limits.what, 2), "when": round(healthy.manifest.limits.when, 2)},
        "problem": healthy.reason or "",
    }


def _agent(beat: Mapping[str, Any]) -> str:
    """Say whether the agent gave a sign of life lately."""
    age = time.time() - float(beat.get("time", 0.0))
    return f"alive {age:.0f} s ago" if age < 3 * BEAT else "silent"


def _summary(report: Mapping[str, Any]) -> str:
    if "swap" in report:
        return f"swapped from {report['swap']['from']} to {report['swap']['to']}"
    return str(report.get("abandoned") or "; ".join(report.get("gate", {}).get("reasons", ())) or "nothing changed")


def roll_back_on_disk(settings: Settings) -> str:
    """Go back to the previous slot while no agent runs; raises ArtifactError where there is none."""
    return Slots(settings.data.directory / "slots").rollback()


def ask(broker: Broker, what: str, body: Mapping[str, Any], patience: float) -> dict[str, Any] | None:
    """Ask a running agent over MQTT; return its answer, None where none comes within `patience` seconds."""
    mark = uuid.uuid4().hex
    mine = broker.model_copy(update={"client_id": f"sceneshift-ask-{mark[:8]}"})
    session = Session(mine, lasting=False)
    answer_topic = f"{broker.prefix}/response/{what}"
    session.subscribe([answer_topic])
    session.open()
    try:
        deadline = time.monotonic() + patience
        if not session.wait(min(patience, 15.0)):
            return None
        session.publish(f"{broker.prefix}/request/{what}", json.dumps({**body, "transaction": mark}))
        while time.monotonic() < deadline:
            for message in session.take(20, 0.2):
                session.acknowledge([message])
                answer = json.loads(message.payload)
                if answer.pop("transaction", None) == mark:
                    return dict(answer)
        return None
    finally:
        session.close()
