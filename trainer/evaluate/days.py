"""The days of a timeline that are learned and those that are judged, with anomalies to find in them."""

from collections.abc import Sequence as Items
from dataclasses import dataclass
from datetime import date

from edge.core.behaviors import Behavior
from edge.core.errors import SettingsError
from edge.core.prompts import Pair
from edge.synthesis import Home
from trainer.evaluate.injections import Injection, Injector
from trainer.evaluate.past import Past, local
from trainer.evaluate.replay import Lived
from trainer.evaluate.timelines import Timeline, home_of, known


@dataclass(frozen=True)
class Days:
    """What is learned and what is judged. `kept`: the controls of the training days a model has room for.

    `unseen`: test behaviors of other controls. `left_out`: those of them there was no room for; an owner excludes
    them in the settings, so no loop hears them. `count`: days that are judged.
    """

    home: Home
    kept: frozenset[Pair]
    past: Past
    test: Lived
    injected: tuple[Injection, ...]
    trained: int
    count: int
    unseen: int
    left_out: tuple[Pair, ...]

    @classmethod
    def of(cls, timeline: Timeline, train: tuple[date, date], test: tuple[date, date], seed: int) -> "Days":
        """Cut the days out of a timeline, each span up to its second date; raises SettingsError for an empty one."""
        learned, tested = (timeline.between(*span) for span in (train, test))
        for name, some, span in (("train", learned, train), ("test", tested, test)):
            if not some:
                first, last = (local(timeline.behaviors[place].time, timeline.zone).date() for place in (0, -1))
                raise SettingsError(
                    f"nothing to {name} on from {span[0]} until {span[1]}: the timeline is of {first} to {last}"
                )
        kept = known(learned)
        crowded = {(each.device, each.control) for each in learned} - kept

        def heard(some: Items[Behavior]) -> list[Behavior]:
            return [each for each in some if (each.device, each.control) not in crowded]

        trained, lived = heard(learned), heard(tested)
        before = heard(timeline.behaviors[: timeline.place(test[0])])
        past = Past.of(trained, timeline.zone)
        first, last = (local(tested[place].time, timeline.zone).date() for place in (0, -1))
        return cls(
            home=home_of(trained, timeline.zone),
            kept=kept,
            past=past,
            test=Lived.after(before, lived, timeline.zone),
            injected=tuple(Injector(past, lived, timeline.zone, seed).drawn()),
            trained=len(trained),
            count=(last - first).days + 1,
            unseen=sum((each.device, each.control) not in kept for each in tested),
            left_out=tuple((e.device, e.control) for e in tested if (e.device, e.control) in crowded),
        )
