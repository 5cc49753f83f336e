"""Attacks on the way to the broker: who it is, who we are, and what is spoken on the wire."""

import re
import socket
import ssl
import threading
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edge.core.errors import SettingsError
from edge.mqtt import Session
from edge.sections import Broker, local
from edge.settings import load
from tests.certificates import Authority, Pair
from tests.conftest import Mosquitto, free_port, listens
from tests.test_mqtt import until

KNOWN = {"user": "us", "password": "planted-secret"}
# paho leaves a socket whose handshake failed to the garbage collector, which closes it.
ABANDONED = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('url = "mqtt://broker.lan"', ("mqtts://", "password_file", "insecure = true")),
        ('url = "mqtt://192.168.1.2"\nuser = "us"\npassword_file = "p"', ("mqtts://", "insecure = true")),
        ('url = "mqtts://broker.lan"', ("password_file", "tls_cert", "insecure = true")),
        ('url = "mqtts://broker.lan"\nuser = "us"', ("password_file", "tls_cert", "insecure = true")),
        ('url = "mqtts://broker.lan"\npassword_file = "p"', ("user", "tls_cert", "insecure = true")),
        # What another name, or another spelling, resolves to is the network's word.
        ('url = "mqtt://localhost.localdomain"', ("mqtts://", "insecure = true")),
        ('url = "mqtt://127.0.0.1.evil.example"', ("mqtts://", "insecure = true")),
        ('url = "mqtt://127.1"', ("mqtts://", "insecure = true")),
        ('url = "mqtt://0.0.0.0"', ("mqtts://", "insecure = true")),
        ('tls_key = "k"', ("tls_cert",)),
    ],
)
def test_a_broker_on_another_machine_must_be_known_and_know_us(
    tmp_path: Path, text: str, wanted: tuple[str, ...]
) -> None:
    file = tmp_path / "sceneshift.toml"
    file.write_text(f"[broker]\n{text}\n", encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(file)
    for each in (str(file), "broker", *wanted):
        assert each in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        'url = "mqtt://127.0.0.1"', 'url = "mqtt://127.8.8.8"', 'url = "mqtt://[::1]"', 'url = "mqtt://LOCALHOST"',
        'url = "mqtts://broker.lan"\nuser = "us"\npassword_file = "p"', 'url = "mqtts://broker.lan"\ntls_cert = "c"',
        'url = "mqtt://broker.lan"\ninsecure = true', 'url = "mqtts://broker.lan"\ninsecure = true',
    ],
)  # fmt: skip
def test_this_machine_a_secret_over_tls_and_what_is_said_on_purpose_are_taken(tmp_path: Path, text: str) -> None:
    (tmp_path / "p").write_text("planted-secret", encoding="ascii")
    file = tmp_path / "sceneshift.toml"
    file.write_text(f"[broker]\n{text}\n", encoding="utf-8")
    broker = load(file).broker
    assert local(broker.host) or broker.tls or broker.insecure


@dataclass
class Guarded(Mosquitto):
    """mosquitto with TLS on one port and none on another, both with what every test asks for."""

    plain: int = field(default_factory=free_port)

    def start(self) -> None:
        self.launch(
            f"per_listener_settings true\nlistener {self.port} 127.0.0.1\nallow_anonymous true\n{self.extra}\n"
            f"listener {self.plain} 127.0.0.1\nallow_anonymous true\n"
        )
        until(lambda: listens(self.plain))  # the second listener may open a moment later


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def guarded(folder: Path, server: Pair, *more: str) -> Guarded:
    place = folder / "mosquitto"
    place.mkdir()
    made = Guarded(place, extra="\n".join([f"certfile {server.cert}", f"keyfile {server.key}", *more]))
    made.start()
    return made


def address(port: int, scheme: str = "mqtts", **more: object) -> Broker:
    return Broker.model_validate({"url": f"{scheme}://127.0.0.1:{port}", **KNOWN, **more})


def refused(broker: Broker, said: str, seconds: float = 20.0) -> None:
    """See that a broker is not spoken to, that the reason names a mend, and that no secret is in it."""
    with closing(Session(broker, first_wait=0.05)) as session:
        session.open()
        until(lambda: said in session.problem, seconds)
        assert not session.connected
        assert "planted-secret" not in session.problem


def test_the_right_certificate_connects_by_tls_1_2_at_least(tmp_path: Path, authority: Authority) -> None:
    broker = guarded(tmp_path, authority.sign("server"))
    try:
        with closing(Session(address(broker.port, tls_ca=authority.ca), first_wait=0.05)) as session:
            session.open()
            assert session.wait(10), session.problem
            spoken = session._client.socket()
            assert isinstance(spoken, ssl.SSLSocket)
            assert spoken.version() in {"TLSv1.2", "TLSv1.3"}
            assert spoken.context.minimum_version >= ssl.TLSVersion.TLSv1_2
    finally:
        broker.stop()


