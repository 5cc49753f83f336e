"""The broker session against a real mosquitto: nothing lost, everything sent twice recognized."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge.core.behaviors import Behavior, Entry
from edge.core.events import LARGEST, MAX_PAYLOAD, Event, Message
from edge.core.outbox import CAPACITY, USUAL
from edge.inbox import Inbox
from edge.mqtt import Session
from edge.sections import Broker
from edge.store import Store
from tests.conftest import Mosquitto, free_port


@contextmanager
def opened(address: Broker, *topics: str) -> Iterator[Session]:
    session = Session(address, first_wait=0.05)
    session.subscribe(topics)
    session.open()
    try:
        yield session
    finally:
        session.close()


def until(true: Callable[[], object], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def taken(session: Session, count: int, seconds: float = 8.0) -> list[Message]:
    messages: list[Message] = []
    until(lambda: messages.extend(session.take(1000, 0.05)) or len(messages) >= count, seconds)
    return messages


def published(broker: Mosquitto, *messages: tuple[str, bytes], retain: bool = False, qos: int = 1) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for topic, payload in messages:
        client.publish(topic, payload, qos, retain).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


def vanish(session: Session) -> None:
    """End the connection as a crash does: no goodbye, no acknowledgement."""
    session._client.loop_stop()
    session._client.socket().close()  # type: ignore[union-attr]


def entry(message: Message) -> Entry:
    value = message.payload.decode()
    event = Event(message.time, "lamp", "lamp", "", value, momentary=True)
    return Entry(message, (event,), (Behavior(message.time, "lamp", value),))


def test_messages_arrive_in_order_once_and_stay_acknowledged(broker: Mosquitto) -> None:
    with opened(broker.address(), "home/#") as session:
        assert session.wait(5)
        assert session.version == "5"
        published(broker, *((f"home/{n % 3}", str(n).encode()) for n in range(50)))
        messages = taken(session, 50)
        session.acknowledge(messages)
    assert [int(message.payload) for message in messages] == list(range(50))
    assert not any(message.retained or message.duplicate for message in messages)
    with opened(broker.address(), "home/#") as session:
        assert session.wait(5)
        assert session.take(10, 0.3) == []


def test_the_session_outlives_the_process(broker: Mosquitto) -> None:
    with opened(broker.address(), "home/#") as session:
        assert session.wait(5)
    published(broker, ("home/a", b"1"), ("home/a", b"2"))
    broker.stop()
    broker.start()
    with opened(broker.address(), "home/#") as session:
        messages = taken(session, 2)
    assert [message.payload for message in messages] == [b"1", b"2"]
    assert not any(message.retained for message in messages)


def test_crash_between_commit_and_acknowledgement_stores_once(broker: Mosquitto, tmp_path: Path) -> None:
    first = Session(broker.address(), first_wait=0.05)
    first.subscribe(["home/#"])
    first.open()
    assert first.wait(5)
    published(broker, *(("home/a", str(n).encode()) for n in range(20)))
    messages = taken(first, 20)
    store = Store.open(tmp_path)
    store.record([entry(message) for message in messages[:15]])
    first.acknowledge(messages[:10])
    until(lambda: not first._client.want_write())
    time.sleep(0.2)
    vanish(first)
    store.close()
    store = Store.open(tmp_path)
    with opened(broker.address(), "home/#") as second:
        again = taken(second, 10)
        rows = store.record([entry(message) for message in again])
        second.acknowledge(again)
    assert [int(message.payload) for message in again] == list(range(10, 20))
    assert all(message.duplicate for message in again)
    assert [bool(row) for row in rows] == [False] * 5 + [True] * 5
    assert [int(behavior.control) for behavior in store.behaviors()] == list(range(20))
    assert store.counters() == {"duplicate": 5}
    store.close()


def test_retained_messages_are_flagged(broker: Mosquitto) -> None:
    published(broker, ("home/a", b"old"), retain=True)
    with opened(broker.address(), "home/#") as session:
        assert session.wait(5)
        published(broker, ("home/a", b"new"), retain=True)
        assert [(each.payload, each.retained) for each in taken(session, 2)] == [(b"old", True), (b"new", False)]


@pytest.mark.parametrize("kill", [False, True])
def test_a_broker_restart_reconnects_and_resubscribes(broker: Mosquitto, *, kill: bool) -> None:
    connects: list[int] = []
    session = Session(broker.address(), first_wait=0.05)
    session.on_connect.append(lambda: connects.append(1))
    session.subscribe(["home/#"])
    session.open()
    assert session.wait(5)
    broker.stop(kill=kill)
    until(lambda: not session.connected)
    until(lambda: session.problem)
    if kill:  # a broker that forgot everything: nothing but a new subscription brings messages
        (broker.folder / "mosquitto.db").unlink(missing_ok=True)
    session.publish("home/own", "kept while away")
    broker.start()
    until(lambda: session.connected)
    session.subscribe(["later/#"])
    until(lambda: len(connects) == 2)
    time.sleep(0.2)
    published(broker, ("home/a", b"1"), ("later/a", b"2"))
    assert {message.payload for message in taken(session, 3)} == {b"1", b"2", b"kept while away"}
    assert session.problem == ""
    session.close()


def test_an_acknowledgement_for_a_lost_connection_is_dropped(broker: Mosquitto) -> None:
    with opened(broker.address(), "home/#") as session:
        assert session.wait(5)
        published(broker, ("home/a", b"1"))
        old = taken(session, 1)
        broker.stop()
        until(lambda: not session.connected)
        session.acknowledge(old)
        broker.start()
        until(lambda: session.connected)
        again = taken(session, 1)
        assert (again[0].payload, again[0].duplicate, again[0].mid) == (b"1", True, old[0].mid)
        session.acknowledge(old)  # the same id, another delivery
        assert again[0].mid in session._unacknowledged
        session.acknowledge(again)
        assert not session._unacknowledged


def test_availability_and_last_will(broker: Mosquitto) -> None:
    with opened(broker.address("watcher", prefix="watcher"), "sceneshift/availability") as watcher:
        assert watcher.wait(5)
        session = Session(broker.address(), first_wait=0.05)
        session.open()
        assert [message.payload for message in taken(watcher, 1)] == [b"online"]
        vanish(session)
        assert [message.payload for message in taken(watcher, 1)] == [b"offline"]
        with opened(broker.address()):
            assert [message.payload for message in taken(watcher, 1)] == [b"online"]
        assert [message.payload for message in taken(watcher, 1)] == [b"offline"]
    with opened(broker.address("late", prefix="late"), "sceneshift/availability") as late:
        (message,) = taken(late, 1)
        assert (message.payload, message.retained) == (b"offline", True)


def test_a_session_that_does_not_last_leaves_nothing(broker: Mosquitto) -> None:
    session = Session(broker.address("passing", prefix="passing"), lasting=False, first_wait=0.05)
    session.open()
    assert session.wait(5)
    session.close()
    with opened(broker.address(), "passing/#") as after:
        assert after.wait(5)
        assert after.take(1, 0.3) == []


def test_oversized_payloads_arrive_as_oversized(broker: Mosquitto) -> None:
    with opened(broker.address(), "home/#") as session:
        assert session.wait(5)
        published(broker, ("home/a", bytes(MAX_PAYLOAD + 1)), ("home/a", bytes(LARGEST + 1)), ("home/a", b"1"))
        messages = taken(session, 3)
        session.acknowledge(messages)
    assert [len(message.payload) for message in messages] == [MAX_PAYLOAD + 1, MAX_PAYLOAD + 1, 1]


def test_a_flood_at_qos_0_leaves_room_for_what_was_promised(broker: Mosquitto) -> None:
    session = Session(broker.address(), first_wait=0.05)
    session.inbox = Inbox(100)
    session.subscribe(["home/#"])
    session.open()
    assert session.wait(5)
    published(broker, *(("home/flood", str(n).encode()) for n in range(300)), qos=0)
    published(broker, ("home/promised", b"1"))
    until(lambda: len(session.inbox) == 91)
    assert 0 < session.dropped <= 210  # mosquitto, too, drops what it promised to nobody
    assert [message.topic for message in session.take(1000, 0)] == ["home/flood"] * 90 + ["home/promised"]
    session.close()


def test_closing_without_a_broker_is_prompt() -> None:
    session = Session(Broker.model_validate({"url": f"mqtt://127.0.0.1:{free_port()}"}))
    threads = threading.active_count()
    session.open()
    assert not session.wait(0.2)
    assert "refused" in session.problem
    started = time.monotonic()
    session.close()
    assert time.monotonic() - started < 2
    assert threading.active_count() == threads


def test_wrong_password_is_said_and_tried_again(broker: Mosquitto) -> None:
    broker.stop()
    passwords = broker.folder / "passwords"
    passwords.write_text("")
    broker.extra = f"password_file {passwords}\nallow_anonymous false"  # the last word counts
    broker.start()
    session = Session(broker.address(user="edge", password="planted-secret"), first_wait=0.05)
    session.open()
    until(lambda: "refuses" in session.problem)
    assert not session.connected
    assert "planted-secret" not in session.problem
    session.close()


@pytest.mark.filterwarnings("default")
def test_a_broker_that_refuses_v5_is_spoken_to_in_3_1_1() -> None:
    amqtt = pytest.importorskip("amqtt.broker", reason="AMQTT IS MISSING: pip install 'sceneshift[demo]'")
    port, loop, ready = free_port(), asyncio.new_event_loop(), threading.Event()
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
    stop = asyncio.Event()

    async def serve() -> None:
        old = amqtt.Broker(config)
        await old.start()
        ready.set()
        await stop.wait()
        await old.shutdown()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(5)
    with opened(Broker.model_validate({"url": f"mqtt://127.0.0.1:{port}"}), "home/#") as session:
        assert session.wait(5)
        assert session.version == "3.1.1"
        session.publish("home/a", "1")
        messages = taken(session, 1)
        session.acknowledge(messages)
    assert [message.payload for message in messages] == [b"1"]
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def test_what_was_published_is_sent_before_closing(broker: Mosquitto) -> None:
    with opened(broker.address("late", prefix="late"), "home/#") as listener:
        assert listener.wait(5)
        with opened(broker.address("p", prefix="p")) as publisher:
            assert publisher.wait(5)
            assert all(publisher.publish("home/a", str(n)) for n in range(150))
        assert [int(message.payload) for message in taken(listener, 150)] == list(range(150))


def test_publishing_without_a_broker_is_bounded() -> None:
    session = Session(Broker.model_validate({"url": f"mqtt://127.0.0.1:{free_port()}"}), lasting=False)
    told = [session.publish("home/a", str(n)) for n in range(CAPACITY + 40)]
    assert told == [True] * CAPACITY + [False] * 40
    assert session.outbox.shed == {USUAL: 40}


def test_a_full_queue_holds_the_broker_back_and_loses_nothing(broker: Mosquitto) -> None:
    """mosquitto 2.0.11 keeps to the receive maximum only until the first acknowledgements."""
    got: list[int] = []
    session = Session(broker.address(), first_wait=0.05)
    session.inbox = Inbox(40)
    session.subscribe(["home/#"])
    session.open()
    assert session.wait(5)
    with opened(broker.address("p", prefix="p")) as publisher:
        assert publisher.wait(5)
        for n in range(3000):
            assert publisher.publish("home/a", str(n))
        while len(got) < 3000:
            messages = taken(session, 1)
            assert len(session.inbox) <= 40
            session.acknowledge(messages)
            got += [int(message.payload) for message in messages]
    session.close()
    assert got == list(range(3000))


def test_closing_with_a_full_queue_is_prompt(broker: Mosquitto) -> None:
    session = Session(broker.address(), first_wait=0.05)
    session.inbox = Inbox(5)
    session.subscribe(["home/#"])
    session.open()
    assert session.wait(5)
    published(broker, *(("home/a", str(n).encode()) for n in range(20)))
    until(lambda: len(session.inbox) == 5)
    started = time.monotonic()
    session.close()
    assert time.monotonic() - started < 4
    with opened(broker.address(), "home/#") as session:
        assert len(taken(session, 5)) >= 5  # all twenty are still the broker's
