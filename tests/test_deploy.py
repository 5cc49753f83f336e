"""What is deployed and flashed: every example file is loaded, every topic in it parses, mosquitto runs with its own."""

import configparser
import dataclasses
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge.core.errors import MessageError
from edge.core.events import Message
from edge.dialects import Dialects, dialect
from edge.mqtt import Session
from edge.requests import Requests
from edge.sections import Broker
from edge.settings import Settings, load
from tests.conftest import Mosquitto, free_port, listens
from tests.test_mqtt import until

ROOT = Path(__file__).parent.parent
FIRMWARE = ROOT / "firmware_configs"
PUBLISHES = re.compile(r"^# publishes: (?P<topic>.+?) (?P<payload>\{.*\}|\S+)$", re.MULTILINE)
COMMENTED = re.compile(r"^#(?=\[|\w+ = )", re.MULTILINE)


def load_example(folder: Path, *, whole: bool) -> Settings:
    """Load deploy/sceneshift.toml, `whole` with every commented key put in."""
    text = (ROOT / "deploy/sceneshift.toml").read_text(encoding="utf-8")
    if whole:
        text = COMMENTED.sub("", text)
    (folder / "password").write_text("secret\n", encoding="ascii")
    path = folder / "sceneshift.toml"
    path.write_text(text.replace("/etc/sceneshift/", f"{folder}/"), encoding="utf-8")
    return load(path)


@pytest.fixture
def example(tmp_path: Path) -> Settings:
    return load_example(tmp_path, whole=True)


def test_the_example_settings_load(tmp_path: Path) -> None:
    settings = load_example(tmp_path, whole=False)
    assert [source.dialect for source in settings.sources] == ["zigbee2mqtt"]
    assert settings.home.latitude == 48.9


def test_the_example_names_every_key_and_its_default(example: Settings) -> None:
    text = (ROOT / "deploy/sceneshift.toml").read_text(encoding="utf-8")
    unexplained = {"broker.password", "home.dictionary", "model.directory"}  # from the environment; for experiments
    defaults = Settings()
    for section in ("broker", "data", "home", "model", "llm", "adapt", "learn", "alerts", "homeassistant", "web"):
        for key in type(getattr(defaults, section)).model_fields:
            if f"{section}.{key}" not in unexplained:
                assert re.search(rf"^#?{key} = ", text, re.MULTILINE), f"{section}.{key} is not in the example"
    assert example.model.model_copy(update={"trusted_keys": None}) == defaults.model
    assert example.adapt.model_copy(update={"steps": None}) == defaults.adapt
    assert (example.llm.count, example.llm.seconds) == (defaults.llm.count, defaults.llm.seconds)
    assert example.data.commit_seconds == defaults.data.commit_seconds


def published(file: Path) -> list[tuple[str, str]]:
    return [(found["topic"], found["payload"]) for found in PUBLISHES.finditer(file.read_text(encoding="utf-8"))]


def zigbee_devices() -> list[dict[str, str]]:
    text = (FIRMWARE / "zigbee2mqtt/configuration.yaml").read_text(encoding="utf-8")
    found = re.findall(r"'(0x[0-9a-f]{16})':\n    friendly_name: (.+)", text)
    return [{"ieee_address": address, "friendly_name": name} for address, name in found]


CONFIGS = sorted(
    path for path in FIRMWARE.rglob("*") if path.is_file() and not path.is_relative_to(FIRMWARE / "mosquitto")
)


@pytest.mark.parametrize("file", CONFIGS, ids=lambda path: path.relative_to(FIRMWARE).as_posix())
def test_every_topic_of_a_firmware_parses_with_the_example_settings(file: Path, example: Settings) -> None:
    sources = Dialects(dialect(source.dialect, source.options()) for source in example.sources)
    groups = [{"friendly_name": "all lights", "members": []}]
    for what, value in (("devices", zigbee_devices()), ("groups", groups)):
        sources.events(Message(f"zigbee2mqtt/bridge/{what}", json.dumps(value).encode(), 0.0))
    sent = published(file)
    assert sent
    heard = {}
    for topic, payload in sent:
        heard[topic] = sources.events(
            Message(topic, payload.encode(), 1_767_600_000.0)
        )  # raises where it does not parse
    acting = {topic: [(e.device, e.prop, e.value) for e in events] for topic, events in heard.items() if events}
    assert acting == EXPECTED[file.relative_to(FIRMWARE).as_posix()]


