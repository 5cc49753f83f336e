"""A life that leaves evidence: `python tests/life.py FOLDER`, where nothing leads out (tests/seclusion.py).

Everything the agent has to say is provoked and kept in FOLDER: what each command printed, with every logger at DEBUG;
what was published, what systemd was told, every page; under `home` what was written; what strace saw. The names and
secrets below are planted, to be looked for in all of it. What is started here is ended here.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from edge.core.behaviors import Behavior  # noqa: E402
from edge.core.events import Message  # noqa: E402
from edge.mqtt import Session  # noqa: E402
from edge.sections import Broker  # noqa: E402
from edge.store import Store  # noqa: E402
from tests import homes  # noqa: E402
from tests.conftest import Mosquitto, free_port  # noqa: E402
from tests.seclusion import traced  # noqa: E402

MARK = "quagga"  # stands in every device's name and id, in any case
SECRETS = {
    "broker password": "Plant-broker-7Yq", "page token": "Plant-token-9Kd2mL", "database password": "Plant-db-3Xw"
}  # fmt: skip
HOST = "broker.home"
PAGES = ("/", "/alerts", "/alerts?show=all", "/alerts/1", "/learned", "/scenes", "/scenes/1", "/models", "/settings")
# Every logger tells everything, whatever level the program chooses: what is not said there is not said at all.
LAUNCH = """
import logging, sys
root = logging.getLogger()
root.setLevel(logging.DEBUG)
root.setLevel = lambda level: None
logging.disable = lambda level: None
from {package}.__main__ import main
sys.exit(main())
"""
SETTINGS = f"""
[broker]
url = "mqtt://{HOST}:%(port)d"
insecure = true
user = "agent"
password_file = "%(secrets)s/password"
[data]
directory = "data"
commit_seconds = 0.05
[home]
scene = "winter"
dictionary = "dictionary.json"
[model]
learn_after_days = 1000.0
[llm]
count = 24
[adapt]
steps = 100
notice = false
[learn]
nightly = false
[web]
address = "0.0.0.0"
port = %(page)d
token_file = "%(secrets)s/token"
[[sources]]
dialect = "generic"
topic = "home/{{device}}"
[[sources]]
dialect = "zigbee2mqtt"
[[sources]]
dialect = "tasmota"
[[sources]]
dialect = "esphome"
[[sources]]
dialect = "shelly"
[[sources]]
dialect = "statestream"
"""
NAME = "Quagga\nERROR edge: planted \x1b[31m<b>"  # hostile, and no less a name
HEARD = (
    ("zigbee2mqtt/bridge/devices", [{"ieee_address": "0xquagga", "friendly_name": NAME, "type": "Router"}]),
    ("zigbee2mqtt/Quagga lamp", {"state": "ON", "brightness": 3}),
    ("zigbee2mqtt/Quagga lamp", "{quagga"), ("zigbee2mqtt/Quagga lamp", [1]), ("zigbee2mqtt/Quagga lamp", b"\xff"),
    ("tasmota/discovery/QUAGGA/config", {"dn": NAME, "fn": [NAME], "t": "quagga", "ft": "%prefix%/%topic%/"}),
    ("stat/quagga/RESULT", {"POWER": "ON"}), ("stat/quagga/RESULT", "{quagga"), ("tele/quagga/STATE", b"\xff\x00"),
    ("esphome/quagga/switch/quagga/state", "ON"), ("esphome/quagga/switch/quagga/state", b"\xff"),
    ("shellies/quagga/relay/0", "on"), ("shellies/quagga/announce", "{quagga"), ("quagga/events/rpc", "{quagga"),
    ("quagga/events/rpc", {"src": "quagga", "method": "NotifyStatus", "params": {"switch:0": {"output": True}}}),
    ("statestream/light/quagga/state", "on"), ("homeassistant/light/quagga/friendly_name", NAME),
    ("home/quagga", {"t": "quagga", "control": "quagga"}), ("home/quagga", "x" * 300_000),
    ("sceneshift/request/explode", "quagga"), ("sceneshift/request/mute", {"device": "Quagga*", "minutes": "quagga"}),
    ("sceneshift/request/feedback", {"alert": 999, "verdict": "quagga"}), ("sceneshift/scene/set", "quagga"),
)  # fmt: skip


def resolving(asked: list[str]) -> None:
    """Resolve the broker's name and no other, on the one resolver there is; keep every name that is asked for."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
        resolver.bind(("127.0.0.1", 53))
        while True:
            query, who = resolver.recvfrom(4096)
            parts, at = [], 12
            while query[at]:
                parts.append(query[at + 1 : at + 1 + query[at]].decode("latin-1"))
                at += 1 + query[at]
            asked.append(".".join(parts))
            known = asked[-1] == HOST
            found = known and query[at + 1 : at + 3] == b"\0\1"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" if found else b""
            flags = b"\x81\x80" if known else b"\x81\x83"
            resolver.sendto(
                query[:2] + flags + b"\0\1" + bytes([0, found]) + b"\0" * 4 + query[12 : at + 5] + answer, who
            )


