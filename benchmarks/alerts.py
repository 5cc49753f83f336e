"""What alerts say: `python -m benchmarks.alerts` learns the demo home and puts odd behaviors behind its last days."""

import tempfile
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from edge import compose
from edge.adapt import Model, Plan
from edge.core.behaviors import Behavior
from edge.core.dictionary import parse_dictionary
from edge.core.scenes import Scene
from edge.core.sequences import split
from edge.demo.recorded import open_home
from edge.replay import Silent
from edge.settings import Settings
from edge.slots import Slots, shipped
from edge.synthesis import Home
from edge.watch import Watch
from trainer.evaluate.replay import Alarms

HOME = shipped("demo-home")
# Hours after the last midnight, device, control: each set is lived alone.
ODD: tuple[tuple[tuple[float, str, str], ...], ...] = (
    ((27.2, "Kitchen hob", "state ON"),),
    ((27.4, "Front front door lock", "state UNLOCK"),),
    ((37.0, "Living room tv", "state ON"), (47.6, "Living room tv", "state OFF")),
    (tuple((42.0 + 0.001 * n, "Living room lamp", ("state ON", "state OFF")[n % 2]) for n in range(8))),
    ((34.5, "Bedroom heater", "state ON"),),
    ((36.3, "Living room gadget", "state ON"),),
    (
        (42.5, "Kitchen heater", "state OFF"),
        (42.501, "Hall remote", "state DOUBLE"),
        (42.502, "Hall thermostat", "state ON"),
    ),
)


def main() -> None:
    """Print a sentence for each."""
    recorded = open_home(HOME, None)
    zone = recorded.home.zone
    dictionary = parse_dictionary((HOME / "home.json").read_text(encoding="utf-8"))
    named = {device.name: device.id for device in dictionary.devices.values()}
    lived = list(recorded.source)
    weeks = (lived[-1].time - lived[0].time) / (7 * 86400)
    home = Home(dictionary, tuple(split(lived, zone)), weeks)
    with tempfile.TemporaryDirectory() as name:
        slow = compose.slow_loop(Settings(), Slots(Path(name)), threading.Event(), Plan())
        model = slow.learn(home, Scene(), lived[-1].time).model
        if model is None:
            raise SystemExit("no model was learned")
        for acts in ODD:
            last = datetime.fromtimestamp(lived[-1].time, zone).replace(hour=0, minute=0, second=0, microsecond=0)
            odd = [Behavior((last + timedelta(hours=at)).timestamp(), named[who], what) for at, who, what in acts]
            print(_told(model, [*lived, *odd], dictionary, zone, len(odd)))


def _told(model: Model, behaviors: list[Behavior], dictionary: Any, zone: Any, odd: int) -> str:
    """Return the sentence of the first alert among the last behaviors."""
    said: list[str] = []

    def publish(what: str, body: Mapping[str, Any]) -> None:
        if what == "alert":
            said.append(str(body["sentence"]))

    watch = Watch(Alarms(), lambda _: None, publish, Silent(), zone)
    watch.devices.update(dictionary.devices)
    for place, behavior in enumerate(behaviors):
        if place == len(behaviors) - odd:
            watch.swap(model)
        watch.live(behavior, place, behavior.time)
    return said[0] if said else "(nothing)"


if __name__ == "__main__":
    main()
