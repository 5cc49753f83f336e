"""A small scene change for tests: the home of tests/homes.py, from winter to spring."""

from dataclasses import replace

from edge.core.scenes import Scene
from edge.synthesis import Home
from tests import homes
from trainer.evaluate.shifts import Shift


def small() -> Shift:
    """Return it: in spring the fan runs when the heater did; the attack is the old winter life."""
    home = Home(homes.HOME, tuple(homes.sequences(96)), weeks=7.0)
    normal = tuple(
        tuple(replace(step, device="fan1") if step.device == "heat1" else step for step in each)
        for each in homes.sequences(60, seed=1)
    )
    attack = tuple(homes.sequences(60, seed=2))
    return Shift("spring", "small", home, Scene(season="winter"), Scene(season="spring"), normal, attack)