class Life:
    """One home, its broker, its agent and its people. `folder` keeps the evidence, `home` what the agent writes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.secrets = folder, folder / "home", folder / "secrets"
        for each in ("home", "secrets", "said", "traces", "pages", "user", "tmp"):
            (folder / each).mkdir(mode=0o755)
        self.page, self.count, self.heard = free_port(), 0, []
        self.running: subprocess.Popen[bytes] | None = None
        self.broker = Mosquitto(self._fresh("mosquitto"))
        self._plant()
        self.client = Session(
            Broker(url=self.broker.url, client_id="home", user="home", password="home"), lasting=False
        )
        self.client.subscribe(["sceneshift/#", "homeassistant/#"])

    def _fresh(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name

    def _plant(self) -> None:
        devices = [
            {"id": f"quagga-{each.id}", "name": f"Quagga {each.name}", "kind": each.kind} for each in homes.DEVICES
        ]
        controls = [[f"quagga-{device}", control] for device, control in homes.PAIRS]
        (self.home / "dictionary.json").write_text(json.dumps({"devices": devices, "controls": controls}))
        for name, secret in (("password", "broker password"), ("token", "page token")):
            (self.secrets / name).write_text(SECRETS[secret] + "\n")
            (self.secrets / name).chmod(0o600)
        text = SETTINGS % {"port": self.broker.port, "page": self.page, "secrets": self.secrets}
        self.settings = self.home / "sceneshift.toml"
        self.settings.write_text(text)
        passwords = self.broker.folder / "passwords"
        passwords.touch()
        for user, password in (("agent", SECRETS["broker password"]), ("home", "home")):
            subprocess.run(["mosquitto_passwd", "-b", str(passwords), user, password], check=True, capture_output=True)
        passwords.chmod(0o644)
        self.broker.extra = f"password_file {passwords}\nallow_anonymous false"

    def environment(self) -> dict[str, str]:
        """Return what every command sees: no word of a test or a build, and the secrets that stand in one."""
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.folder / "user"), "OMP_NUM_THREADS": "1",
            "TMPDIR": str(self.folder / "tmp"),
            "SCENESHIFT_BROKER__PASSWORD": SECRETS["broker password"],
            "sceneshift_source_password": SECRETS["database password"],
            "SCENESHIFT_SOURCE_PASSWORD": SECRETS["database password"],
            "NOTIFY_SOCKET": str(self.folder / "notify"),
        }  # fmt: skip

    def start(self, *words: object, package: str = "edge") -> subprocess.Popen[bytes]:
        """Start a command as a person would, watched; what it prints is kept."""
        self.count += 1
        name = f"{self.count:02d}-{words[0]}"
        command = [sys.executable, "-c", LAUNCH.format(package=package), *map(str, words)]
        said = self.folder / "said"
        with (said / f"{name}.out").open("wb") as out, (said / f"{name}.err").open("wb") as err:
            return subprocess.Popen(
                traced(self.folder / "traces" / name, *command),
                cwd=ROOT, env=self.environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            )  # fmt: skip

    def do(self, *words: object, code: int = 0, package: str = "edge") -> None:
        """Run a command to its end, which is to be `code`."""
        process = self.start(*words, package=package)
        assert process.wait(300) == code, (
            f"{words}: {process.returncode}: {self.last('err')[-2000:]}{self.last('out')[-500:]}"
        )

    def last(self, stream: str) -> str:
        """Return what the last command has said."""
        return next((self.folder / "said").glob(f"{self.count:02d}-*.{stream}")).read_text(errors="replace")

    def ask(self, *words: object, code: int = 0) -> None:
        """Run a command on this home."""
        self.do(*words, "--settings", self.settings, code=code)

    def wait(self, condition, seconds: float = 300.0) -> None:
        """Hear what is published until something holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"nothing happened in time: {self.last('err')[-2000:]}"
            assert self.running is None or self.running.poll() is None, self.last("err")[-2000:]
            found = self.client.take(500, 0.05)
            self.client.acknowledge(found)
            self.heard += found

    def said(self, topic: str) -> list[Message]:
        """Return what was heard on a topic of the agent's."""
        return [each for each in self.heard if each.topic == f"sceneshift/{topic}"]

    def agent(self) -> subprocess.Popen[bytes]:
        """Start the agent, and wait until it is there and its page is."""
        before = len([each for each in self.said("availability") if each.payload == b"online"])
        running = self.running = self.start("run", "--verbose", "--settings", self.settings)
        self.wait(lambda: sum(each.payload == b"online" for each in self.said("availability")) > before)
        self.wait(lambda: "page: http" in self.last("out"))
        return running

    def end(self, running: subprocess.Popen[bytes]) -> None:
        """End the agent as systemd does; strace ends with it."""
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        (self.folder / "limits").write_text(Path(f"/proc/{children[0]}/limits").read_text())
        os.kill(int(children[0]), signal.SIGTERM)
        assert running.wait(60) == 0, self.last("err")[-2000:]
        self.running = None

    def close(self) -> None:
        """End what is still running: strace takes what it watches along."""
        if self.running is not None:
            self.running.terminate()
            self.running.wait(60)
        self.client.close()
        self.broker.stop()

    def live(self, behaviors) -> None:
        """Live: every behavior published is told again by the agent, scored, once there is a model."""
        for each in behaviors:
            body = json.dumps({"t": each.time, "control": each.control})
            self.client.publish(f"home/quagga-{each.device}", body)

    def stored(self) -> int:
        """Return how many behaviors are on disk."""
        with closing(Store.open(self.home / "data", read_only=True)) as store:
            return store.count()

    def look(self) -> None:
        """Look at every page as a guest, with a wrong token, and with the right one; every answer is kept whole."""
        number = 0
        with httpx.Client(base_url=f"http://127.0.0.1:{self.page}", timeout=30) as browser:

            def kept(answer: httpx.Response) -> str:
                nonlocal number
                number += 1
                head = "\n".join(f"{name}: {value}" for name, value in answer.headers.multi_items())
                (self.folder / "pages" / str(number)).write_text(
                    f"{answer.status_code} {answer.url}\n{head}\n{answer.text}"
                )
                return answer.text

            for word in (b"no request at all", f"GET /?token={SECRETS['page token']} HTTP/9.9".encode()):
                with socket.create_connection(("127.0.0.1", self.page), 10) as sending:
                    sending.sendall(word + b"\r\n\r\n")
                    sending.recv(4096)
            mark = re.search(r'name="mark" value="(\w+)"', kept(browser.get("/login")))[1]
            kept(browser.get("/alerts"))
            for token in ("wrong-wrong-wrong", SECRETS["page token"]):
                answer = browser.post("/login", data={"mark": mark, "token": token})
                kept(answer)
            assert answer.status_code == 303
            for path in (*PAGES, "/nowhere", "/alerts/999999999999999999999", "/?day=quagga"):
                kept(browser.get(path))
            mark = re.search(r'name="mark" value="(\w+)"', browser.get("/").text)[1]
            kept(browser.post("/do/feedback", data={"mark": mark, "alert": "999", "verdict": "quagga"}))
            kept(browser.post("/do/explode", data={"mark": mark}))

    def retained(self) -> list[Message]:
        """Return the last words that the broker keeps for whoever comes."""
        late = Broker(url=self.broker.url, client_id="late", user="home", password="home")
        with closing(Session(late, lasting=False)) as session:
            session.subscribe(["#"])
            session.open()
            assert session.wait(10)
            found: list[Message] = []
            while more := session.take(1000, 2.0):
                found += more
        return [each for each in found if each.retained]


