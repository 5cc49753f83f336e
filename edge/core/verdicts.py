"""Surprise and limits to a verdict, with the why in one sentence."""

from collections.abc import Sequence as Items
from dataclasses import dataclass

from edge.core.calibration import Limits
from edge.core.dictionary import Dictionary
from edge.core.prompts import clean
from edge.core.sequences import Step

DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
UNUSUAL = 1.0  # the score above which a behavior is unusual
ODD_FIELD = {"what": "is not what follows here", "when": "is not done at this time here"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a behavior means: `unusual` beyond the limits; `alert` only where somebody is to be told.

    `score`: how many times its limit the odder of what was done and when is.
    """

    unusual: bool
    alert: bool
    score: float
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as it was sent; `behavior` is the store's row of what raised it, None where that was forgotten."""

    time: float
    behavior: int | None
    score: float
    threshold: float
    sentence: str
    state: str = "sent"
    id: int = 0


def judge(
    step: Step,
    surprise: tuple[float, float, float],
    limits: Limits,
    *,
    dictionary: Dictionary,
    expected: Items[tuple[tuple[str, str], float]],
    silent: bool,
) -> Verdict:
    """Judge the newest behavior. `expected`: the most probable instead; `silent`: already told."""
    score = limits.score(surprise)
    if score <= UNUSUAL:
        return Verdict(False, False, score)
    relative = limits.ratios(surprise)
    told = float(relative[0]), float(relative[1:].max())
    return Verdict(True, not silent, score, explain(step, told, dictionary, expected))


def explain(
    step: Step,
    surprise: tuple[float, float],
    dictionary: Dictionary,
    expected: Items[tuple[tuple[str, str], float]],
) -> str:
    """Say in one sentence what was odd and what was expected instead; `surprise` of what and when, comparable."""
    odd = ODD_FIELD["what" if surprise[0] >= surprise[1] else "when"]
    told = f"{_name(step.device, dictionary)} {clean(step.control)} on {DAY_NAMES[step.day]} at {step.hour:02d}h {odd}"
    likely = [
        f"{_name(device, dictionary)} {clean(control)} ({share:.0%})" for (device, control), share in expected[:3]
    ]
    return told + (f"; expected rather {', '.join(likely)}." if likely else ".")


def _name(device: str, dictionary: Dictionary) -> str:
    described = dictionary.devices.get(device)
    return clean(described.name if described else device)
