"""The whole agent on a real mosquitto: real store, real retraining, real llama.cpp on the shipped model."""

import json
import time

import pytest

from edge.adapt import Outcome
from edge.agent import Agent
from edge.mqtt import Session
from edge.report import ask, roll_back_on_disk, status_of
from edge.requests import Request
from edge.sections import Llm, Model
from edge.store import Store
from tests import homes
from tests.running import Running, settings_for


@pytest.fixture
def settings(broker, tmp_path):
    return settings_for(broker, tmp_path)


def test_a_home_is_lived_learned_adapted_to_and_rolled_back(settings, shipped_llm):
    lived = homes.behaviors(160)
    with Running(settings) as running:
        running.live(lived)
        learned = ask(settings.broker, "learn", {}, 60)
        assert learned["status"] == "ok", learned
        first = learned["data"]["swap"]["to"]
        later = [type(each)(each.time + 90 * 86400, each.device, each.control) for each in lived[:3]]
        running.live(
            [*later, type(later[0])(later[0].time + 86400 - 4 * 3600, "fan1", "state ON")]
        )  # 3 at night, in winter
        running.wait(lambda: running.said("alert"))
        alert = json.loads(running.said("alert")[0].payload)
        assert alert["sentence"]
        assert not running.said("alert")[0].retained

        running.client.publish(f"{settings.broker.prefix}/scene/set", "monsoon")
        running.wait(lambda: running.said("response/adapt"))
        assert "new-device:NAME" in json.loads(running.said("response/adapt")[0].payload)["error"]

        answer = ask(settings.broker, "adapt", {"scene": "spring"}, 120)
        data = answer["data"]
        assert data["llm"]["generated_tokens"] > 0, answer
        assert data["synthetic"]["generated"] == 40
        if "swap" in data:
            assert data["gate"]["accepted"]
            assert data["swap"]["scoring_gap_ms"] < 50
            back = ask(settings.broker, "rollback", {}, 10)
            assert back["data"]["swap"]["to"] == first
        else:
            assert answer["error"]
        expected = [(each.device, each.control) for each in [*lived, *later]]
    store = Store.open(settings.data.directory, read_only=True)
    assert [(each.device, each.control) for each in store.behaviors()][: len(expected)] == expected
    store.close()
    found = status_of(settings)
    assert found["slot"] == first
    assert found["scene"] == "spring"
    assert found["alerts_this_week"] == 0  # by the home's own clock it is still 2025


def test_after_a_restart_everything_is_back(settings):
    with Running(settings) as running:
        running.live(homes.behaviors(100))
        assert ask(settings.broker, "learn", {}, 60)["status"] == "ok"
    away = homes.behaviors(104)[len(homes.behaviors(100)) :]
    sender = Session(settings.broker.model_copy(update={"client_id": "sender"}), lasting=False)
    sender.open()
    assert sender.wait(10)
    for each in away:  # while the agent is away, its session at the broker collects
        sender.publish(f"home/{each.device}", json.dumps({"t": each.time, "control": each.control}))
    time.sleep(0.3)
    sender.close()
    with Running(settings) as running:
        running.wait(lambda: running.agent.store.count() == len(homes.behaviors(104)))
        assert running.agent.watch.model.slot == "0001-winter"
        running.wait(lambda: len(running.agent.watch.window.steps) > 1)  # what is stored is lived a moment later
        assert str(running.agent.jobs.scenery.scene) == "winter"
        running.wait(lambda: len(running.said("behavior")) >= len(away))


def test_a_corrupt_slot_is_told_and_the_previous_one_scores(settings):
    with Running(settings) as running:
        running.live(homes.behaviors(100))
        for _ in range(2):
            assert ask(settings.broker, "learn", {}, 60)["status"] == "ok"
        names = running.agent.jobs.slots.names()
    path = settings.data.directory / "slots" / names[-1] / "parameters.npy"
    path.write_bytes(path.read_bytes()[:-10])
    with Running(settings) as running:
        assert running.agent.watch.model.slot == names[0]
        assert names[-1] in running.agent.jobs.problem
        assert status_of(settings)["slot"] == names[0]


