"""The broker session: messages in, acknowledgements back, publishing. It outlives the process.

Acknowledge a message once what it says is on disk. An acknowledgement for a connection that is gone is
dropped: the broker sends that message again, marked as a duplicate. What waits, either way, is bounded
(edge/inbox.py, edge/core/outbox.py): paho's own queues hold no more than is under way.
"""

import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge import tls
from edge.core.events import LARGEST, MAX_PAYLOAD, Message
from edge.core.outbox import ALERT, UNDER_WAY, USUAL, Letter, Outbox
from edge.inbox import Inbox
from edge.sections import Broker

log = logging.getLogger(__name__)

WEEK = 7 * 86400  # seconds the broker keeps the session of an agent that is away (MQTT v5)
RECEIVE_MAXIMUM = 200  # unacknowledged messages the broker may have under way (MQTT v5)
LARGEST_PACKET = LARGEST + 128 * 1024  # bytes; the broker keeps a larger one to itself (MQTT v5)
_UNSUPPORTED_PROTOCOL = 0x84  # CONNACK reason (MQTT v5, section 3.2.2.2)
_HANDSHAKE = 5.0  # seconds a broker may take to answer CONNECT
_ANSWER = 2.0  # seconds a broker has to answer the first CONNECT; one that knows only 3.1.1 may wait for more
_SLOWEST = 60.0  # seconds; the longest wait between two attempts


