"""A home under torture: broker, wire, life and agent, and the check of what they must have kept."""

import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import paho.mqtt.publish as post

from benchmarks.torture.living import Listener, Publisher
from benchmarks.torture.points import NONE
from benchmarks.torture.processes import Broker, Hub
from benchmarks.torture.wire import Wire, Witness
from edge.core.behaviors import Behavior
from edge.core.errors import EdgeError
from edge.core.verdicts import Alert
from edge.receipts import RECEIPTS
from edge.slots import Slots
from edge.store import Store

PATIENCE = 300.0  # seconds for what must happen
QUIET = 10.0  # seconds in which nothing more comes
SETTINGS = """
[broker]
url = "mqtt://127.0.0.1:{port}"
[data]
directory = "{data}"
commit_seconds = 0.1
keep_days = 36500
[home]
scene = "winter"
[model]
learn_after_days = 10000
[llm]
count = 24
[adapt]
notice = false
steps = 40
[learn]
nightly = false
[alerts]
budget_per_day = 1000
[web]
enabled = false
[[sources]]
dialect = "generic"
topic = "home/{{device}}"
"""


@dataclass
class Findings:
    """What was seen, over all homes; every figure but the first is to be 0."""

    published: int = 0
    stored: int = 0
    lost: int = 0  # acknowledged by the agent, and not in the record
    doubled: int = 0
    disordered: int = 0
    lost_by_broker: int = 0  # a killed broker's own: never sent to the agent
    sent_twice_by_broker: int = 0  # as new, by a broker that was killed
    slots_unloadable: int = 0
    alerts: int = 0
    alerts_never_told: int = 0
    alerts_told_twice: int = 0
    alerts_heard_twice: int = 0
    alerts_repeated_for_broker: int = 0  # it was killed with the receipt, and nobody knows who has heard them
    orphans: int = 0
    ended_by_itself: int = 0  # the agent, with an error
    scratch: int = 0  # files that nobody clears away
    restarts: list[float] = field(default_factory=list)  # seconds from start to the first acknowledgement
    words: list[str] = field(default_factory=list)  # what was wrong, for a person

    def wrong(self, what: str, count: int, detail: object) -> None:
        """Count something that must not be."""
        if count:
            setattr(self, what, getattr(self, what) + count)
            self.say(f"{what}: {str(detail)[-900:]}")

    def say(self, words: str) -> None:
        """Keep what was wrong, and show it at once."""
        self.words.append(words)
        print(f"WRONG {words}", flush=True)


