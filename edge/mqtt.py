"""The broker session: messages in, acknowledgements back, publishing. It outlives the process.

Acknowledge a message once what it says is on disk. An acknowledgement for a connection that is gone is
dropped: the broker sends that message again, marked as a duplicate.
"""

import logging
import queue
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.core.events import MAX_PAYLOAD, Message

log = logging.getLogger(__name__)

WEEK = 7 * 86400  # seconds the broker keeps the session of an agent that is away (MQTT v5)
RECEIVE_MAXIMUM = 200  # unacknowledged messages the broker may have under way (MQTT v5)
CAPACITY = 10_000  # messages waiting in this process
WHOLE = 8 * MAX_PAYLOAD  # bytes; of a larger payload only its oversized beginning is kept
_UNSUPPORTED_PROTOCOL = 0x84  # CONNACK reason (MQTT v5, section 3.2.2.2)
_HANDSHAKE = 5.0  # seconds a broker may take to answer CONNECT
_SLOWEST = 60.0  # seconds; the longest wait between two attempts


class Address(Protocol):
    """Where the broker is and who we are to it; the settings' broker section is one."""

    @property
    def host(self) -> str:
        """Name or address."""

    @property
    def port(self) -> int:
        """TCP port."""

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""

    @property
    def user(self) -> str | None:
        """User name."""

    @property
    def tls_ca(self) -> Path | None:
        """The broker's authority; None: the system's."""

    @property
    def tls_cert(self) -> Path | None:
        """Our certificate."""

    @property
    def tls_key(self) -> Path | None:
        """Its key."""

    @property
    def client_id(self) -> str:
        """Names the session."""

    @property
    def prefix(self) -> str:
        """Root of our own topics."""

    def secret(self) -> str | None:
        """Return the password in the clear."""