EXPECTED = {
    "zigbee2mqtt/configuration.yaml": {
        "zigbee2mqtt/kitchen/kettle plug": [("0x00158d00018255df", "state", "ON")],
        "zigbee2mqtt/living room/lamp": [
            ("0x90fd9ffffe6494fc", "state", "ON"),
            ("0x90fd9ffffe6494fc", "brightness", "medium"),
        ],
        "zigbee2mqtt/hall/door contact": [("0x00158d0001dc126a", "contact", "open")],
        "zigbee2mqtt/hall/button": [("0x00158d000224154d", "action", "double")],
    },
    "esphome/plug.yaml": {
        "esphome/kettle-plug/switch/relay/state": [("kettle-plug", "relay", "ON")],
        "esphome/kettle-plug/binary_sensor/button/state": [("kettle-plug", "button", "OFF")],
    },
    "tasmota/commands.txt": {
        "stat/coffee_plug/POWER": [("coffee_plug", "power", "OFF")],
        "stat/coffee_plug/RESULT": [("coffee_plug", "button", "single")],
        "tele/coffee_plug/STATE": [("coffee_plug", "power", "OFF")],
    },
    "shelly/commands.txt": {
        "shelly/hall/events/rpc": [("shellyplus1-a8032abe54dc", "input", "double")],
        "shellies/shelly1-B929CC/relay/0": [("shelly1-B929CC", "relay", "on")],
    },
    "home_assistant/statestream.yaml": {
        "statestream/media_player/living_room_tv/friendly_name": [("media_player.living_room_tv", "state", "playing")],
        "statestream/person/ada/friendly_name": [("person.ada", "state", "present")],
    },
}


def test_what_shelly_is_told_is_what_it_takes() -> None:
    text = (FIRMWARE / "shelly/commands.txt").read_text(encoding="utf-8")
    calls = [json.loads(body) for body in re.findall(r"^curl -X POST -d '(.+)' http", text, re.MULTILINE)]
    assert [call["method"] for call in calls] == ["Shelly.PutUserCA", "Mqtt.SetConfig", "Shelly.Reboot"]
    config = calls[1]["params"]["config"]
    # Shelly's Gen2+ API documentation, Mqtt, Configuration.
    assert config.keys() <= {
        "enable", "server", "client_id", "user", "pass", "ssl_ca", "topic_prefix", "rpc_ntf", "status_ntf",
        "use_client_cert", "enable_rpc", "enable_control",
    }  # fmt: skip
    assert (config["rpc_ntf"], config["enable_control"]) == (True, False)


@pytest.mark.parametrize(
    "name", ["zigbee2mqtt/configuration.yaml", "esphome/plug.yaml", "home_assistant/statestream.yaml"]
)
def test_the_yaml_files_are_yaml(name: str) -> None:
    yaml = pytest.importorskip("yaml")

    class Loader(yaml.SafeLoader):  # type: ignore[misc,name-defined]
        """SafeLoader that leaves ESPHome's !secret alone."""

    Loader.add_constructor("!secret", lambda loader, node: loader.construct_scalar(node))
    document = yaml.load((FIRMWARE / name).read_text(encoding="utf-8"), Loader)
    if "mqtt_statestream" in document:
        assert document["mqtt_statestream"]["publish_attributes"] is True
        return
    assert document["mqtt"]
    if "esphome" in document:
        assert document["mqtt"]["topic_prefix"] == f"esphome/{document['esphome']['name']}"
    else:
        assert document["device_options"] == {"qos": 1, "retain": False}


