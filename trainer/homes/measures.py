"""How different homes are, and how much a person is an individual: the two apart, as BehaviorGen keeps them."""

from collections.abc import Sequence as Items
from itertools import combinations

import numpy as np

from trainer.homes.home import BALANCE, BALANCE_SPREAD, Home
from trainer.homes.people import EARLY_SPREAD, MEANS


def diversity(homes: Items[Home]) -> float:
    """Return how different two homes of a population are on average, 0 (the same) to 1.

    The mean of three distances: of device classes (1 - Jaccard), of the roles who live there (the same), of place.
    """
    distances = [
        (
            _apart(_classes(one), _classes(other))
            + _apart(_roles(one), _roles(other))
            + float(one.climate != other.climate)
        )
        / 3.0
        for one, other in combinations(homes, 2)
    ]
    return float(np.mean(distances))


def personality(homes: Items[Home]) -> float:
    """Return how far people lie from the mean of their role, in spreads of the plain population.

    Over hours of waking (from the role's mean) and the temperature from which each home heats (from everybody's).
    """
    timing = [abs(who.wake - MEANS[who.role][0]) / EARLY_SPREAD for home in homes for who in home.people.values()]
    warmth = [abs(home.heats_below - BALANCE) / BALANCE_SPREAD for home in homes]
    return float(np.mean(timing) + np.mean(warmth)) / 2.0


def _classes(home: Home) -> frozenset[str]:
    return frozenset(each.kind for each in home.dictionary.devices.values())


def _roles(home: Home) -> frozenset[str]:
    return frozenset(who.role for number, who in home.people.items() if number < home.residents)


def _apart(one: frozenset[str], other: frozenset[str]) -> float:
    return 1.0 - len(one & other) / max(len(one | other), 1)