def keep(path: Path, messages: list[Message]) -> None:
    """Keep what was heard: topics and payloads."""
    path.write_text(json.dumps([[each.topic, each.payload.decode(errors="replace")] for each in messages]))


def recent(behaviors: list[Behavior]) -> list[Behavior]:
    """Return behaviors whole weeks later, so that the newest are some days old."""
    weeks = (time.time() - 3 * 86400 - behaviors[-1].time) // (7 * 86400)
    return [Behavior(each.time + weeks * 7 * 86400, each.device, each.control) for each in behaviors]


def lived(life: Life) -> None:
    """Live the home: learned, alerted, adapted, asked about by every command, damaged and taken up again."""
    behaviors = recent(homes.behaviors(70))
    running = life.agent()
    for topic, body in HEARD:
        life.client.publish(topic, body if isinstance(body, str | bytes) else json.dumps(body))
    life.live(behaviors)
    life.wait(lambda: life.stored() >= len(behaviors))
    life.client.publish("sceneshift/request/learn", "{}")
    life.wait(lambda: life.said("response/learn"))
    assert json.loads(life.said("response/learn")[0].payload)["status"] == "ok", life.said("response/learn")
    odd = [Behavior(behaviors[-1].time + 2 * 86400 + 600 * place, "fan1", "state ON") for place in range(2)]
    life.live(odd)
    life.wait(lambda: life.said("alert"))
    life.ask("adapt", f"new-device:{MARK}-camera")
    life.look()
    keep(life.folder / "retained.json", life.retained())
    commands(life)
    life.end(running)
    damaged(life)
    at_rest(life)