@dataclass
class Guarded(Mosquitto):
    """mosquitto with the shipped configuration: only its paths and ports are moved."""

    plain: int = 0

    def start(self) -> None:
        text = (FIRMWARE / "mosquitto/mosquitto.conf").read_text(encoding="utf-8")
        text = text.replace("/etc/mosquitto/", f"{self.folder}/").replace("/var/lib/mosquitto/", f"{self.folder}/")
        text = text.replace("listener 8883", f"listener {self.port} 127.0.0.1")
        text = text.replace("listener 1883 127.0.0.1", f"listener {self.plain} 127.0.0.1")
        self.launch(text)
        until(lambda: listens(self.plain))  # the second listener may open a moment later


@pytest.fixture(scope="session")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder as the shipped configuration wants it: an authority, the broker's certificate, every password."""
    for program in ("openssl", "mosquitto_passwd"):
        if shutil.which(program) is None:
            pytest.skip(f"{program.upper()} IS MISSING: the shipped mosquitto configuration is NOT tested")
    folder = tmp_path_factory.mktemp("sealed")
    certs = folder / "certs"
    certs.mkdir()

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=certs, check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *new, "-days", "2", "-subj", "/CN=home authority", "-keyout", "ca.key", "-out", "ca.crt")
    openssl("req", *new, "-subj", "/CN=127.0.0.1", "-keyout", "server.key", "-out", "server.csr")
    (certs / "san.cnf").write_text("subjectAltName=IP:127.0.0.1", encoding="ascii")
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san.cnf")
    openssl("x509", "-req", "-in", "server.csr", *signed, "-out", "server.crt")
    (folder / "passwords").touch(mode=0o600)
    for user in ("sceneshift", "zigbee2mqtt", "esphome", "tasmota", "shelly", "homeassistant"):
        add = ["mosquitto_passwd", "-b", str(folder / "passwords"), user, f"{user}-secret"]
        subprocess.run(add, check=True, capture_output=True)
    shutil.copy(FIRMWARE / "mosquitto/acl", folder / "acl")
    return folder


@pytest.fixture
def guarded(tmp_path: Path, sealed: Path) -> Iterator[Guarded]:
    shutil.copytree(sealed, tmp_path / "mosquitto")
    running = Guarded(tmp_path / "mosquitto", plain=free_port())
    running.start()
    yield running
    running.stop()


def say(broker: Guarded, user: str, *messages: tuple[str, str]) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.username_pw_set(user, f"{user}-secret")
    client.connect("127.0.0.1", broker.plain)
    client.loop_start()
    for topic, payload in messages:
        client.publish(topic, payload, 1).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


def test_mosquitto_runs_with_the_shipped_configuration(guarded: Guarded, example: Settings) -> None:
    url, ca = f"mqtts://127.0.0.1:{guarded.port}", guarded.folder / "certs/ca.crt"
    address = Broker.model_validate({"url": url, "tls_ca": ca, "user": "sceneshift", "password": "sceneshift-secret"})
    sources = Dialects(dialect(source.dialect, source.options()) for source in example.sources)
    session = Session(address, first_wait=0.05)
    session.subscribe([*sources.topics(), "home/people", *Requests("sceneshift").topics()])
    session.open()
    assert session.wait(5), session.problem
    assert session.version == "5"
    sent = [message for file in CONFIGS for message in published(file)]
    speakers = {"stat": "tasmota", "tele": "tasmota", "shellies": "shelly", "statestream": "homeassistant"}
    for topic, payload in sent:
        root = topic.split("/")[0]
        say(guarded, speakers.get(root, root), (topic, payload))
    allowed = [("home/people", "2"), ("sceneshift/notifications/suspend", "5"), ("sceneshift/scene/set", "summer")]
    say(guarded, "zigbee2mqtt", ("zigbee2mqtt/bridge/info", "secret"), ("sceneshift/scene/set", "spring"))
    say(guarded, "tasmota", ("zigbee2mqtt/living room/lamp", "forged"))
    say(guarded, "homeassistant", *allowed)
    session.publish("zigbee2mqtt/living room/lamp/set", "the agent commands nothing")
    heard: list[tuple[str, str]] = []
    for _ in range(40):
        heard += [(message.topic, message.payload.decode()) for message in session.take(100, 0.1)]
        if allowed[-1] in heard:
            break
    heard += [(message.topic, message.payload.decode()) for message in session.take(100, 0.3)]
    session.close()
    assert heard == [*sent, *allowed]


