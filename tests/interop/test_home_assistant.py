"""The real agent beside a real Home Assistant, old and new: discovered, obeyed, back after restarts, gone when told.

The tests of one version live through one home, in this order. What its recorder holds at the end is kept in
.cache/interop/recorder-<version>.db, and of the newest version as recorder.db, for the import to read.
"""

import json
import shutil
import time

import pytest

from edge.core.discovery import entities
from edge.core.verdicts import FINE
from edge.report import ask
from edge.sections import HomeAssistant as Section
from tests import homes
from tests.conftest import Mosquitto
from tests.interop.home_assistant import CACHE, PYTHONS, HomeAssistant, installed
from tests.running import Running, settings_for

DAY = 86400.0
NEWEST = max(PYTHONS)
LAMPS = 8  # other people's lamps, as many motion sensors and plugs
CHANGES = 420  # states they report, enough for a first model
MORE = """
automation:
  - id: hall
    alias: Hall lamp by motion
    trigger: {{platform: state, entity_id: binary_sensor.motion_0, to: "on"}}
    action: {{service: light.turn_on, target: {{entity_id: light.lamp_0}}}}
template:
  - trigger: {{platform: time_pattern, seconds: "/2"}}
    sensor: {{name: Current version, state: "{version}", attributes: {{seen: "{{{{ now() }}}}"}}}}
mqtt_statestream: {{base_topic: statestream, include: {{entities: [sensor.current_version]}}}}
"""


class World:
    """A broker, a Home Assistant and our agent with a home it has learned; the agent can be stopped and started."""

    def __init__(self, version, folder):
        (folder / "broker").mkdir()
        self.broker = Mosquitto(folder / "broker")
        self.broker.start()
        self.settings = settings_for(self.broker, folder)
        self.home = HomeAssistant(version, folder / "config", self.broker.port, MORE.format(version=version))
        self.home.configure()
        self.running = None

    def begin(self, **section):
        """Start an agent, with another [homeassistant] section where one is given."""
        settings = self.settings.model_copy(update={"homeassistant": Section(**section)})
        self.running = Running(settings).__enter__()
        return self.running

    def end(self):
        if self.running is not None:
            running, self.running = self.running, None
            running.__exit__()

    @property
    def agent(self):
        return self.running.agent

    def ours(self):
        """Return the states of our entities."""
        return {name: each for name, each in self.home.states().items() if ".sceneshift_" in name}

    def state(self, name):
        return self.home.state(name)

    def close(self):
        self.end()
        self.home.stop()
        self.broker.stop()


def expected():
    return {f"{each['platform']}.sceneshift_{key}" for key, each in entities("sceneshift", "winter", 1.0).items()}


def kinds(topics):
    """Return which forms of discovery these topics are."""
    configs = [topic for topic in topics if topic.endswith("/config")]
    return {"device" if topic.startswith("homeassistant/device/") else "entities" for topic in configs}


@pytest.fixture(scope="module", params=sorted(PYTHONS))
def world(request, tmp_path_factory):
    installed(request.param)
    made = World(request.param, tmp_path_factory.mktemp("home"))
    try:
        made.home.start()
        running = made.begin()
        running.live(homes.behaviors(160))
        assert ask(made.settings.broker, "learn", {}, 300)["status"] == "ok"
        yield made
    finally:
        made.close()


def test_every_entity_is_discovered_once_and_says_something(world):
    world.home.wait(lambda: world.ours().keys() >= expected())
    world.home.wait(lambda: world.state("sensor.sceneshift_model_version") == "0001-winter")
    assert world.ours().keys() == expected()
    form = "device" if world.home.version == NEWEST else "entities"
    world.home.wait(lambda: world.agent.store.fact("home_assistant_version") == world.home.version)
    assert world.agent.home_assistant.form == form
    world.home.wait(lambda: kinds(world.agent.store.fact("discovery")) == {form})
    world.home.wait(lambda: world.state("sensor.sceneshift_model_version") == "0001-winter")
    assert world.ours().keys() == expected()
    assert world.state("select.sceneshift_scene") == "winter"
    assert world.state("select.sceneshift_mode") == "home"
    assert float(world.state("number.sceneshift_alarms_per_week")) == 1.0
    assert world.state("switch.sceneshift_alerts") == "on"
    assert world.state("binary_sensor.sceneshift_unusual") == "off"
    assert float(world.state("sensor.sceneshift_days_learned")) > 70
    assert float(world.state("sensor.sceneshift_false_alarm_rate_14d")) == 0
    assert world.state("sensor.sceneshift_training") == "idle"
    assert not world.home.complaints()