def test_with_no_model_at_all_the_home_is_recorded_and_nothing_alerts(settings, tmp_path):
    broken = settings.model_copy(update={"model": Model(directory=tmp_path / "nowhere")})
    with Running(broken) as running:
        running.live(homes.behaviors(4))
        assert "no model to score with" in running.agent.jobs.problem
        assert not running.said("alert")
        answer = ask(settings.broker, "learn", {}, 10)
        assert "no model to score with" in answer["error"]


def test_a_first_model_is_learned_when_enough_days_have_passed(settings):
    soon = settings.model_copy(update={"model": Model(learn_after_days=14.0)})
    with Running(soon) as running:
        running.live(homes.behaviors(100))
        running.wait(lambda: running.agent.watch.model is not None, 60)


def test_nobody_answers_and_the_slots_on_disk_are_rolled_back(settings):
    assert ask(settings.broker, "rollback", {}, 1.0) is None
    with Running(settings) as running:
        running.live(homes.behaviors(100))
        for _ in range(2):
            ask(settings.broker, "learn", {}, 60)
    assert roll_back_on_disk(settings) == "0001-winter"


@pytest.mark.parametrize("shipped", [False, True])
def test_without_a_whole_language_model_the_adaptation_is_abandoned_and_scoring_goes_on(settings, tmp_path, shipped):
    if shipped:  # the one in use is damaged
        folder = settings.data.directory / "models/behavior-lm/9"
        folder.mkdir(parents=True)
        (folder.parent.parent / "current.json").write_text('{"behavior-lm": {"version": 9, "over": 2}}')
        (folder / "a.gguf").write_bytes(b"GGUF damaged")
        (folder / "manifest.json").write_text('{"files": {"a.gguf": {"sha256": "0"}}}')
    else:
        settings = settings.model_copy(update={"llm": Llm(file=tmp_path / "missing.gguf")})
    with Running(settings) as running:
        running.live(homes.behaviors(100))
        assert ask(settings.broker, "learn", {}, 60)["status"] == "ok"
        answer = ask(settings.broker, "adapt", {"scene": "spring"}, 30)
        assert "a.gguf is not the file" in answer["error"] if shipped else "missing.gguf" in answer["error"]
        running.live(homes.behaviors(104)[len(homes.behaviors(100)) :])
        running.wait(lambda: running.said("behavior"))


def test_a_restart_within_a_sequence_takes_it_up_and_repeats_no_alert(settings):
    lived = homes.behaviors(100)
    odd = [type(lived[0])(lived[-1].time + 30 * 3600 + n, "fan1", "state ON") for n in range(3)]
    with Running(settings) as running:
        running.live(lived)
        assert ask(settings.broker, "learn", {}, 60)["status"] == "ok"
        running.live(odd[:2])
        running.wait(lambda: running.said("alert"))
    with Running(settings) as running:
        assert len(running.agent.watch.window.steps) == 2
        running.live(odd[2:])
        running.wait(lambda: running.said("behavior"))
        assert not running.said("alert")
        assert len(running.agent.store.alerts()) == 1


def test_an_unexpected_error_in_the_slow_loop_ends_the_agent(settings):
    agent = Agent(settings)
    agent.jobs._begin(Request("learn"), lambda: Outcome(None, {"x": 1 / 0}))
    agent.jobs._work._job[1].exception(10)
    with pytest.raises(ZeroDivisionError):
        agent.jobs.tick()
    agent.close()


def test_nonsense_on_the_request_topics_is_counted_and_harmless(settings):
    with Running(settings) as running:
        prefix = settings.broker.prefix
        for payload in (b"\xff", b"{", b"[1]", b"x" * 300_000, b'{"scene": 7}'):
            running.client.publish(f"{prefix}/request/adapt", payload)
            running.client.publish(f"{prefix}/request/explode", payload)
        running.live(homes.behaviors(2))
        running.wait(lambda: sum(running.agent.store.counters().values()) >= 7)
        assert running.thread.is_alive()
