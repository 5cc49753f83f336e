"""What comes over a home: each scenario loads it in its own way and returns what it sent."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice

from benchmarks.overload.home import EVERY_DIALECT, GENERIC, Home, Letter, act
from benchmarks.overload.valve import Valve
from edge.core.behaviors import Behavior

DAY = 86400.0
FLAPPING, FLAPS = 100, 5.0  # devices, and how often each acts a second
FLOODS: tuple[Callable[[int], tuple[str, str]], ...] = (  # a name nobody has heard of, in the words of each dialect
    lambda n: (f"home/s{n}/x", "ON"),
    lambda n: (f"home/s{n}", '{"state": "ON"}'),
    lambda n: (f"zigbee2mqtt/s{n}", '{"state": "ON"}'),
    lambda n: (f"stat/s{n}/POWER", "ON"),
    lambda n: (f"tasmota/discovery/{n:012x}/config", json.dumps({"t": f"d{n}", "dn": f"D {n}"})),
    lambda n: (f"s{n}/light/l/state", "ON"),
    lambda n: (f"esphome/s{n}/light/l/state", "ON"),
    lambda n: (f"esphome/discover/s{n}", json.dumps({"name": f"e{n}", "friendly_name": f"E {n}"})),
    lambda n: (f"shelly/shellyplus1-{n:012x}/status/switch:0", '{"output": true}'),
    lambda n: (f"shellies/shelly1-{n:06x}/relay/0", "on"),
    lambda n: (f"shellies/s{n}/online", "true"),
    lambda n: (f"statestream/light/s{n}/state", "on"),
    lambda n: (f"statestream/light/s{n}/friendly_name", f'"S {n}"'),
)


class Life:
    """What the home's own devices go on doing, each time later than before."""

    def __init__(self, lived: list[Behavior]) -> None:
        self._acts = cycle([(each.device, each.control) for each in lived])
        self._time = round(time.time() - 6 * DAY)

    def acts(self, count: int) -> list[Letter]:
        """Return the next acts, 20 s between two."""
        found = []
        for device, control in islice(self._acts, count):
            self._time += 20
            found.append(act(device, float(self._time), control))
        return found


@dataclass(frozen=True)
class Load:
    """What was sent: how many messages, and of which it is known when they are told."""

    sent: int
    letters: tuple[Letter, ...] = ()


@dataclass(frozen=True)
class Scenario:
    """How a home is loaded. `run` gets the home, its life and how many messages to send."""

    name: str
    count: int
    run: Callable[[Home, Life, int], Load]
    sources: str = GENERIC
    before: Callable[[Home, int], int] | None = None  # sends before the agent starts
    environment: tuple[tuple[str, str], ...] = ()
    through_valve: bool = False


def burst(home: Home, life: Life, count: int) -> Load:
    """Send acts of the home's devices as fast as the broker takes them."""
    letters = tuple(life.acts(count))
    return Load(home.client.send(letters), letters)


def flapping(home: Home, _: Life, count: int) -> Load:
    """Let devices act several times a second each, in real time."""

    def flaps() -> Iterator[Letter]:
        for number in range(count):
            control = "state ON" if number // FLAPPING % 2 else "state OFF"
            yield act(f"flapping{number % FLAPPING}", time.time(), control)

    return Load(home.client.send(flaps(), pace=FLAPPING * FLAPS))


def payloads(home: Home, _: Life, count: int) -> Load:
    """Send payloads of a megabyte."""
    large = b"x" * 1_000_000
    return Load(home.client.send(Letter(f"home/large{number % 7}", large) for number in range(count)))


def strangers(home: Home, _: Life, count: int) -> Load:
    """Send what devices say that nobody has heard of, in every dialect, each name twice: it reports and it acts."""

    def said() -> Iterator[Letter]:
        for number in range(count // 2):
            topic, payload = FLOODS[number % len(FLOODS)](number)
            yield Letter(topic, payload)
            yield Letter(topic, payload.replace("ON", "OFF").replace("on", "off").replace("true", "false"))

    return Load(home.client.send(said()))


def requests(home: Home, _: Life, count: int) -> Load:
    """Ask and ask: for what is done at once, for what takes long, and for nonsense."""
    asked = cycle((("mute", '{"device": "x", "minutes": 1}'), ("learn", "{}"), ("mode", "home"), ("nonsense", "{")))
    letters = (Letter(f"sceneshift/request/{what}", payload) for what, payload in islice(asked, count))
    return Load(home.client.send(letters))


def unpromised(home: Home, life: Life, count: int) -> Load:
    """Send acts at QoS 0, which the broker may drop, too."""
    letters = tuple(life.acts(count))
    return Load(home.client.send(letters, qos=0), letters)


def deaf(home: Home, life: Life, count: int) -> Load:
    """Let a broker read nothing that the agent says, while acts arrive and a device flickers; then let it read."""
    valve = home.valve
    assert isinstance(valve, Valve)
    valve.shut()
    sent = home.client.send(life.acts(count), qos=0, pace=300.0)
    now = time.time()
    sent += home.client.send((act("flickering", now + number / 10) for number in range(200)), qos=0, pace=300.0)
    time.sleep(2.0)
    valve.open()
    return Load(sent)


def nothing(_: Home, __: Life, ___: int) -> Load:
    """Send nothing more: what was sent before the start is the load."""
    return Load(0)


def retained(home: Home, count: int) -> int:
    """Leave retained messages of strangers at the broker."""
    letters = (Letter(f"home/kept{number}", '{"state": "ON"}', retain=True) for number in range(count))
    return home.client.send(letters)


SCENARIOS = (
    Scenario("burst", 10_000, burst),
    Scenario("100 devices flapping", 60_000, flapping),
    Scenario("payloads of 1 MB", 300, payloads),
    Scenario("strangers", 100_000, strangers, sources=EVERY_DIALECT),
    Scenario("retained strangers at the start", 50_000, nothing, before=retained),
    Scenario("requests", 10_000, requests),
    Scenario("QoS 0", 10_000, unpromised),
    Scenario("a disk that takes 200 ms", 2_000, burst, environment=(("SLOW_DISK_MS", "200"),)),
    Scenario("a broker that does not read", 4_000, deaf, through_valve=True),
)