class Home:
    """One home, from a copy of what was learned once."""

    def __init__(self, folder: Path, life: list[Behavior], begun: int, findings: Findings) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.life = life
        self.settings = folder / "sceneshift.toml"
        self.findings = findings
        self.broker = Broker(folder / "broker")
        self.broker.start()
        self.witness = Witness("sceneshift/alert")
        self.wire = Wire(self.broker.port, self.witness)
        self.settings.write_text(SETTINGS.format(port=self.wire.port, data=self.data))
        self.publisher = Publisher(self.broker.port, life, begun)
        self.listener = Listener(self.broker.port, self.witness.alert_topic)
        self._numbers = {each.time: number for number, each in enumerate(life)}
        self._begun = begun
        self.doing = "begins"  # the kind of kill that is under way
        self.broker_knew = 0  # numbers below it may be lost with a broker that was killed
        self.unsure: set[int] = set()  # alerts whose receipt was lost with a broker that was killed
        self._timed = True  # whether this start's first acknowledgement was seen
        self.hub: Hub | None = None
        self._known: set[int] = set()  # what was found to be wrong before

    def start(self, point: str = NONE, nth: int = 1) -> Hub:
        """Start the agent, with a fault point in it or none."""
        self.hub = Hub(self.folder, ["run", "--settings", str(self.settings)], point, nth)
        self._timed = False
        return self.hub

    def begin(self) -> None:
        """Let the agent subscribe once, then let the home live."""
        self.start()
        self.connected(1)
        self.publisher.start()

    def connected(self, times: int) -> bool:
        """Wait until the agent has been subscribed so often in all, or has ended; tell whether it is."""
        return self.until(lambda: self.witness.subscribed >= times)

    def until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
        """Wait for a condition, the agent's end, or the time to be up; tell whether it holds."""
        deadline = time.monotonic() + seconds
        while not (holds := bool(condition())) and time.monotonic() < deadline:
            self.look()
            if self.hub is not None and self.hub.ended:
                return bool(condition())
            time.sleep(0.02)
        return holds

    def look(self) -> None:
        """Take note of the agent's children and of when it acknowledged first."""
        if self.hub is None:
            return
        self.hub.look()
        if not self._timed and self.witness.last > self.hub.started:
            self._timed = True
            self.findings.restarts.append(self.witness.last - self.hub.started)

    def ask(self, what: str, payload: str = "") -> None:
        """Ask the agent as a person's program would."""
        post.single(f"sceneshift/{what}", payload, qos=1, hostname="127.0.0.1", port=self.broker.port)

    def numbers(self) -> list[int]:
        """Return the numbers of all that is in the record, in its order."""
        store = Store.open(self.data, read_only=True)
        try:
            return [self._numbers[each.time] for each in store.behaviors()]
        finally:
            store.close()

    def fallen(self, *, by_itself: bool = False) -> None:
        """Check what holds at every moment, the agent being dead."""
        assert self.hub is not None
        code = self.hub.code()
        if by_itself and code != -9:
            self.findings.wrong("ended_by_itself", 1, f"{self.doing}: exit {code}: {self.hub.last_words()}")
        self.findings.wrong("orphans", self.hub.orphans(), self.hub.last_words())
        try:
            healthy = Slots(self.data / "slots").load_healthy()
            self.findings.wrong("slots_unloadable", healthy.reason is not None, healthy.reason)
        except EdgeError as error:
            self.findings.wrong("slots_unloadable", 1, error)
        numbers = self.numbers()
        missing = self._acknowledged() - set(numbers)
        twice = {number for number, count in Counter(numbers).items() if count > 1} - self._known
        twice = {number for number in twice if self.witness.sent[number] < 2}  # else it was the broker
        self._known |= missing | twice
        if missing or twice:
            self.findings.say(f"{self.doing}: lost {sorted(missing)[:9]}, twice {sorted(twice)[:9]}")

    def end(self) -> None:
        """Let the agent catch up with all that was published, end it, and count what became of everything."""
        self.doing = "ends"
        self.publisher.close()
        before = self.witness.subscribed
        self.start()
        self.until(lambda: self.witness.subscribed > before and self._caught_up())
        self.until(lambda: not self._untold())
        time.sleep(1.0)  # what is told, arrives
        assert self.hub is not None
        if not self.hub.ended:
            code = self.hub.stop()
            self.findings.wrong("ended_by_itself", code != 0, f"{self.doing}: exit {code}: {self.hub.last_words()}")
        else:
            self.fallen(by_itself=True)
        self._count_behaviors()
        self._count_alerts()
        left = [*(self.folder / "scratch").iterdir(), *self.data.rglob(".*")]
        self.findings.wrong("scratch", len(left), sorted(path.name for path in left))
        self.close()

    def close(self) -> None:
        """End whatever runs still."""
        if self.hub is not None and not self.hub.ended:
            self.hub.kill()
        self.wire.close()
        self.listener.close()
        self.broker.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _acknowledged(self) -> set[int]:
        with self.witness.lock:
            return set(self.witness.acknowledged)

    def _caught_up(self) -> bool:
        """Tell whether the agent has all that was published, but what was lost with a broker."""
        missing = self.publisher.taken - self._acknowledged() - set(range(self._begun))
        quiet = self.hub is not None and time.monotonic() - max(self.hub.started, self.witness.last) > QUIET
        return not missing or (quiet and max(missing) < self.broker_knew)

    def _count_behaviors(self) -> None:
        found, numbers = self.findings, self.numbers()
        stored, taken = Counter(numbers), self.publisher.taken
        twice = [number for number, count in stored.items() if count > 1]
        by_broker = [number for number in twice if self.witness.sent[number] > 1]
        missing = taken - set(stored)
        known = self._acknowledged() | set(range(self._begun))
        lost = {number for number in missing if number in known or number >= self.broker_knew}
        once = [number for number in numbers if number not in by_broker]
        found.published += len(taken)
        found.stored += len(stored)
        found.wrong("lost", len(lost), sorted(lost)[:20])
        found.wrong("doubled", len(twice) - len(by_broker), twice[:20])
        found.lost_by_broker += len(missing - lost)
        found.sent_twice_by_broker += len(by_broker)
        backwards = [pair for pair in pairwise(once) if pair[0] > pair[1]]
        found.wrong("disordered", len(backwards), backwards[:20])

    def lose_receipts(self) -> None:
        """Take note of the alerts that were told and of which a broker, killed just now, has sent no receipt."""
        store = Store.open(self.data, read_only=True)
        kept = store.fact(RECEIPTS, {"up_to": 0, "but": []})
        store.close()
        self.unsure |= {number for number in self.witness.alerts if number > kept["up_to"] or number in kept["but"]}

    def _told(self) -> list[Alert]:
        """Return the alerts that somebody was to be told of since this home began."""
        store = Store.open(self.data, read_only=True)
        try:
            return [alert for alert in store.alerts() if alert.behavior is None or alert.behavior > self._begun]
        finally:
            store.close()

    def _untold(self) -> list[int]:
        return [alert.id for alert in self._told() if not self.witness.alerts[alert.id]]

    def _count_alerts(self) -> None:
        found, heard = self.findings, Counter(self.listener.heard)
        told, never = self._told(), self._untold()
        found.alerts += len(told)
        again = [number for number, count in self.witness.alerts.items() if count > 1 and number not in self.unsure]
        found.alerts_repeated_for_broker += sum(self.witness.alerts[number] > 1 for number in self.unsure)
        found.wrong("alerts_never_told", len(never), never)
        rows = Counter(alert.behavior for alert in told if alert.behavior is not None)
        again += [row for row, count in rows.items() if count > 1]
        found.wrong("alerts_told_twice", len(again), again)
        repeated = [number for number, count in heard.items() if count > 1 and number not in self.unsure]
        found.wrong("alerts_heard_twice", len(repeated), repeated)