def commands(life: Life) -> None:
    """Ask what can be asked of a running agent."""
    life.ask("status")
    life.ask("status", "--json")
    life.ask("doctor", code=1)  # it misses a latitude
    life.ask("mute", "Quagga*", "--for", "2h")
    number = json.loads(life.said("alert")[0].payload)["alert"]
    life.ask("alerts", "--since", "30d")
    life.ask("explain", number)
    life.ask("feedback", number, "wrong")
    life.ask("routines")
    life.ask("adapt", "monsoon", code=2)


def damaged(life: Life) -> None:
    """Start over a broken slot, whose name tells of a device; and behind a password that is wrong."""
    for slot in (life.home / "data" / "slots").glob(f"*{MARK}*"):
        (slot / "parameters.npy").write_bytes(b"broken")
    running = life.agent()
    life.wait(lambda: True)
    life.end(running)
    wrong = life.home / "wrong.toml"
    wrong.write_text(life.settings.read_text().replace('user = "agent"', 'user = "nobody"'))
    life.do("doctor", "--settings", wrong, code=1)


def at_rest(life: Life) -> None:
    """Do what needs the agent away: everything that writes a file, and every error that knows a secret."""
    home = life.home
    for form in ("jsonl", "csv"):
        life.ask("export", "--out", home / f"out.{form}", "--format", form)
    life.ask("backup", home / "backup.tar")
    life.ask("replay", home / "out.jsonl")
    life.ask("import", home / "out.csv", "--no-learn")
    for address in ("mysql://ann@127.0.0.1:1/ha", "postgresql://ann@127.0.0.1:1/ha"):
        life.ask("import", address, code=2)
    life.ask("forget", "--device", "quagga-fan1", "--yes", "--no-learn")
    life.ask("restore", home / "backup.tar", "--replace")
    keys = life.secrets / "keys"
    life.do("keys", "new", keys, package="trainer")
    model = max((ROOT / "models/detector").iterdir(), key=lambda each: each.name)
    life.do(
        "bundle", "--detector", model, "--key", keys / "sceneshift.key", "--out", home / "new.bundle", package="trainer"
    )
    life.ask("install", home / "new.bundle", "--trust", keys / "sceneshift.pub")


def main(folder: Path) -> None:
    """Live, and keep the evidence."""
    os.umask(0)  # the most careless there is
    asked: list[str] = []
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:2\n")
    subprocess.run(["mount", "--bind", str(folder / "resolv.conf"), "/etc/resolv.conf"], check=True)
    threading.Thread(target=resolving, args=(asked,), daemon=True).start()
    life = Life(folder)
    notified: list[bytes] = []
    with ExitStack() as stack:
        supervisor = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        supervisor.bind(str(folder / "notify"))
        threading.Thread(
            target=lambda: [notified.append(supervisor.recv(4096)) for _ in iter(int, 1)], daemon=True
        ).start()
        stack.callback(life.close)
        life.broker.start()
        life.client.open()
        lived(life)
    (folder / "said" / "supervisor").write_bytes(b"\n".join(notified))
    (folder / "names.json").write_text(json.dumps(sorted(set(asked))))
    keep(folder / "heard.json", life.heard)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