class Session:
    """One persistent MQTT session: v5 where the broker speaks it, else 3.1.1."""

    def __init__(self, broker: Address, *, lasting: bool = True, first_wait: float = 1.0) -> None:
        """Take the address; `lasting` False leaves no session and no word of availability behind."""
        self._broker = broker
        self._lasting = lasting
        self._first_wait = first_wait  # seconds before the first new attempt; doubled at each
        self.availability_topic = f"{broker.prefix}/availability"
        self.on_connect: list[Callable[[], None]] = []  # called in paho's thread at every CONNACK
        self.problem = "not connected yet"  # why there is no connection, "" while there is one
        self.dropped = 0  # messages at QoS 0 that found the queue full
        self._topics: dict[str, None] = {}
        self._queue: queue.Queue[Message] = queue.Queue(CAPACITY)
        self._lock = threading.Lock()
        self._unacknowledged: dict[int, Message] = {}  # of this connection only
        self._connected = threading.Event()
        self._lost = threading.Event()
        self._closing = threading.Event()
        self._protocol = MQTTProtocolVersion.MQTTv5
        self._spoken = False  # whether any connection has been accepted: then this protocol is right
        self._silent = 0  # connections in a row that ended without an answer
        self._accepted = False  # whether this connection has been
        self._client = self._new_client()
        self._keeper = threading.Thread(target=self._keep, name="mqtt-keeper", daemon=True)

    def open(self) -> None:
        """Begin to connect, and go on for ever; returns at once."""
        self._keeper.start()

    def wait(self, seconds: float) -> bool:
        """Wait for a connection; tell whether there is one."""
        return self._connected.wait(seconds)

    @property
    def connected(self) -> bool:
        """Tell whether the broker has accepted us and the connection stands."""
        return self._connected.is_set()

    @property
    def version(self) -> str:
        """The MQTT version spoken now."""
        return "5" if self._protocol == MQTTProtocolVersion.MQTTv5 else "3.1.1"

    def subscribe(self, topics: Iterable[str]) -> None:
        """Subscribe at QoS 1, now and at every CONNACK."""
        with self._lock:
            new = [topic for topic in topics if topic not in self._topics]
            self._topics.update(dict.fromkeys(new))
            now = self.connected
        if new and now:
            self._client.subscribe([(topic, 1) for topic in new])

    def take(self, limit: int, wait: float) -> list[Message]:
        """Return up to `limit` messages in order of arrival; waits at most `wait` seconds for the first."""
        messages: list[Message] = []
        try:
            messages.append(self._queue.get(timeout=wait) if wait > 0 else self._queue.get_nowait())
            while len(messages) < limit:
                messages.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return messages

    def acknowledge(self, messages: Iterable[Message]) -> None:
        """Tell the broker, in the given order, that these messages are safe here."""
        with self._lock:
            for message in messages:
                # The very object: a later connection may use the same id for another message.
                if self._unacknowledged.get(message.mid) is message:
                    del self._unacknowledged[message.mid]
                    self._client.ack(message.mid, 1)

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False, qos: int = 1) -> None:
        """Publish; at QoS 1 it is kept, while there is no connection, until there is one."""
        self._client.publish(topic, payload, qos, retain)

    def close(self) -> None:
        """Say goodbye: offline, disconnect, stop the threads. The broker keeps the session."""
        if self.connected and self._lasting:
            farewell = self._client.publish(self.availability_topic, "offline", 1, retain=True)
            deadline = time.monotonic() + 2.0
            while not farewell.is_published() and self.connected and time.monotonic() < deadline:
                time.sleep(0.01)
        self._closing.set()
        self._lost.set()
        if self._keeper.is_alive():
            self._keeper.join()
        self._connected.clear()

    def _new_client(self) -> paho.Client:
        broker, v5 = self._broker, self._protocol == MQTTProtocolVersion.MQTTv5
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            clean_session=None if v5 else not self._lasting,
            protocol=self._protocol,
            reconnect_on_failure=False,  # the keeper does it: it also changes the protocol
            manual_ack=True,
        )
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.secret())
        if broker.tls:
            ca, cert, key = (str(path) if path else None for path in (broker.tls_ca, broker.tls_cert, broker.tls_key))
            client.tls_set(ca, cert, key, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        if self._lasting:
            client.will_set(self.availability_topic, "offline", 1, retain=True)
        client.max_queued_messages_set(1000)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _keep(self) -> None:
        """Connect, wait for the end of the connection, wait, connect again; the keeper's thread."""
        wait = self._first_wait
        while True:
            self._lost.clear()
            if self._closing.is_set():  # asked after the clear: close() sets the one before the other
                return
            self._accepted = False
            if self._connect():
                unanswered = not self._lost.wait(_HANDSHAKE) and not self._accepted
                if unanswered:  # a broker that misreads a v5 CONNECT may wait for more of it, for ever
                    self._silent = 2
                    self._say("the broker does not answer")
                else:
                    self._lost.wait()
                if unanswered or self._closing.is_set():
                    self._client.disconnect()
                self._client.loop_stop()
            self._fall_back()
            wait = self._first_wait if self._accepted else wait
            self._closing.wait(wait)
            wait = min(wait * 2, _SLOWEST)

    def _connect(self) -> bool:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = WEEK if self._lasting else 0
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        v5 = self._protocol == MQTTProtocolVersion.MQTTv5
        options: dict[str, Any] = {"clean_start": not self._lasting, "properties": properties} if v5 else {}
        try:
            self._client.connect(self._broker.host, self._broker.port, keepalive=30, **options)
        except OSError as error:
            self._say(f"no connection to {self._broker.host}:{self._broker.port}: {error.strerror or error}")
            return False
        self._client.loop_start()
        return True

    def _fall_back(self) -> None:
        """Speak 3.1.1 to a broker that refuses v5 or, twice in a row, hangs up on it; v5 again after the same."""
        if self._spoken or self._silent < 2:
            return
        v5 = self._protocol == MQTTProtocolVersion.MQTTv5
        self._protocol = MQTTProtocolVersion.MQTTv311 if v5 else MQTTProtocolVersion.MQTTv5
        self._silent = 0
        log.info("the broker does not answer; trying MQTT %s", self.version)
        self._client = self._new_client()

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("%s", problem)
        self.problem = problem

    def _on_connect(self, client: paho.Client, _: Any, flags: paho.ConnectFlags, reason: ReasonCode, __: Any) -> None:
        if reason.is_failure:
            refused = reason.value == _UNSUPPORTED_PROTOCOL and self._protocol == MQTTProtocolVersion.MQTTv5
            self._silent = 2 if refused else -1
            self._say(f"the broker refuses the connection: {reason}")
            return
        self._spoken = self._accepted = True
        self.problem = ""
        log.info("connected, MQTT %s, session %s", self.version, "resumed" if flags.session_present else "new")
        with self._lock:
            topics = list(self._topics)
            self._connected.set()
        if topics:
            client.subscribe([(topic, 1) for topic in topics])
        if self._lasting:
            client.publish(self.availability_topic, "online", 1, retain=True)
        for callback in self.on_connect:
            callback()

    def _on_disconnect(self, _: paho.Client, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        with self._lock:
            self._unacknowledged.clear()
            was_connected = self.connected
            self._connected.clear()
        if not was_connected:
            self._silent += 1
        elif not self._closing.is_set():
            self._say(f"connection lost: {reason}")
        self._lost.set()

    def _on_subscribe(self, _: paho.Client, __: Any, ___: int, reasons: list[ReasonCode], ____: Any) -> None:
        denied = sum(reason.is_failure for reason in reasons)
        if denied:
            log.warning("the broker denies %d of %d subscriptions", denied, len(reasons))

    def _on_message(self, _: paho.Client, __: Any, got: paho.MQTTMessage) -> None:
        mid = got.mid if got.qos else 0
        if not mid and self._queue.qsize() >= CAPACITY - 2 * RECEIVE_MAXIMUM:
            self.dropped += 1  # room is kept for what the broker was promised
            return
        payload = bytes(got.payload if len(got.payload) <= WHOLE else got.payload[: MAX_PAYLOAD + 1])
        message = Message(_topic(got), payload, time.time(), got.retain, got.dup, mid)
        with self._lock:
            try:
                self._queue.put_nowait(message)
            except queue.Full:
                return  # not acknowledged: the broker keeps it and sends it at the next connection
            if mid:
                self._unacknowledged[mid] = message


def _topic(got: paho.MQTTMessage) -> str:
    try:
        return got.topic
    except UnicodeDecodeError:  # paho decodes on access; the broker should have refused it (MQTT v5, 1.5.4)
        return ""
