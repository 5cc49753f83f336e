"""A swap that the end of the process broke off is ended: its pointer had moved, what goes with it had not.

Which model was taken in whole is a fact, written last. Where the slots name another one that was just adapted, the home
is in its scene and the model on probation, as if nothing had happened.
"""

from edge.core.errors import ArtifactError
from edge.core.scenes import Scene
from edge.learning import Learning, Model
from edge.probation import Probation
from edge.scenery import Facts, Scenery
from edge.slots import Slots
from edge.store import Store
from edge.watch import Watch

TAKEN_IN = "taken_in"  # the fact: the slot that was taken in last


def taken_in(facts: Facts, model: Model | None) -> None:
    """Keep that all that goes with the swap to a model is done."""
    if model is not None:
        facts.set_fact(TAKEN_IN, model.slot)


def resume(
    watch: Watch, slots: Slots, store: Store, *, probation: Probation, scenery: Scenery, slow: Learning, now: float
) -> None:
    """End a swap that was broken off, if one was. `now`: the home's, seconds since the epoch."""
    model, taken = watch.model, store.fact(TAKEN_IN, None)
    if model is None or taken == model.slot:
        return
    if isinstance(taken, str) and _adapted(model.slot, taken, slots):
        try:
            watch.shadow = slow.open(taken)
            probation.begin(taken, now)
        except ArtifactError:
            watch.shadow = None  # the model before is not healthy: there is nothing to compare with
        scenery.settle(Scene.parse(model.scene), now)
        report = {"scene": {"to": model.scene}, "swap": {"from": taken, "to": model.slot}, "broken_off": True}
        store.add_adaptation(now, str(scenery.scene), report)
    taken_in(store, model)


def _adapted(slot: str, before: str, slots: Slots) -> bool:
    """Tell whether a slot is the newest, adapted from another; one that was lived with before needs no probation."""
    return slots.previous() == before and slots.names()[-1] == slot and slots.load(slot)[0].origin == "adapted"
