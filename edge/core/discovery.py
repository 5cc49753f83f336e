"""What Home Assistant is told of the agent, so that it shows it as one device: MQTT discovery, in both of its forms.

The device form (2024.11 and later) is one message; the other is one an entity. In both, an entity's place is
(node, key), so that Home Assistant takes one for the other. `object_id` names entities for versions before 2025.10,
`default_entity_id` from then on; each ignores what it does not know (home-assistant.io, integrations/mqtt).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from edge.core.explanations import DEVICE, DURATION, FLICKER, ORDER, TIME
from edge.core.scenes import HOUSE_MODES, OCCUPANCIES, PARTS, SEASONS

Form = Literal["device", "entities", "off"]
ODD = (DEVICE, ORDER, TIME, DURATION, FLICKER)  # event types of an alert
TRAINING = ("recording", "learning", "calibrating", "adapting", "probation", "idle")
MIGRATE = json.dumps({"migrate_discovery": True})  # another topic is about to tell of the same entity
DEVICE_FORM_SINCE = (2024, 11)
_VERSION = re.compile(r'^"?(\d{4})\.(\d{1,2})\b')
_NOT_PLAIN = re.compile(r"[^a-zA-Z0-9_-]")
# How far a job is, in tens: Home Assistant keeps every change of an attribute.
_PROGRESS = (
    "{% if value_json %}{{ dict(job=value_json.job, scene=value_json.scene, doing=value_json.what, "
    "percent=(10 * value_json.done / [value_json.of, 1] | max) | round * 10) | to_json }}{% else %}{}{% endif %}"
)

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Who we are to Home Assistant. `prefix`: of our topics; `discovery`: of its own; `page`: where ours is, or ""."""

    client_id: str
    prefix: str
    discovery: str
    version: str
    page: str = ""

    @property
    def node(self) -> str:
        """The client id in the letters that a discovery topic may have; two ids are two nodes."""
        plain = _NOT_PLAIN.sub("_", self.client_id)
        mark = blake2b(self.client_id.encode(), digest_size=3).hexdigest()
        return plain if plain == self.client_id else f"{plain}_{mark}"


def form_for(version: str) -> Form | None:
    """Return the form a version of Home Assistant wants, None for what is no version."""
    found = _VERSION.match(version.strip())
    if found is None:
        return None
    return "device" if (int(found[1]), int(found[2])) >= DEVICE_FORM_SINCE else "entities"


def messages(form: Form, place: Place, scene: str, alarms_per_week: float = 1.0) -> dict[str, str]:
    """Return what to publish, retained, by topic; `scene`: the name of the present one, which may be any of them."""
    if form == "off":
        return {}
    found = {key: _named(place, key, each) for key, each in entities(place.prefix, scene, alarms_per_week).items()}
    shared = {
        "device": _device(place),
        "origin": {"name": "sceneshift", "sw_version": place.version},
        "availability_topic": f"{place.prefix}/availability",
    }
    if form == "device":
        return {f"{place.discovery}/device/{place.node}/config": json.dumps({**shared, "components": found})}
    return {
        f"{place.discovery}/{each.pop('platform')}/{place.node}/{key}/config": json.dumps({**each, **shared})
        for key, each in found.items()
    }


def entities(prefix: str, scene: str, alarms_per_week: float) -> dict[str, Config]:
    """Return every entity by its key."""
    return {**_sensors(prefix), **_told(prefix), **_knobs(prefix, scene, alarms_per_week), **_buttons(prefix)}


def entity_ids(client_id: str) -> tuple[str, ...]:
    """Return what Home Assistant calls our entities: what they do there is no behavior of the home."""
    place = Place(client_id, "", "", "")
    return tuple(_named(place, key, each)["default_entity_id"] for key, each in entities("", "home", 1.0).items())


def _device(place: Place) -> Config:
    found = {
        "identifiers": [place.node],
        "name": place.client_id,
        "manufacturer": "sceneshift",
        "model": "smart home guard",
        "sw_version": place.version,
    }
    return {**found, "configuration_url": place.page} if place.page else found


def _named(place: Place, key: str, entity: Config) -> Config:
    name = f"{place.node}_{key}".lower().replace("-", "_")
    ids = {"object_id": name, "default_entity_id": f"{entity['platform']}.{name}"}
    return {**entity, "unique_id": f"{place.node}_{key}", **ids}


