"""Home Assistant: the real agent on a real broker is discovered, told again, removed; and does what is asked."""

import json
import socket
import time

import pytest

from edge.alerts import Alerts
from edge.core.discovery import MIGRATE, Place, entities, entity_ids, messages
from edge.core.events import Message
from edge.core.verdicts import Alert
from edge.homeassistant import SETTLES, UNUSUAL_FOR, HomeAssistant
from edge.mqtt import Session
from edge.sections import Adapt, Web
from edge.sections import HomeAssistant as Section
from edge.settings import Settings
from edge.sources import StatestreamSource
from edge.store import Store
from tests import homes
from tests.running import Running, settings_for

PLACE = Place("sceneshift", "home/guard", "homeassistant", "1.0", "http://hub:8765")
FORMS = ("device", "entities")


class Beside:
    """The Home Assistant side alone, with a clock of its own; what it sends is kept."""

    def __init__(self, store, **section):
        self.now = 100.0
        self.sent = []
        settings = Settings(homeassistant=Section(**section), web=Web(address="hub"))
        self.side = HomeAssistant(settings, store, self.send, clock=lambda: self.now, seed=1)

    def send(self, topic, payload, *, retain=False, rank="usual"):
        self.sent.append((topic, payload, retain))

    def hear(self, topic, payload, **more):
        self.side.hear(Message(topic, payload.encode(), 0.0, **more))

    def discover(self, scene="winter"):
        self.sent.clear()
        self.side.discover(scene, 1.0)
        return [(topic, bool(payload)) for topic, payload, _ in self.sent if topic != "sceneshift/availability"]


@pytest.fixture
def store(tmp_path):
    opened = Store.open(tmp_path / "data")
    yield opened
    opened.close()


def test_the_version_that_is_heard_picks_the_form_and_the_other_lets_go_first(store):
    beside = Beside(store)
    assert len(beside.discover()) == len(entities("sceneshift", "winter", 1.0))
    assert beside.sent[-1] == ("sceneshift/availability", "online", True)
    assert beside.discover() == [], "nothing has changed"
    beside.hear("ha/sensor/current_version/state", "2025.4.4", retained=True)
    assert beside.side.form == "device"
    assert beside.side.born()
    assert not beside.side.born()
    beside.discover()
    assert {(payload, retain) for _, payload, retain in beside.sent} == {(MIGRATE, False)}
    assert not beside.side.tick()
    assert beside.discover() == [], "they are still letting go"
    beside.now += SETTLES
    assert beside.side.tick()
    told = beside.discover()
    assert told[-1] == ("homeassistant/device/sceneshift/config", True)
    assert len(told) == 1 + len(entities("sceneshift", "winter", 1.0))
    assert not any(full for _, full in told[:-1])
    assert Beside(store).side.form == "device", "it is known at the next start"


def test_another_scene_is_published_and_nothing_else(store):
    beside = Beside(store, discovery="entities")
    beside.discover("winter")
    assert beside.discover("winter+away") == [("homeassistant/select/sceneshift/scene/config", True)]


def test_off_removes_what_was_published_however_long_ago(store):
    topics = {topic for topic, _ in Beside(store, discovery="entities", prefix="ha").discover()}
    off = Beside(store, discovery="off")
    removed = dict(off.discover())
    assert removed == dict.fromkeys(topics, False)
    assert off.discover() == [], "their states wait until they are gone"
    off = Beside(store, discovery="off")  # and over a restart
    assert off.discover() == []
    off.now += SETTLES
    assert off.side.tick()
    assert off.discover() == [("sceneshift/unusual", False)]
    assert off.discover() == []
    assert Beside(store, discovery="off").discover() == []


def test_what_an_earlier_version_left_at_the_broker_of_behavior_is_removed(store):
    Beside(store).discover()
    store.set_fact("discovery", [*store.fact("discovery"), "sceneshift/newest"])
    beside = Beside(store)
    assert beside.discover() == []
    beside.now += SETTLES
    assert ("sceneshift/newest", False) in beside.discover()
    assert ("sceneshift/newest", "", True) in beside.sent
    assert "sceneshift/newest" not in store.fact("discovery")


def test_the_version_is_heard_under_any_base_of_a_source_and_any_of_one_level(store):
    source = StatestreamSource(dialect="statestream", base_topic="home/ha")
    side = HomeAssistant(Settings(sources=(source,)), store, lambda *_, **__: None)
    assert "home/ha/sensor/current_version/state" in side.topics()
    assert "+/sensor/current_version/state" in side.topics()
    said = Message("home/ha/update/home_assistant_core_update/installed_version", b'"2026.1.0"', 0.0, retained=True)
    assert side.concerns(said)
    side.hear(said)
    assert side.form == "device"
    assert not side.concerns(Message("sensor/current_version/state/more", b"", 0.0))