def test_an_alert_arrives_as_an_event_and_a_press_says_what_it_was(world):
    last = homes.behaviors(160)[-1]
    later = [type(last)(each.time + 90 * DAY, each.device, each.control) for each in homes.behaviors(160)[:3]]
    world.running.live([*later, type(last)(later[0].time + DAY - 4 * 3600, "fan1", "state ON")])
    world.home.wait(lambda: world.state("event.sceneshift_alert") not in {"", "unknown"})
    world.home.wait(lambda: shown(world)["alert"] == world.agent.watch.alerts.newest)
    told = shown(world)
    world.running.wait(lambda: any(each["alert"] == told["alert"] for each in alerts(world)))
    (alert,) = [each for each in alerts(world) if each["alert"] == told["alert"]]
    assert told["event_type"] == alert["explanation"]["odd"]
    assert (told["sentence"], told["alert"]) == (alert["sentence"], alert["alert"])
    assert world.state("binary_sensor.sceneshift_unusual") == "on"
    assert float(world.state("sensor.sceneshift_anomaly_score")) > 1
    world.home.call("button.press", "button.sceneshift_was_fine")
    world.home.wait(lambda: world.agent.store.alert(alert["alert"]).state == FINE)
    world.home.wait(lambda: float(world.state("sensor.sceneshift_false_alarm_rate_14d")) == 0.5)


def shown(world):
    """Return what the event entity says of the newest alert."""
    return world.home.states()["event.sceneshift_alert"]["attributes"]


def alerts(world):
    return [json.loads(each.payload) for each in world.running.said("alert")]


def test_a_scene_picked_in_home_assistant_starts_an_adaptation(world):
    before = world.agent.watch.model.slot
    world.home.call("select.select_option", "select.sceneshift_scene", option="spring")
    world.home.wait(lambda: world.state("sensor.sceneshift_training") == "adapting")
    world.home.wait(lambda: world.state("select.sceneshift_scene") == "spring", 400)
    report = world.agent.store.adaptations()[-1].report
    assert report["scene"] == {"from": "winter", "to": "spring"}
    assert report["llm"]["generated_tokens"] > 0
    after = world.agent.watch.model.slot
    assert ("swap" in report) == (after != before)
    world.home.wait(lambda: world.state("sensor.sceneshift_model_version") == after)


def test_presses_reach_the_agent(world):
    before = len(world.agent.store.adaptations())
    world.home.call("button.press", "button.sceneshift_adapt_now")  # nothing has changed: it learns what was lived
    world.home.wait(lambda: len(world.agent.store.adaptations()) > before, 300)
    world.home.wait(lambda: not world.agent.snapshot["busy"])
    slot = world.agent.watch.model.slot
    world.home.call("button.press", "button.sceneshift_roll_back")
    world.home.wait(lambda: world.agent.watch.model.slot != slot)
    world.home.wait(lambda: world.state("sensor.sceneshift_model_version") == world.agent.watch.model.slot)


def test_mode_number_and_switch_are_heeded_and_shown(world):
    world.home.call("number.set_value", "number.sceneshift_alarms_per_week", value=2.5)
    world.home.call("switch.turn_off", "switch.sceneshift_alerts")
    world.home.call("select.select_option", "select.sceneshift_mode", option="cleaner")
    choices = world.agent.jobs.choices
    world.home.wait(lambda: (choices.mode, choices.alarms_per_week, choices.alerts) == ("cleaner", 2.5, False))
    world.home.wait(lambda: world.state("select.sceneshift_mode") == "cleaner")
    world.home.wait(lambda: world.state("switch.sceneshift_alerts") == "off")
    world.home.wait(lambda: float(world.state("number.sceneshift_alarms_per_week")) == 2.5)


def test_a_house_mode_has_its_scene_and_coming_home_is_as_it_was(world):
    before, scene = world.agent.watch.model.slot, world.state("select.sceneshift_scene")
    world.home.call("switch.turn_on", "switch.sceneshift_alerts")
    world.home.call("select.select_option", "select.sceneshift_mode", option="vacation")
    world.home.wait(lambda: world.state("select.sceneshift_scene") == f"{scene}+away", 400)
    assert world.state("select.sceneshift_mode") == "vacation"
    adapted = world.agent.store.adaptations()[-1].report
    assert adapted["scene"]["to"] == f"{scene}+away"
    world.home.call("select.select_option", "select.sceneshift_mode", option="home")
    world.home.wait(lambda: world.state("select.sceneshift_scene") == scene, 400)
    world.home.call("select.select_option", "select.sceneshift_mode", option="cleaner")
    world.home.wait(lambda: world.state("select.sceneshift_mode") == "cleaner")
    assert world.agent.store.adaptations()[-1].report["scene"]["to"] == scene
    if "swap" in adapted:
        assert world.agent.watch.model.slot != adapted["swap"]["to"]
    assert before in world.agent.jobs.slots.names()