def _sensors(prefix: str) -> dict[str, Config]:
    newest, state = f"{prefix}/newest", f"{prefix}/state"
    named: dict[str, Config] = {
        "anomaly_score": {
            "name": "Anomaly score",
            "state_topic": newest,
            "value_template": "{{ value_json.score }}",
            "json_attributes_topic": newest,
            "json_attributes_template": "{{ dict(behavior=value_json.behavior, unusual_above=1) | to_json }}",
            "state_class": "measurement",
        },
        "expected_next": {
            "name": "Expected next",
            "state_topic": newest,
            "value_template": "{{ value_json.next }}",
            "json_attributes_topic": newest,
            "json_attributes_template": "{{ dict(probability=value_json.probability, "
            "expected=value_json.expected) | to_json }}",
        },
        "model_version": {"name": "Model version", "value_template": "{{ value_json.slot or 'none' }}"},
        "training": {
            "name": "Training",
            "value_template": "{{ value_json.training }}",
            "json_attributes_topic": f"{prefix}/progress",
            "json_attributes_template": _PROGRESS,
            "device_class": "enum",
            "options": list(TRAINING),
        },
        "days_learned": {
            "name": "Days learned",
            "value_template": "{{ value_json.days.learned }}",
            "json_attributes_topic": state,
            "json_attributes_template": "{{ value_json.days | to_json }}",
            "unit_of_measurement": "d",
            "state_class": "measurement",
        },
        "false_alarm_rate_14d": {
            "name": "False alarms a week (14 days)",
            "value_template": "{{ value_json.false_alarms.per_week }}",
            "json_attributes_topic": state,
            "json_attributes_template": "{{ value_json.false_alarms | to_json }}",
            "state_class": "measurement",
        },
    }
    diagnostic = {"platform": "sensor", "state_topic": state, "entity_category": "diagnostic"}
    foremost = ("anomaly_score", "expected_next")
    return {key: {**({"platform": "sensor"} if key in foremost else diagnostic), **each} for key, each in named.items()}


def _told(prefix: str) -> dict[str, Config]:
    fields = ("sentence", "alert", "score", "device", "control", "t", "explanation")
    told = ", ".join(f"{field}=value_json.{field}" for field in fields)
    return {
        "alert": {
            "platform": "event",
            "name": "Alert",
            "state_topic": f"{prefix}/alert",
            "event_types": list(ODD),
            "value_template": f"{{{{ dict(event_type=value_json.explanation.odd, {told}) | to_json }}}}",
        },
        "unusual": {
            "platform": "binary_sensor",
            "name": "Unusual now",
            "state_topic": f"{prefix}/unusual",
            "device_class": "problem",
        },
    }


def _knobs(prefix: str, scene: str, alarms_per_week: float) -> dict[str, Config]:
    words = [*SEASONS, *PARTS, *OCCUPANCIES]
    named: dict[str, Config] = {
        "scene": {"platform": "select", "name": "Scene", "options": list(dict.fromkeys([scene, *words]))},
        "mode": {"platform": "select", "name": "House mode", "options": list(HOUSE_MODES)},
        "alarms_per_week": {
            "platform": "number",
            "name": "False alarms accepted a week",
            "min": min(0.1, alarms_per_week),
            "max": max(50.0, alarms_per_week),
            "step": 0.1,
            "mode": "box",
            "entity_category": "config",
        },
        "alerts": {"platform": "switch", "name": "Alerts"},
    }
    return {
        key: {**each, "command_topic": f"{prefix}/{key}/set", "state_topic": f"{prefix}/{key}/state"}
        for key, each in named.items()
    }


def _buttons(prefix: str) -> dict[str, Config]:
    pressed: Mapping[str, tuple[str, str, Config]] = {
        "adapt_now": ("Adapt now", "adapt", {"scene": "now"}),
        "roll_back": ("Roll back", "rollback", {}),
        "was_fine": ("That was fine", "feedback", {"alert": "last", "verdict": "fine"}),
        "was_wrong": ("That was wrong", "feedback", {"alert": "last", "verdict": "wrong"}),
    }
    return {
        key: {
            "platform": "button",
            "name": name,
            "command_topic": f"{prefix}/request/{what}",
            "payload_press": json.dumps(body),
        }
        for key, (name, what, body) in pressed.items()
    }