def test_what_home_assistant_says_of_our_own_entities_is_no_behavior(settings):
    source, broker = StatestreamSource(dialect="statestream"), settings.broker
    guard = broker.model_copy(update={"client_id": "guard"})
    with Running(settings.model_copy(update={"sources": (source,), "broker": guard})) as running:
        assert "switch.guard_alerts" in entity_ids("guard")
        for name in (*entity_ids("guard"), "light.kitchen"):
            for state in ("off", "on", "off"):
                running.client.publish(f"statestream/{name.replace('.', '/')}/state", state)
        running.wait(lambda: running.agent.store.count() >= 1)
        running.client.publish("homeassistant/status", "online")  # the source's and ours
        running.wait(lambda: len(running.said("state")) > 1)
        assert {each.device for each in running.agent.store.behaviors()} == {"light.kitchen"}


@pytest.mark.parametrize(
    ("address", "url"),
    [("127.0.0.1", None), ("::1", None), ("hub", "http://hub:8765"), ("fd00::1", "http://[fd00::1]:8765"),
     ("0.0.0.0", f"http://{socket.gethostname()}:8765")],
)  # fmt: skip
def test_the_page_is_linked_where_another_machine_can_see_it(store, address, url):
    sent = {}
    settings = Settings(homeassistant=Section(discovery="device"), web=Web(address=address))
    HomeAssistant(settings, store, lambda topic, payload, **_: sent.update({topic: payload})).discover("winter", 1.0)
    device = json.loads(sent["homeassistant/device/sceneshift/config"])["device"]
    assert device.get("configuration_url") == url


def test_a_birth_is_answered_after_a_while_and_an_old_one_is_not(store):
    beside = Beside(store)
    for payload, more in (("online", {"retained": True}), ("offline", {}), ("\x00", {})):
        beside.hear("homeassistant/status", payload, **more)
    beside.now += 60
    assert not beside.side.born()
    beside.hear("homeassistant/status", "online")
    assert not beside.side.born()
    beside.now += 2
    assert beside.side.born()


def test_what_is_unusual_is_so_for_a_while_and_what_is_kept_quiet_never(store):
    beside = Beside(store)
    agent_side = {"device": "d", "control": "c", "score": 2.0, "next": [], "unusual": True}
    alerts = Alerts(store, lambda *_: None, Settings().home.zone)
    beside.side.hear_published("behavior", {**agent_side, "quiet": "muted"}, alerts)
    assert beside.sent[-1][::2] == ("sceneshift/newest", False), "no behavior stays at the broker"
    beside.side.hear_published("behavior", {**agent_side, "quiet": ""}, alerts)
    assert beside.sent[-1] == ("sceneshift/unusual", "ON", True)
    beside.now += UNUSUAL_FOR
    beside.side.tick()
    assert beside.sent[-1] == ("sceneshift/unusual", "OFF", True)
    beside.side.hear_published("behavior", {**agent_side, "score": None, "unusual": False, "quiet": "excluded"}, alerts)
    assert json.loads(beside.sent[-1][1])["score"] == 2.0, "the score of what was judged last stands"


@pytest.fixture
def settings(broker, tmp_path):
    return settings_for(broker, tmp_path)


def with_form(settings, discovery):
    return settings.model_copy(update={"homeassistant": Section(discovery=discovery)})


def retained(settings):
    """Return what a newcomer is told: every retained topic."""
    client = Session(settings.broker.model_copy(update={"client_id": "newcomer"}), lasting=False)
    client.subscribe(["#"])
    client.open()
    assert client.wait(10)
    time.sleep(0.3)
    found = {message.topic: message.payload for message in client.take(1000, 0.5) if message.retained}
    client.close()
    return found


@pytest.mark.parametrize("form", FORMS)
def test_it_is_discovered_again_at_a_birth_in_order_and_off_leaves_nothing(settings, form):
    with Running(with_form(settings, form), also=["homeassistant/#"]) as running:
        configs = messages(form, PLACE, "winter").keys()
        running.wait(lambda: len(order(running, "homeassistant/")) >= len(configs))
        running.wait(lambda: running.said("unusual"))
        running.heard.clear()
        running.client.publish("homeassistant/status", "online")
        running.wait(lambda: len(told_again(running)) == len(configs))
        running.wait(lambda: order(running, "sceneshift/unusual")[-1:] > told_again(running)[-1:])
        last = told_again(running)[-1]
        here, state = (
            next(place for place in order(running, topic) if place > last)
            for topic in ("sceneshift/availability", "sceneshift/state")
        )
        assert last < here < state
        found = retained(settings)
        for topic, payload in found.items():
            if topic.startswith("homeassistant/"):
                assert json.loads(payload)["availability_topic"] == "sceneshift/availability"
        assert not [topic for topic in found if topic.endswith(("/alert", "/behavior", "/progress", "/newest"))]
    with Running(with_form(settings, "off")) as running:
        running.wait(lambda: not running.agent.store.fact("discovery"))
    found = retained(settings)
    assert not [topic for topic in found if topic.startswith("homeassistant/")]
    assert "sceneshift/unusual" not in found