def test_mosquitto_refuses_who_it_does_not_know(guarded: Guarded) -> None:
    url = f"mqtts://127.0.0.1:{guarded.port}"
    nobody = Session(Broker.model_validate({"url": url, "tls_ca": guarded.folder / "certs/ca.crt"}), first_wait=0.05)
    nobody.open()
    assert not nobody.wait(0.5)
    assert "refuses" in nobody.problem
    nobody.close()


OWN = ("alert", "availability", "state", "behavior", "response/adapt", "newest", "progress")  # what only the agent says
ASKED = (
    "request/adapt", "request/rollback", "request/mute", "scene/set", "mode/set", "alarms_per_week/set", "alerts/set",
    "notifications/suspend",
)  # fmt: skip
SPEAKS = {  # a topic of each kind of device
    "zigbee2mqtt": "zigbee2mqtt/living room/lamp", "esphome": "esphome/plug/switch/relay/state",
    "tasmota": "stat/plug/POWER", "shelly": "shelly/plug/status/switch:0",
}  # fmt: skip


def hearing(broker: Guarded, user: str, *topics: str) -> Session:
    """Return a session of a user that has subscribed, whether or not it is told anything."""
    told = {"url": f"mqtt://127.0.0.1:{broker.plain}", "client_id": f"{user}-listens", "user": user}
    session = Session(Broker.model_validate({**told, "password": f"{user}-secret"}), lasting=False, first_wait=0.05)
    session.subscribe(topics)
    session.open()
    assert session.wait(10), session.problem
    return session


def heard_until(session: Session, last: str) -> list[str]:
    """Return the topics of what is heard up to one; what was said before it has been passed on before it."""
    topics: list[str] = []
    deadline = time.monotonic() + 20
    while last not in topics:
        assert time.monotonic() < deadline, topics
        topics += [message.topic for message in session.take(100, 0.1)]
    return topics


@pytest.mark.parametrize("user", SPEAKS)
def test_a_device_neither_commands_nor_speaks_for_another_nor_hears_what_the_agent_tells(
    guarded: Guarded, user: str
) -> None:
    """Whoever takes a device's place at the broker has that device's voice, and no more."""
    agent = hearing(guarded, "sceneshift", "sceneshift/#", *(topic for topic in SPEAKS.values()))
    people = hearing(guarded, "homeassistant", "homeassistant/#", "sceneshift/#")
    device = hearing(guarded, user, "#", "sceneshift/#", "sceneshift/alert", "+/alert", "homeassistant/#", SPEAKS[user])
    try:
        forged = [f"sceneshift/{each}" for each in (*OWN, *ASKED)]
        forged += ["homeassistant/device/sceneshift/config", "homeassistant/sensor/sceneshift/x/config"]
        forged += ["homeassistant/status", "home/people", "behaviors", "statestream/light/x/state"]
        forged += [topic for other, topic in SPEAKS.items() if other != user]
        say(guarded, user, *((topic, "forged") for topic in forged), (SPEAKS[user], "ON"))
        assert heard_until(agent, SPEAKS[user]) == [SPEAKS[user]]
        say(guarded, "sceneshift", *((f"sceneshift/{each}", "private") for each in OWN), ("sceneshift/last", "x"))
        assert heard_until(people, "sceneshift/last") == [f"sceneshift/{each}" for each in (*OWN, "last")]
        say(guarded, user, (SPEAKS[user], "OFF"))
        agent_heard = heard_until(agent, SPEAKS[user])
        assert "sceneshift/alert" in agent_heard
        told = [message.topic for message in device.take(100, 0.3)]
        assert not [topic for topic in told if topic.startswith(("sceneshift", "homeassistant"))]
    finally:
        for session in (agent, people, device):
            session.close()


