"""Why a behavior is unusual: what was odd, what was expected instead, when and how often it is usually done."""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from edge.core.behaviors import Behavior
from edge.core.calibration import PARTS
from edge.core.dictionary import Dictionary
from edge.core.habits import Habit, Habits
from edge.core.sequences import Sequence
from edge.core.vocabulary import Vocabulary

Odd = Literal["device", "order", "time", "duration", "flicker"]
DEVICE: Odd = "device"
ORDER: Odd = "order"
TIME: Odd = "time"
DURATION: Odd = "duration"
FLICKER: Odd = "flicker"  # no part of a score: edge/core/flicker.py
Parts = tuple[float, ...]  # in the order of edge/core/calibration.py's PARTS
MOST_EXPECTED = 3
_FIELDS: dict[str, Odd] = {
    "when": TIME, "moment": TIME, "hour": TIME,
    "duration": DURATION, "pace": DURATION, "length": DURATION, "device": DEVICE,
    "order": ORDER,
}  # fmt: skip
SELDOM = 0.5  # times a week under which something is seldom done


@dataclass(frozen=True, slots=True)
class Expected:
    """A behavior that would have been likelier, with its probability in the place of the unusual one."""

    device: str
    name: str
    control: str
    probability: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """One unusual behavior and its why. `time`: seconds since the epoch, `day` and `hour` the home's local ones.

    `odd`: which field; `after`: name and control of what came before, None at the beginning of a run; `habit`: of this
    control; `device_near`: how often the device acted within an hour of this one, on any day; `since`, `usual_since`:
    seconds since the device's own last behavior; `surprise` and `limits`: nats of each part.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(allow_inf_nan=False)

    time: float
    day: Annotated[int, Field(ge=0, le=6)]
    hour: Annotated[int, Field(ge=0, le=23)]
    device: str
    name: str
    control: str
    odd: Odd
    habit: Habit
    device_near: int
    after: tuple[str, str] | None
    since: float | None
    usual_since: float | None
    expected: tuple[Expected, ...]
    model: str
    surprise: Parts
    limits: Parts

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return dict(_ADAPTER.dump_python(self, mode="json"))


_ADAPTER = TypeAdapter(Explanation)


def parse_explanation(text: str) -> Explanation | None:
    """Read what was kept; None for what was kept without one, or in a form of another version."""
    try:
        return _ADAPTER.validate_json(text) if text else None
    except ValidationError:
        return None


def likeliest(
    log_probabilities: NDArray[np.floating], vocabulary: Vocabulary, count: int
) -> list[tuple[tuple[str, str], float]]:
    """Return the likeliest (device id, control) pairs of a model's row of log-probabilities, with theirs."""
    best = np.argsort(-log_probabilities, kind="stable")[:count]
    named = [(vocabulary.control_at(int(row)), float(np.exp(log_probabilities[row]))) for row in best]
    return [(pair, share) for pair, share in named if pair is not None and share > 0]


def seldom(near: int, weeks: float) -> bool:
    """Tell whether what was done `near` times in so many weeks is seldom done."""
    return near < SELDOM * max(weeks, 1.0)


def odd_field(ratios: Items[float], acts: Habit, *, known: bool) -> Odd:
    """Name the odd field. `ratios`: each part over its limit; `acts`: what the device does; `known`: it ever acted.

    What is done surprises because of the device where that seldom acts at this hour, else because of the order.
    """
    part = PARTS[max(range(len(ratios)), key=lambda each: ratios[each])]
    if part == "duration" and not known:
        part = "what"
    return _FIELDS.get(part) or (DEVICE if seldom(acts.near, acts.weeks) else ORDER)


def explain(
    behavior: Behavior,
    steps: Sequence,
    surprise: Parts,
    limits: Parts,
    *,
    habits: Habits,
    dictionary: Dictionary,
    expected: Items[tuple[tuple[str, str], float]],
    model: str,
) -> Explanation:
    """Say why the newest of `steps` is unusual; `habits` hold what was done before it, and not it."""
    step, time = steps[-1], behavior.time
    acts = habits.of(step.device, None, time)
    known = habits.since(step.device, time)
    since = known if step.since is None else step.since
    ratios = [part / limit for part, limit in zip(surprise, limits, strict=True)]
    before = steps[-2] if len(steps) > 1 else None
    instead = [each for each in expected if each[0] != (step.device, step.control)]
    return Explanation(
        time=time,
        day=step.day,
        hour=step.hour,
        device=step.device,
        name=_name(step.device, dictionary),
        control=step.control,
        odd=odd_field(ratios, acts, known=since is not None),
        habit=habits.of(step.device, step.control, time),
        device_near=acts.near,
        after=None if before is None else (_name(before.device, dictionary), before.control),
        since=since,
        usual_since=habits.usual_since(step.device),
        expected=tuple(
            Expected(pair[0], _name(pair[0], dictionary), pair[1], round(share, 4))
            for pair, share in instead[:MOST_EXPECTED]
        ),
        model=model,
        surprise=surprise,
        limits=limits,
    )


def _name(device: str, dictionary: Dictionary) -> str:
    described = dictionary.devices.get(device)
    return described.name if described else device