def test_after_the_broker_was_away_everything_is_told_again(broker, settings):
    with Running(with_form(settings, "device"), also=["homeassistant/#"]) as running:
        running.wait(lambda: running.said("unusual"))
        broker.stop()
        running.heard.clear()
        broker.start()
        for topic in ("homeassistant/device/sceneshift/config", "sceneshift/availability", "sceneshift/state"):
            running.wait(lambda topic=topic: [m for m in running.heard if m.topic == topic and not m.retained])


def told_again(running):
    """Return where among what was heard our configuration stands, behind the birth."""
    places = order(running, "homeassistant/")
    birth = [place for place in places if running.heard[place].topic == "homeassistant/status"]
    return [place for place in places if birth and place > birth[0]]


def order(running, prefix):
    return [place for place, each in enumerate(running.heard) if each.topic.startswith(prefix)]


def test_knobs_are_heeded_shown_and_outlive_a_restart(settings):
    with Running(settings) as running:
        say = running.client.publish
        say("sceneshift/alarms_per_week/set", "2.5")
        say("sceneshift/alerts/set", "OFF")
        say("sceneshift/mode/set", "vacation")
        running.wait(lambda: running.said("alarms_per_week/state", b"2.5"))
        running.wait(lambda: running.said("alerts/state", b"OFF"))
        running.wait(lambda: running.said("mode/state", b"vacation"))
        running.wait(lambda: running.said("scene/state", b"winter+away"))
        for topic, payload in (("mode", "party"), ("alarms_per_week", "0"), ("alerts", "perhaps")):
            say(f"sceneshift/{topic}/set", payload)
        running.wait(lambda: sum("error" in json.loads(each.payload) for each in answers(running)) == 3)
        assert running.agent.watch.alerts.quiet.silent == "alerts off"
    with Running(settings) as running:
        assert running.agent.jobs.choices.status() == {"mode": "vacation", "alarms_per_week": 2.5, "alerts": False}
        assert running.agent.jobs.slow.plan.alarms_per_week == 2.5
        running.client.publish("sceneshift/mode/set", "cleaner")
        running.client.publish("sceneshift/alerts/set", "on")
        running.wait(lambda: running.said("mode/state", b"cleaner") and running.said("alerts/state", b"ON"))
        running.wait(lambda: running.agent.watch.alerts.quiet.silent == "cleaner")
        assert str(running.agent.jobs.scenery.scene) == "winter+away", "a cleaner changes no scene"


def answers(running):
    return [each for each in running.heard if "/response/" in each.topic]


def test_every_button_does_what_it_says_or_says_why_not(settings):
    def press(running, key):
        button = entities("sceneshift", "winter", 1.0)[key]
        running.heard.clear()
        running.client.publish(button["command_topic"], button["payload_press"])
        running.wait(lambda: answers(running), 60)
        return json.loads(answers(running)[-1].payload)

    settings = settings.model_copy(update={"adapt": Adapt(steps=20, notice=False)})
    with Running(settings) as running:
        assert "no alert yet" in press(running, "was_fine")["error"]
        assert "sequences were lived" in press(running, "adapt_now")["error"]
        running.live(homes.behaviors(100))
        running.agent.store.add_alert(Alert(running.agent.watch.window.last - 86400, None, 2.0, 1.0, "odd"))
    with Running(settings) as running:
        assert press(running, "was_wrong")["data"] == {"alert": 1, "verdict": "wrong"}
        assert press(running, "was_fine")["status"] == "ok"
        assert running.agent.store.alert(1).state == "fine"
        for slot in ("0001-winter", "0002-winter"):  # nothing has changed: it learns
            assert press(running, "adapt_now")["data"]["swap"]["to"] == slot
        assert running.agent.snapshot["days"]["learned"] > 40
        figures = running.agent.status()["false_alarms"]
        assert (figures["told"], figures["fine"], figures["per_week"]) == (1, 1, 0.5)
        before = running.agent.watch.model.limits
        running.client.publish("sceneshift/alarms_per_week/set", "0.2")
        running.wait(lambda: running.agent.watch.model.limits.alpha < before.alpha)
        assert min(running.agent.watch.model.limits.ratios(before.parts)) < 1, "fewer alarms, wider limits"
        assert press(running, "roll_back")["data"]["swap"]["to"] == "0001-winter"
        running.wait(lambda: running.agent.watch.model.limits.alpha < before.alpha)