def test_people_ask_and_are_told_and_cannot_speak_for_the_agent(guarded: Guarded) -> None:
    agent = hearing(guarded, "sceneshift", "sceneshift/#")
    try:
        say(guarded, "homeassistant", *((f"sceneshift/{each}", "forged") for each in OWN))
        say(guarded, "homeassistant", *((f"sceneshift/{each}", "asked") for each in ASKED))
        assert heard_until(agent, f"sceneshift/{ASKED[-1]}") == [f"sceneshift/{each}" for each in ASKED]
    finally:
        agent.close()


def test_a_command_that_waits_at_the_broker_is_obeyed_by_nobody(guarded: Guarded) -> None:
    """A retained one would be done again at every start; one that was sent again may have been done."""
    requests = Requests("sceneshift")
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.username_pw_set("homeassistant", "homeassistant-secret")
    client.connect("127.0.0.1", guarded.plain)
    client.loop_start()
    for topic in ASKED:
        client.publish(f"sceneshift/{topic}", "summer", 1, retain=True).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()
    agent = hearing(guarded, "sceneshift", *requests.topics())
    found: list[Message] = []
    deadline = time.monotonic() + 20
    while len(found) < len(ASKED) and time.monotonic() < deadline:
        found += agent.take(100, 0.1)
    agent.close()
    assert {message.topic for message in found} == {f"sceneshift/{topic}" for topic in ASKED}
    for message in found:
        with pytest.raises(MessageError, match="replayed"):
            requests.read(message)
        with pytest.raises(MessageError, match="replayed"):
            requests.read(dataclasses.replace(message, retained=False, duplicate=True))


# paho leaves a socket whose handshake failed to the garbage collector, which closes it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_whose_authority_is_unknown_is_not_spoken_to(guarded: Guarded) -> None:
    url = f"mqtts://127.0.0.1:{guarded.port}"
    blind = Session(Broker.model_validate({"url": url, "user": "sceneshift", "password": "x"}), first_wait=0.05)
    blind.open()
    assert not blind.wait(0.5)
    assert "certificate" in blind.problem.lower()
    blind.close()


def test_the_unit_restarts_all_but_bad_settings(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    file = ROOT / "deploy/sceneshift.service"
    unit.read(file, encoding="utf-8")
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["RestartPreventExitStatus"] == "2"
    assert service["StateDirectory"] == "sceneshift"
    assert service["User"] == "sceneshift"
    assert int(service["WatchdogSec"]) >= 30
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        copy = tmp_path / "sceneshift.service"
        text = file.read_text(encoding="utf-8")
        copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE), encoding="utf-8")
        done = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True, check=False)
        assert "sceneshift" not in done.stderr, done.stderr


def test_the_image_is_small_and_unprivileged() -> None:
    text = (ROOT / "Dockerfile.arm64").read_text(encoding="utf-8")
    builder, final = re.split(r"^FROM .*$", text, flags=re.MULTILINE)[1:]
    assert "build-essential" in builder
    assert not re.search(r"build-essential|cmake|torch|trainer", final)
    assert final.index("USER sceneshift") < final.index("CMD [")
    assert "HEALTHCHECK" in final
    assert 'ENTRYPOINT ["tini", "--"]' in final
    assert all("bookworm" in line for line in re.findall(r"^FROM .*$", text, re.MULTILINE))
    for copied in re.findall(r"^COPY (.+) \S+$", builder, re.MULTILINE):
        for name in copied.split():
            assert (ROOT / name).exists(), f"{name} is copied and not there"
