"""What is asked over MQTT: read or refused, and mutes and feedback heeded by a running agent."""

import json
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import report
from edge.agent import Agent
from edge.core.errors import MessageError, SettingsError
from edge.core.events import Message
from edge.core.quiet import EVERYTHING
from edge.core.verdicts import Alert
from edge.mqtt import Session
from edge.report import ask, status_of
from edge.requests import WHATS, Requests
from edge.sections import Alerts, Data
from edge.settings import Settings
from edge.sources import GenericSource
from tests import homes

REQUESTS = Requests("home/guard")


def read(topic, payload, **more):
    return REQUESTS.read(Message(f"home/guard/{topic}", payload.encode(), 0.0, **more))


def test_a_mute_and_feedback_are_read():
    found = read("request/mute", '{"device": "Hall*", "minutes": 30, "transaction": "t"}')
    assert (found.what, found.device, found.minutes, found.transaction) == ("mute", "Hall*", 30.0, "t")
    found = read("request/feedback", '{"alert": 7, "verdict": "fine"}')
    assert (found.what, found.alert, found.verdict) == ("feedback", 7, "fine")
    found = read("notifications/suspend", " 15 ")
    assert (found.what, found.device, found.minutes) == ("mute", EVERYTHING, 15.0)


def test_a_bare_value_on_a_set_topic_is_what_its_request_holds():
    for topic, payload, request, body in (
        ("mode/set", "away", "request/mode", {"mode": "away"}),
        ("alarms_per_week/set", " 2.5 ", "request/alarms", {"number": 2.5}),
        ("alerts/set", "OFF", "request/alerts", {"on": False}),
        ("scene/set", "now", "request/adapt", {"scene": "now"}),
        (
            "request/feedback",
            '{"alert": "last", "verdict": "fine"}',
            "request/feedback",
            {"alert": "last", "verdict": "fine"},
        ),
    ):
        assert read(topic, payload) == read(request, json.dumps(body))


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("alerts/set", "perhaps"),
        ("alarms_per_week/set", "few"),
        ("request/feedback", '{"alert": 0, "verdict": "fine"}'),
        ("notifications/suspend", "soon"),
        ("notifications/suspend", "nan"),
        ("notifications/suspend", "1e400"),
        ("request/mute", '{"device": "x"}'),
        ("request/mute", '{"device": "x", "minutes": [1]}'),
        ("request/feedback", '{"alert": "seven", "verdict": "fine"}'),
        ("request/feedback", '{"alert": 1e30, "verdict": "fine"}'),
        ("request/feedback", "fine"),
        ("scene/set", ""),
    ],
)
def test_what_is_no_request_is_answered_with_what_would_be(topic, payload):
    with pytest.raises(SettingsError):
        read(topic, payload)


SET = ["scene/set", "mode/set", "alarms_per_week/set", "alerts/set", "notifications/suspend"]


@given(st.text(max_size=60), st.sampled_from([*SET, *(f"request/{what}" for what in WHATS)]))
def test_any_payload_is_read_or_refused(text, topic):
    fields = ("device", "minutes", "alert", "verdict", "scene", "mode", "number", "on")
    for payload in (text, json.dumps(dict.fromkeys(fields, text))):
        try:
            found = read(topic, payload)
        except (MessageError, SettingsError):
            continue
        assert found.what in WHATS
        assert abs(found.minutes) < 2**53
        assert abs(found.number) < 2**53
        assert found.alert >= 0


def test_what_was_retained_or_sent_again_is_no_request():
    for mark in ({"retained": True}, {"duplicate": True}):
        with pytest.raises(MessageError):
            read("notifications/suspend", "5", **mark)


@pytest.fixture
def running(broker, tmp_path):
    """Run an agent that has no model yet and one alert from before; yield it and what it publishes."""
    settings = Settings(
        broker=broker.address(),
        data=Data(directory=tmp_path / "data", commit_seconds=0.05),
        sources=(GenericSource(dialect="generic", topic="home/{device}"),),
        alerts=Alerts(exclude=("Garden*",)),
    )
    agent, stop, heard = Agent(settings), threading.Event(), []
    agent.store.add_alert(Alert(homes.MONDAY, None, 2.0, 1.0, "odd"))
    thread = threading.Thread(target=agent.run, args=(stop,), daemon=True)
    thread.start()
    client = Session(broker.address("client"), lasting=False)
    client.subscribe(["sceneshift/#"])
    client.open()

    def wait(topic, payload=None):
        deadline = time.monotonic() + 20
        while True:
            for message in client.take(100, 0.05):
                client.acknowledge([message])
                heard.append(message)
            found = [each.payload for each in heard if each.topic == f"sceneshift/{topic}"]
            if found and payload in (None, found[-1]):
                return found[-1]
            assert time.monotonic() < deadline, f"{topic}: {found}"

    wait("availability", b"online")
    yield agent, client, wait
    stop.set()
    thread.join(20)
    client.close()


def test_a_running_agent_is_muted_suspended_and_told_what_was_fine(running):
    agent, client, wait = running
    settings = agent.settings
    answer = ask(settings.broker, "mute", {"device": "Hall*", "minutes": 30}, 20)
    assert answer["status"] == "ok"
    assert 29 * 60 < answer["data"]["mutes"]["Hall*"] - time.time() <= 30 * 60 + 1
    assert ask(settings.broker, "mute", {"device": "Hall*", "minutes": -1}, 20)["status"] == "error"
    assert "no alert 9" in ask(settings.broker, "feedback", {"alert": 9, "verdict": "fine"}, 20)["error"]
    assert ask(settings.broker, "feedback", {"alert": 1, "verdict": "fine"}, 20)["status"] == "ok"
    assert agent.store.alert(1).state == "fine"
    wait("notifications/suspended", b"0")
    client.publish("sceneshift/notifications/suspend", "5")
    while int(wait("notifications/suspended")) < time.time() + 200:
        pass
    state = json.loads(wait("state"))
    assert set(state["mutes"]) == {"Hall*", "*"}
    assert state["budget"] == {"told": 0, "of": 10}
    client.publish("sceneshift/notifications/suspend", "0")
    wait("notifications/suspended", b"0")
    found = status_of(settings)
    assert list(found["mutes"]) == ["Hall*"]
    for part in ("no model yet", "muted: Hall*", "never judged: Garden*"):
        assert part in found["silence"]


def test_half_a_character_is_no_word_of_a_request():
    for fields in ('{"scene": "new-device:\\ud800"}', '{"scene": "home", "transaction": "\\udfff"}', '{"scene": NaN}'):
        with pytest.raises(MessageError, match="malformed"):
            read("request/adapt", fields)


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b"7", b"{", b'"a"', b"[" * 9999])
def test_what_is_no_answer_is_left_aside(payload):
    assert report._answer(Message("sceneshift/response/adapt", payload, 0.0)) == {}
