"""The kinds of kills: when and where the agent, its children, its broker or its network dies."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from benchmarks.torture.home import Home

REACHED = 40.0  # seconds within which a fault point is to be reached
ATTEMPTS = 4  # to reach one
SEASONS, PEOPLE, HOURS = ("winter", "spring", "summer", "autumn"), ("single", "multiple"), ("daytime", "night", "")
LEARN, ADAPT = "request/learn", "scene/set"
RETRAIN, GENERATE = "edge.workers.retrain", "edge.workers.generate"

Strike = Callable[[Home, Random], bool]  # tells whether it struck where it was meant to


@dataclass(frozen=True)
class Kind:
    """A kind of kill, how often it comes beside the others, and what it does."""

    name: str
    share: int
    strike: Strike


def at_random(longest: float) -> Strike:
    """Kill at any moment of the agent's first seconds."""

    def strike(home: Home, chance: Random) -> bool:
        hub = home.start()
        early = hub.wait(0) or home.until(lambda: False, chance.uniform(0, longest))
        hub.kill()
        home.fallen()
        return not early

    return strike


def at_point(point: str, most: int, what: str = "") -> Strike:
    """Let the agent kill itself at a fault point, up to the `most`th time it passes, while it does what is asked."""

    def strike(home: Home, chance: Random) -> bool:
        folder = f"={home.data / 'slots'}" if point == "disk" else ""
        hub = home.start(point + folder, chance.randint(1, most))
        if what:
            home.connected(home.witness.subscribed + 1)
        for _ in range(ATTEMPTS if what else 1):  # the gate may refuse what was learned
            before = home.witness.answers
            if what and not hub.ended:
                home.ask(what, scene(chance) if what == ADAPT else "")
            home.until(lambda held=before: hub.ended or (what and home.witness.answers > held), REACHED)
        reached = hub.ended
        hub.kill()
        home.fallen(by_itself=reached)
        return reached

    return strike


def at_work(worker: str, what: str, *, parent: bool) -> Strike:
    """Kill the agent while a child of it works, or the child: then the agent goes on, and dies later."""

    def strike(home: Home, chance: Random) -> bool:
        hub = home.start()
        if home.connected(home.witness.subscribed + 1):
            home.ask(what, scene(chance) if what == ADAPT else "")
        found: list[int] = []

        def works() -> bool:
            found[:] = [pid for pid, words in hub.look().items() if worker in words]
            return bool(found)

        reached = home.until(works, REACHED)
        home.until(lambda: False, chance.uniform(0, 0.5))
        if reached and not parent:
            _kill(found[0])
            before = home.witness.last
            home.until(lambda: home.witness.last > before)  # it goes on
        hub.kill()
        home.fallen()
        return reached

    return strike


def broker_dies(*, kill: bool) -> Strike:
    """Stop the broker, killed or asked to save what it holds, and start it again; then kill the agent."""

    def strike(home: Home, chance: Random) -> bool:
        hub = home.start()
        home.connected(home.witness.subscribed + 1)
        home.until(lambda: False, chance.uniform(0, 1))
        if kill:
            home.publisher.abandon()
            home.broker_knew = home.publisher.next
        else:
            home.publisher.pause()
        home.broker.stop(kill=kill)
        if kill:
            home.lose_receipts()
        if chance.random() < 0.5:
            hub.kill()
        before = home.witness.subscribed
        home.broker.start()
        if not kill:
            home.publisher.resume()
        elif hub.ended:
            hub = home.start()
        if not hub.ended:
            home.connected(before + 1)
            if kill:  # one that was killed before it saved our session keeps nothing for us until we are there
                home.publisher.resume()
            home.until(lambda: False, chance.uniform(0, 1))
            hub.kill()
        home.fallen()
        return True

    return strike


def network_fails(home: Home, chance: Random) -> bool:
    """Cut, tear or hold up the agent's connection while it works, some times; then kill it."""
    hub = home.start()
    home.connected(home.witness.subscribed + 1)
    for _ in range(chance.randint(1, 2)):
        before = home.witness.subscribed
        home.until(lambda: False, chance.uniform(0.1, 0.8))
        match chance.choice(("cut", "tear", "hold")):
            case "cut":
                home.wire.cut(chance.uniform(0, 0.5))
            case "tear":
                home.wire.torn = True
            case _:
                home.wire.hold(chance.uniform(0.2, 1))
                continue
        home.until(lambda held=before: home.witness.subscribed > held, 10)
    hub.kill()
    home.fallen()
    return True


def scene(chance: Random) -> str:
    """Return a scene to adapt to."""
    return "+".join(filter(None, (chance.choice(SEASONS), chance.choice(HOURS), chance.choice(PEOPLE))))


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