@ABANDONED
@pytest.mark.parametrize(
    ("shown", "believed", "said"),
    [
        ({}, "other", "certificate is not believed"),
        ({}, "the system's", "certificate is not believed"),
        ({"host": "127.0.0.2"}, "home", "IP address mismatch"),
        ({"host": "evil.example"}, "home", "mismatch"),
        ({"ends": -timedelta(days=1)}, "home", "certificate has expired"),
    ],
)
def test_a_broker_that_cannot_show_who_it_is_hears_nothing(
    tmp_path: Path, authority: Authority, shown: dict[str, Any], believed: str, said: str
) -> None:
    authorities = {"home": authority.ca, "other": Authority(tmp_path, "other").ca}
    broker = guarded(tmp_path, authority.sign("server", **shown))
    try:
        refused(address(broker.port, tls_ca=authorities.get(believed)), said)
    finally:
        broker.stop()


@ABANDONED
def test_a_port_without_tls_and_one_with_it_are_not_mistaken_for_each_other(
    tmp_path: Path, authority: Authority
) -> None:
    broker = guarded(tmp_path, authority.sign("server"))
    try:
        refused(address(broker.plain, tls_ca=authority.ca), "no TLS there")
        refused(address(broker.port, "mqtt"), "does it want TLS")
    finally:
        broker.stop()


@ABANDONED
def test_a_broker_that_asks_for_a_certificate_takes_only_what_its_authority_signed(
    tmp_path: Path, authority: Authority
) -> None:
    stranger = Authority(tmp_path, "other").sign("stranger")
    ours = authority.sign("ours")
    broker = guarded(tmp_path, authority.sign("server"), f"cafile {authority.ca}", "require_certificate true")
    try:
        url = {"url": f"mqtts://127.0.0.1:{broker.port}", "tls_ca": authority.ca}
        right = Broker.model_validate({**url, "tls_cert": ours.cert, "tls_key": ours.key})
        with closing(Session(right, first_wait=0.05)) as session:
            session.open()
            assert session.wait(10), session.problem
        refused(Broker.model_validate(url), "certificate of ours")
        refused(Broker.model_validate({**url, "tls_cert": stranger.cert, "tls_key": stranger.key}), "ends")
    finally:
        broker.stop()


def test_a_certificate_that_cannot_be_used_is_told_with_its_key_at_the_start(
    tmp_path: Path, authority: Authority
) -> None:
    ours, nonsense = authority.sign("ours"), tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate", encoding="ascii")
    for wrong, said in (
        ({"tls_ca": tmp_path / "none.pem"}, "broker.tls_ca"),
        ({"tls_ca": nonsense}, "broker.tls_ca"),
        ({"tls_cert": nonsense, "tls_key": ours.key}, "broker.tls_cert"),
        ({"tls_cert": ours.cert, "tls_key": authority.sign("other").key}, "broker.tls_cert"),
        ({"tls_cert": ours.cert, "tls_key": tmp_path / "none.key"}, "broker.tls_cert"),
    ):
        with pytest.raises(SettingsError, match=said):
            Session(address(1, **wrong))


@ABANDONED
def test_speaking_an_older_mqtt_never_leaves_tls(tmp_path: Path, authority: Authority) -> None:
    """A broker that shows who it is and hangs up on every CONNECT: 3.1.1 is tried, and still within TLS."""
    server = authority.sign("server")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(server.cert, server.key)
    firsts: list[bytes] = []
    versions: list[int] = []

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                raw, _ = listening.accept()
                firsts.append(raw.recv(1, socket.MSG_PEEK))
                with suppress(OSError), made.wrap_socket(raw, server_side=True) as spoken:
                    versions.append(spoken.recv(100)[8])  # behind the packet's length and "MQTT"

    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listening,), daemon=True).start()
    with closing(Session(address(listening.getsockname()[1], tls_ca=authority.ca), first_wait=0.05)) as session:
        session.open()
        until(lambda: {4, 5} <= set(versions), 20)
    listening.close()
    assert set(firsts) <= {b"\x16", b""}  # a TLS handshake, each time


@pytest.mark.parametrize("name", ["THREATS.md", "SECURITY.md"])
def test_what_is_said_to_be_proved_has_its_test(name: str) -> None:
    root = Path(__file__).parent.parent
    text = (root / name).read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:tests|firmware_configs|benchmarks|deploy)/[\w./-]*\w", text))
    assert not [each for each in named if not (root / each).exists()]
    if name == "THREATS.md":
        rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")][2:]
        assert len(rows) > 8
        assert all(re.search(r"tests/test_\w+\.py", row[-1]) for row in rows)
