"""What a second process can know of an agent: its status from disk, and its answers over MQTT."""

import json
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from edge.agent import BEAT
from edge.alerts import MUTES
from edge.core.errors import ArtifactError, StoreError
from edge.core.verdicts import TOLD
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
        states = store.alert_states(time.time() - WEEK)
        found |= {
            "behaviors": store.count(),
            "devices": len(store.devices()),
            "set_aside": store.counters(),
            "alerts_this_week": sum(states.get(state, 0) for state in TOLD),
            "kept_quiet_this_week": {state: n for state, n in states.items() if state not in TOLD},
            "mutes": _until(store.fact(MUTES, {}), settings),
            "scene": store.fact("scene"),
            "probation": store.fact("probation", {}).get("incumbent"),
            "adaptations": len(done),
            "last_adaptation": _summary(done[-1].report) if done else None,
            "agent": _agent(beat),
            "problem": beat.get("problem", ""),
        }
        found["silence"] = _silence(found, beat, settings, store.began())
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


def _silence(found: Mapping[str, Any], beat: Mapping[str, Any], settings: Settings, began: float | None) -> str:
    """Say why there may be nothing to show."""
    told = settings.alerts
    days, wanted = ((time.time() - began) / 86400 if began else 0.0), settings.model.learn_after_days
    budget = beat.get("budget", {})
    kept = {**beat.get("kept_quiet", {}), **found["kept_quiet_this_week"]}
    reasons = {
        "no agent runs": found["agent"] == "silent",
        f"no model yet: learned after {wanted:g} days, {days:.1f} have passed": not beat.get("scores"),
        f"alerts are not on yet, calibrating: {beat.get('shadow_mode')}": beat.get("shadow_mode"),
        f"muted: {', '.join(found['mutes'])}": found["mutes"],
        f"never judged: {', '.join(told.exclude)}": told.exclude,
        f"{told.budget_per_day} alerts in 24 h are all that may be told": budget.get("told", 0) >= told.budget_per_day,
        f"kept quiet: {', '.join(f'{reason} {n}' for reason, n in kept.items())}": kept,
    }
    said = [reason for reason, holds in reasons.items() if holds]
    return "; ".join(said) or f"nothing more was unusual among {beat.get('judged', 0)} behaviors judged since the start"


def _until(mutes: Mapping[str, float], settings: Settings) -> dict[str, str]:
    """Return the mutes that hold, each with its end in local time."""
    now, zone = time.time(), settings.home.zone
    held = {glob: until for glob, until in mutes.items() if until > now}
    return {glob: f"until {datetime.fromtimestamp(until, zone):%Y-%m-%d %H:%M}" for glob, until in held.items()}


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