def test_after_home_assistant_restarts_everything_is_back_and_nothing_doubled(world):
    shown = {name: each["state"] for name, each in world.ours().items()}
    world.home.stop()
    registered = world.home.registered()
    assert len([each for each in registered if each.startswith("sceneshift_")]) == len(expected())
    world.home.start()
    kept = {name for name in shown if not name.startswith(("event", "button"))}
    world.home.wait(lambda: all(world.state(name) == shown[name] for name in kept))
    world.home.stop()
    assert world.home.registered() == registered
    world.home.start()


def test_after_the_agent_restarts_everything_is_back_and_nothing_doubled(world):
    world.home.wait(lambda: world.state("select.sceneshift_mode") == "cleaner")
    world.end()
    world.home.wait(lambda: world.state("select.sceneshift_mode") == "unavailable")
    world.begin()
    world.home.wait(lambda: world.state("select.sceneshift_mode") == "cleaner")
    assert float(world.state("number.sceneshift_alarms_per_week")) == 2.5
    assert world.ours().keys() == expected()
    assert not [name for name, each in world.ours().items() if each["state"] == "unavailable"]


def test_another_form_takes_the_entities_over_and_nothing_is_doubled(world):
    other = "entities" if world.agent.home_assistant.form == "device" else "device"
    world.end()
    if world.home.version == NEWEST:  # the old one knows no other form
        world.begin(discovery=other)
        time.sleep(6)
        world.home.wait(lambda: world.state("select.sceneshift_mode") == "cleaner")
        assert world.ours().keys() == expected()
        world.end()
    world.begin()
    time.sleep(6)
    world.home.wait(lambda: world.state("select.sceneshift_mode") == "cleaner")
    assert world.ours().keys() == expected()


def test_told_to_be_off_it_leaves_nothing_behind(world):
    world.end()
    world.begin(discovery="off")
    world.home.wait(lambda: not world.ours())
    world.home.wait(lambda: not world.agent.store.fact("discovery"))
    world.end()
    assert not world.home.complaints()


def others():
    """Yield component, entity and configuration of devices that are not ours; they believe what they are told."""
    for number in range(LAMPS):
        for component, name in (("light", "lamp"), ("switch", "plug"), ("binary_sensor", "motion")):
            topic = f"others/{name}_{number}"
            body = {"name": f"{name} {number}", "object_id": f"{name}_{number}", "unique_id": f"other_{name}_{number}"}
            body |= {"state_topic": topic, "payload_on": "ON", "payload_off": "OFF"}
            body |= {} if component == "binary_sensor" else {"command_topic": f"{topic}/set", "optimistic": True}
            yield component, f"{name}_{number}", body


def test_what_people_automations_and_devices_did_is_in_the_recorder(world):
    running = world.begin()
    devices = list(others())
    for component, name, body in devices:
        running.client.publish(f"homeassistant/{component}/{name}/config", json.dumps(body), retain=True)
    names = [f"{component}.{name}" for component, name, _ in devices]
    world.home.wait(lambda: set(names) <= world.home.states().keys())
    told, value = 0, "ON"
    while told < CHANGES:  # each on and each off more than two seconds from its own last
        for _, _, body in devices:
            running.client.publish(body["state_topic"], value)
            told += 1
            time.sleep(0.05)
        value = "OFF" if value == "ON" else "ON"
        time.sleep(1)
    for service in ("turn_on", "turn_off"):  # a person, in the dashboard
        world.home.call(f"light.{service}", "light.lamp_1")
        time.sleep(0.5)
    running.client.publish("others/lamp_0", "OFF")
    running.client.publish("others/motion_0", "OFF")
    time.sleep(0.5)
    running.client.publish("others/motion_0", "ON")  # and what an automation makes of it
    world.home.wait(lambda: world.state("light.lamp_0") == "on")
    time.sleep(2)
    world.home.stop()
    kept = CACHE / f"recorder-{world.home.version}.db"
    for path in [kept, CACHE / "recorder.db"] if world.home.version == NEWEST else [kept]:
        shutil.copy(world.home.database, path)
    assert kept.stat().st_size > 100_000