class Session:
    """One persistent MQTT session: v5 where the broker speaks it, else 3.1.1."""

    def __init__(self, broker: Broker, *, lasting: bool = True, first_wait: float = 1.0) -> None:
        """Take the address; `lasting` False leaves no session and no word of availability behind.

        Raises SettingsError where a certificate that is named cannot be used.
        """
        self._broker = broker
        self._tls = tls.context(broker) if broker.tls else None
        self._lasting = lasting
        self._first_wait = first_wait  # seconds before the first new attempt; doubled at each
        self.availability_topic = f"{broker.prefix}/availability"
        self.on_connect: list[Callable[[], None]] = []  # called in paho's thread at every CONNACK
        self.problem = "not connected yet"  # why there is no connection, "" while there is one
        self.dropped = 0  # messages at QoS 0 that found no room
        self.inbox = Inbox()
        self.outbox = Outbox()
        self._under_way = 0  # of what was in the outbox, what paho has
        self._handing_over = False  # whether a thread does: one alone, so that the order holds
        self._topics: dict[str, None] = {}
        self._lock = threading.Lock()
        self._unacknowledged: dict[int, Message] = {}  # of this connection only
        self._connected = threading.Event()
        self._subscribed = threading.Event()  # to all that was asked for when the connection began
        self._subscription = 0  # the id of that request
        self._closing = False
        self._protocol = MQTTProtocolVersion.MQTTv5
        self._spoken = False  # whether any connection has been accepted: then this protocol is right
        self._silent = 0  # connections in a row that ended without an answer
        self._patience: threading.Timer | None = None  # ends the wait for the first answer
        self._client = self._new_client()

    def open(self) -> None:
        """Begin to connect, and go on for ever; returns at once."""
        self._client.loop_start()

    def wait(self, seconds: float) -> bool:
        """Wait until the broker has connected and subscribed us; tell whether it has."""
        return self._subscribed.wait(seconds)

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
        return self.inbox.take(limit, wait)

    def acknowledge(self, messages: Iterable[Message]) -> None:
        """Tell the broker, in the given order, that these messages are safe here."""
        with self._lock:
            for message in messages:
                # The very object: a later connection may use the same id for another message.
                if self._unacknowledged.get(message.mid) is message:
                    del self._unacknowledged[message.mid]
                    self._client.ack(message.mid, 1)

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False, rank: str = USUAL) -> bool:
        """Publish at QoS 1, by rank; it waits for a connection where there is none. False: too much waits already."""
        letter = Letter(topic, payload.encode() if isinstance(payload, str) else payload, retain)
        with self._lock:
            waits = self.outbox.put(letter, rank)
        self._hand_over()
        return waits

    def close(self) -> None:
        """Say goodbye: offline, disconnect, stop the thread. The broker keeps the session."""
        if self._lasting:
            self.publish(self.availability_topic, "offline", retain=True)
        deadline = time.monotonic() + 2.0
        while (self.outbox or self._under_way) and self.connected and time.monotonic() < deadline:
            time.sleep(0.01)
        with self._lock:
            self._closing = True
            client = self._client
        client.drop_out_messages()  # paho's thread would wait for them
        client.disconnect()
        client.loop_stop()
        self._client = self._new_client()  # paho lets go of its sockets with the last that holds the client
        self._connected.clear()
        self._subscribed.clear()

    def _new_client(self) -> paho.Client:
        broker, v5 = self._broker, self._protocol == MQTTProtocolVersion.MQTTv5
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            clean_session=None if v5 else not self._lasting,
            protocol=self._protocol,
            manual_ack=True,
        )
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.secret())
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if self._lasting:
            client.will_set(self.availability_topic, "offline", 1, retain=True)
        client.max_inflight_messages_set(UNDER_WAY[ALERT])
        client.reconnect_delay_set(self._first_wait, _SLOWEST)  # type: ignore[arg-type]  # any number will do
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        options: dict[str, Any] = {}
        if v5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = WEEK if self._lasting else 0
            properties.ReceiveMaximum = RECEIVE_MAXIMUM
            properties.MaximumPacketSize = LARGEST_PACKET
            options = {"clean_start": not self._lasting, "properties": properties}
        client.connect_async(broker.host, broker.port, keepalive=30, **options)
        return client

    def _fall_back(self) -> None:
        """Speak 3.1.1 to a broker that refuses v5 or, twice in a row, hangs up on it; v5 again after the same."""
        v5 = self._protocol == MQTTProtocolVersion.MQTTv5
        self._protocol = MQTTProtocolVersion.MQTTv311 if v5 else MQTTProtocolVersion.MQTTv5
        self._silent = 0
        if not v5 and "refuses" not in self.problem:  # it answered neither
            self._say(f"{self._broker.host}:{self._broker.port} ends the connection{tls.hint(self._broker)}")
        log.info("the broker does not answer; trying MQTT %s", self.version)
        with self._lock:
            if self._closing:
                return
            old, self._client = self._client, self._new_client()
            self._client.loop_start()  # within the lock: who closes finds it begun
        old.loop_stop()  # we are in its thread: it ends when we return

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            log.warning("%s", problem)
        self.problem = problem

    def _on_socket_open(self, _: paho.Client, __: Any, opened: Any) -> None:
        if not self._spoken:
            self._patience = threading.Timer(_ANSWER, self._give_up, [opened])
            self._patience.daemon = True
            self._patience.start()

    def _answered(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self, opened: socket.socket) -> None:
        self._silent = 1  # and this is the second: waiting again would tell no more
        with suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)

    def _on_connect(self, client: paho.Client, _: Any, flags: paho.ConnectFlags, reason: ReasonCode, __: Any) -> None:
        self._answered()
        if reason.is_failure:
            refused = reason.value == _UNSUPPORTED_PROTOCOL and self._protocol == MQTTProtocolVersion.MQTTv5
            self._silent = 1 if refused else -1  # the end of the connection counts too
            self._say(f"the broker refuses the connection: {reason}")
            return
        self._spoken = True
        self.problem = ""
        log.info("connected, MQTT %s, session %s", self.version, "resumed" if flags.session_present else "new")
        with self._lock:
            topics = list(self._topics)
            self._connected.set()
        if topics:
            self._subscription = client.subscribe([(topic, 1) for topic in topics])[1] or 0
        else:
            self._subscribed.set()
        if self._lasting:
            self.publish(self.availability_topic, "online", retain=True)
        self._hand_over()
        for callback in self.on_connect:
            callback()

    def _on_connect_fail(self, _: paho.Client, __: Any) -> None:
        error = sys.exc_info()[1]  # paho calls this where it has caught the error, and does not pass it on
        self._say(f"no connection to {self._broker.host}:{self._broker.port}: {tls.told(error, self._broker)}")

    def _on_disconnect(self, _: paho.Client, __: Any, ___: Any, reason: ReasonCode, ____: Any) -> None:
        self._answered()
        with self._lock:
            self._unacknowledged.clear()
            was_connected = self.connected
            self._connected.clear()
            self._subscribed.clear()
        if was_connected and not self._closing:
            self._say(f"connection lost: {reason}")
        elif not was_connected and not self._spoken:
            self._silent += 1
            if self._silent == 2:
                self._fall_back()

    def _on_subscribe(self, _: paho.Client, __: Any, mid: int, reasons: list[ReasonCode], ____: Any) -> None:
        denied = sum(reason.is_failure for reason in reasons)
        if denied:
            log.warning("the broker denies %d of %d subscriptions", denied, len(reasons))
        if mid == self._subscription:
            self._subscribed.set()

    def _on_message(self, _: paho.Client, __: Any, got: paho.MQTTMessage) -> None:
        mid = got.mid if got.qos else 0
        payload = bytes(got.payload if len(got.payload) <= LARGEST else got.payload[: MAX_PAYLOAD + 1])
        message = Message(_topic(got), payload, time.time(), got.retain, got.dup, mid)
        with self._lock:
            if mid:
                self._unacknowledged[mid] = message
        # A full inbox holds paho's thread, and with it the socket: the broker waits, nothing is lost. mosquitto
        # 2.0.11 sends far more than RECEIVE_MAXIMUM once acknowledgements flow.
        while not self._closing and not self.inbox.put(message, 0.1):
            if not mid:
                self.dropped += 1
                return

    def _on_publish(self, _: paho.Client, __: Any, ___: int, ____: ReasonCode, _____: Properties) -> None:
        with self._lock:
            self._under_way -= 1
        self._hand_over()

    def _hand_over(self) -> None:
        """Give paho what waits, as much as may be under way: one thread at a time.

        Our lock is not held meanwhile: paho calls `_on_publish` inside the lock that publishing asks for.
        """
        while True:
            with self._lock:
                free = self.connected and not self._closing and not self._handing_over
                letter = self.outbox.take(self._under_way) if free else None
                if letter is None:
                    return
                self._handing_over, client = True, self._client
                self._under_way += 1
            try:
                client.publish(letter.topic, letter.payload, 1, letter.retain)
            finally:
                self._handing_over = False


def _topic(got: paho.MQTTMessage) -> str:
    try:
        return got.topic
    except UnicodeDecodeError:  # paho decodes on access; the broker should have refused it (MQTT v5, 1.5.4)
        return ""
