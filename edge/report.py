"""What a second process can know of an agent: its status from disk, and its answers over MQTT."""

import json
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from edge.agent import BEAT
from edge.alerts import MUTES
from edge.choices import Choices
from edge.core.errors import ArtifactError, MessageError, StoreError
from edge.core.events import Message
from edge.core.quiet import Quiet
from edge.core.scenes import Scene
from edge.core.verdicts import TOLD
from edge.dialects.payloads import document
from edge.lock import alone
from edge.mqtt import Session
from edge.salvage import Salvaged, told_of
from edge.sections import Broker
from edge.settings import Settings
from edge.slots import Slots
from edge.store import Store

DAY = 86400.0
WEEK = 7 * DAY


def status_of(settings: Settings) -> dict[str, Any]:
    """Read the status from the store and the slots; an agent may be running meanwhile."""
    directory = settings.data.directory
    found: dict[str, Any] = {"agent": "silent", "problem": "", "directory": str(directory), "behaviors": 0}
    try:
        store = Store.open(directory, read_only=True)
    except StoreError as error:
        return {**found, "devices": 0, "set_aside": {}, "problem": str(error)}
    salvaged = told_of(directory)
    try:
        beat, slots = store.fact("heartbeat", {}), _slots(settings)
        found |= {"agent": _agent(beat), "problem": _problem(slots.pop("problem"), beat, salvaged)}
        found |= _scene(store, settings) | {"training": beat.get("training")} | slots | _recorded(store, settings)
        found |= _told(store, settings)
        found["silence"] = _silence(found, beat, settings, store.began())
        found |= {"set_aside": store.counters(), "shed": beat.get("shed", {})}
        return {**found, "directory": str(directory)}
    finally:
        store.close()


def _problem(slots: str, beat: Mapping[str, Any], salvaged: Salvaged | None) -> str:
    """Say what is wrong with the models, and that the record was damaged."""
    said, told = slots or str(beat.get("problem", "")), "" if salvaged is None else salvaged.told
    return said if told in said else "; ".join(filter(None, (said, told)))


def _scene(store: Store, settings: Settings) -> dict[str, Any]:
    """Say what scene the home is in, and what was chosen."""
    scene = store.fact("scene", settings.home.scene)
    chosen = Choices(store, settings.model.alarms_per_week, Scene.parse(scene) if scene else Scene()).status()
    return {"scene": scene, "mode": chosen["mode"], "alarms_per_week": chosen["alarms_per_week"]} | {
        "alerts": "on" if chosen["alerts"] else "off",
        "probation": store.fact("probation", {}).get("incumbent"),
    }


def _recorded(store: Store, settings: Settings) -> dict[str, Any]:
    """Say how much was lived, and learned of it."""
    count, began, done = store.count(), store.began(), store.adaptations()
    newest = max((each.time for _, each in store.behaviors_with_ids(after=store.newest() - 1)), default=None)
    return {
        "behaviors": count,
        "first_behavior": None if began is None else _local(began, settings),
        "last_behavior": None if newest is None else _local(newest, settings),
        "days": 0 if began is None or newest is None else round((newest - began) / DAY, 1),
        "devices": len(store.devices()),
        "adaptations": len(done),
        "last_adaptation": _summary(done[-1].report) if done else None,
    }


def _told(store: Store, settings: Settings) -> dict[str, Any]:
    """Say what was told this week, and what was not."""
    states = store.alert_states(time.time() - WEEK)
    return {
        "alerts_this_week": sum(states.get(state, 0) for state in TOLD),
        "kept_quiet_this_week": {state: n for state, n in states.items() if state not in TOLD},
        "mutes": _until(store.fact(MUTES, {}), settings),
    }


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
    days, wanted = ((time.time() - began) / DAY if began else 0.0), settings.model.learn_after_days
    budget = beat.get("budget", {})
    kept = {**beat.get("kept_quiet", {}), **found["kept_quiet_this_week"]}
    reasons = {
        "no agent runs": found["agent"] == "silent",
        f"no model yet: learned after {wanted:g} days, {days:.1f} have passed": not found["slot"],
        "alerts are switched off": found["alerts"] == "off",
        "the house is in the cleaner's hands": found["mode"] == "cleaner",
        f"alerts are not on yet, calibrating: {beat.get('shadow_mode')}": beat.get("shadow_mode"),
        f"muted: {', '.join(found['mutes'])}": found["mutes"],
        f"never judged: {', '.join(told.exclude)}": told.exclude,
        f"{told.budget_per_day} alerts in 24 h are all that may be told": budget.get("told", 0) >= told.budget_per_day,
        f"kept quiet: {', '.join(f'{reason} {n}' for reason, n in kept.items())}": kept,
    }
    said = [reason for reason, holds in reasons.items() if holds]
    return "; ".join(said) or f"nothing more was unusual among {beat.get('judged', 0)} behaviors judged since the start"


def _until(mutes: Mapping[str, Any], settings: Settings) -> dict[str, str]:
    """Return the mutes that hold, each with its end in local time."""
    quiet, now = Quiet(), time.time()
    quiet.take_up(mutes, now)
    return {mute.glob: f"until {_local(mute.until, settings)}" for mute in quiet.mutes(now)}


def _local(moment: float, settings: Settings) -> str:
    return f"{datetime.fromtimestamp(moment, settings.home.zone):%Y-%m-%d %H:%M}"


def _agent(beat: Mapping[str, Any]) -> str:
    """Say whether the agent gave a sign of life lately."""
    age = time.time() - float(beat.get("time", 0.0))
    return f"alive {max(0.0, age):.0f} s ago" if abs(age) < 1.5 * BEAT else "silent"  # a clock set back is no life


def _summary(report: Mapping[str, Any]) -> str:
    if "swap" in report:
        return f"swapped from {report['swap']['from']} to {report['swap']['to']}"
    return str(report.get("abandoned") or "; ".join(report.get("gate", {}).get("reasons", ())) or "nothing changed")


def roll_back_on_disk(settings: Settings) -> str:
    """Go back to the previous slot; raises ArtifactError where there is none, StoreError while an agent lives there."""
    with alone(settings.data.directory):
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
                answer = _answer(message)
                if answer.pop("transaction", None) == mark:
                    return answer
        return None
    finally:
        session.close()


def _answer(message: Message) -> dict[str, Any]:
    """Return the fields of an answer, {} for what is none: anybody may write on its topic."""
    try:
        return document(message)
    except MessageError:
        return {}
