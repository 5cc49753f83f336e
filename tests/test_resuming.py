"""A swap that was broken off behind its pointer is ended at the next start."""

from dataclasses import asdict

from edge.report import ask
from edge.resuming import TAKEN_IN
from edge.slots import Slots
from edge.store import Store
from tests import homes
from tests.running import Running, settings_for


def adapted(slots, scene):
    """Move the pointer to a slot that was adapted, as the slow loop does, and end there."""
    manifest, parameters = slots.load(slots.current())
    name = slots.write(manifest.model_copy(update={"scene": scene, "origin": "adapted"}), parameters)
    slots.promote(name)
    return name


def test_a_model_that_was_not_taken_in_is_on_probation_and_the_home_in_its_scene(broker, tmp_path):
    settings = settings_for(broker, tmp_path)
    with Running(settings) as running:
        running.live(homes.behaviors(100))
        assert ask(settings.broker, "learn", {}, 300)["status"] == "ok"
        first = running.agent.watch.model.slot
        assert running.agent.store.fact(TAKEN_IN) == first
    name = adapted(Slots(settings.data.directory / "slots"), "spring")
    for _ in range(2):  # once is enough
        with Running(settings) as running:
            agent = running.agent
            assert (agent.watch.model.slot, agent.watch.shadow.slot) == (name, first)
            assert str(agent.jobs.scenery.scene) == "spring"
            assert agent.status()["probation"]
            swaps = [each.report["swap"] for each in agent.store.adaptations()]
            assert swaps[1:] == [{"from": first, "to": name}]


def test_a_pointer_that_was_moved_by_hand_is_no_broken_off_swap(broker, tmp_path):
    settings = settings_for(broker, tmp_path)
    with Running(settings) as running:
        running.live(homes.behaviors(100))
        assert ask(settings.broker, "learn", {}, 300)["status"] == "ok"
    slots = Slots(settings.data.directory / "slots")
    adapted(slots, "spring")
    store = Store.open(settings.data.directory)
    store.set_fact(TAKEN_IN, slots.current())
    before = [asdict(each) for each in store.adaptations()]
    store.close()
    first = slots.rollback()
    with Running(settings) as running:
        assert running.agent.watch.model.slot == first
        assert running.agent.watch.shadow is None
        assert [asdict(each) for each in running.agent.store.adaptations()] == before
        assert running.agent.store.fact(TAKEN_IN) == first
