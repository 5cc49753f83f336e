"""Which model is used: a slot keeps the graphs it was learned on; what is installed is learned on next."""

import hashlib
import json
import shutil
import threading

import numpy as np
import onnx
import pytest

from edge import compose, doctor
from edge.adapt import Plan
from edge.catalog import Models
from edge.core.errors import ArtifactError
from edge.core.scenes import Scene
from edge.install import install
from edge.report import ask
from edge.sections import Adapt, Data
from edge.settings import Settings
from edge.slots import Slots, shipped
from edge.synthesis import Home
from edge.trust import trusted
from tests import homes
from tests.running import Running, settings_for
from trainer.bundle import new_keys, pack, signing_key

LIVED = Home(homes.HOME, tuple(homes.sequences(80)), weeks=4.0)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """A detector that is no like of what ships: its scoring graph halves what it says of times."""
    folder = tmp_path_factory.mktemp("bundle")
    shutil.copytree(shipped("detector"), folder / "model")
    graph = onnx.load(folder / "model/score.onnx", load_external_data=False)
    said = next(each for each in graph.graph.output if each.name == "when")
    for node in graph.graph.node:
        node.output[:] = ["when_whole" if name == "when" else name for name in node.output]
        node.input[:] = ["when_whole" if name == "when" else name for name in node.input]
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.array(0.5, np.float32), "half"))
    graph.graph.node.append(onnx.helper.make_node("Mul", ["when_whole", "half"], [said.name]))
    content = graph.SerializeToString()
    (folder / "model/score.onnx").write_bytes(content)
    manifest = json.loads((folder / "model/manifest.json").read_bytes())
    manifest["version"] = 3
    manifest["files"]["score.onnx"] = hashlib.sha256(content).hexdigest()
    (folder / "model/manifest.json").write_text(json.dumps(manifest))
    secret, public = new_keys(folder)
    pack([folder / "model"], signing_key(secret), folder / "new.bundle", created=1.8e9)
    return folder / "new.bundle", trusted(None, public)


def test_installed_models_are_bounded_and_none_that_is_needed_goes(tmp_path):
    models = Models(tmp_path)
    for name, versions in (("detector", range(3, 10)), ("behavior-lm", [5])):
        for version in versions:
            (tmp_path / name / str(version)).mkdir(parents=True)
    (tmp_path / "current.json").write_text(models.choosing({"detector": 9, "behavior-lm": 5}))
    models.prune({("detector", 4), ("another", 5)})
    assert sorted(path.name for path in (tmp_path / "detector").iterdir()) == ["4", "8", "9"]
    assert models.used("behavior-lm") == tmp_path / "behavior-lm/5"
    assert models.prune(()) == [tmp_path / "detector/4"]
    assert models.prune(()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["behavior-lm", "current.json", "detector"]
    assert Models(tmp_path / "none").prune(()) == []
    (tmp_path / "current.json").write_text("{")
    with pytest.raises(ArtifactError, match="current"):
        models.prune(())


def slow_loop(data, slots):
    settings = Settings(data=Data(directory=data), adapt=Adapt(steps=30))
    return compose.slow_loop(settings, slots, threading.Event(), Plan())


def test_a_slot_scores_as_it_did_and_the_next_one_is_learned_on_what_was_installed(tmp_path, bundle):
    slots = Slots(tmp_path / "slots")
    before = slow_loop(tmp_path, slots)
    model = before.learn(LIVED, Scene(), 0.0).model
    assert model.base == ("detector", 2)
    assert not before.outgrown(model)
    models = Models.beside(tmp_path)
    install(bundle[0], models, bundle[1], 1.8e9)
    after = slow_loop(tmp_path, slots)
    same = after.open(model.slot)
    assert same.base == ("detector", 2)
    assert after.outgrown(same)
    for old, new in zip(model.scorer.surprise(LIVED.sequences), same.scorer.surprise(LIVED.sequences), strict=True):
        np.testing.assert_array_equal(old, new)

    manifest, parameters = slots.load(model.slot)
    mistaken = after._base.scorer_of(parameters, manifest.vocabulary).surprise(LIVED.sequences[:1])[0]
    assert not np.allclose(mistaken, same.scorer.surprise(LIVED.sequences[:1])[0])  # it would have gone unnoticed

    outcome = after.learn(LIVED, Scene(), 1.0, same)
    assert "gate" in outcome.report
    fresh = after.learn(LIVED, Scene(), 1.0).model
    assert fresh.base == ("detector", 3)
    assert not after.outgrown(fresh)
    assert slots.load(fresh.slot)[0].model_version == 3
    assert after.open(fresh.slot).scorer.surprise(LIVED.sequences[:3])[0].tolist() == (
        fresh.scorer.surprise(LIVED.sequences[:3])[0].tolist()
    )

    shutil.rmtree(models.installed)  # and what is no longer there is not guessed at
    with pytest.raises(ArtifactError, match="detector 3 is not here: install its bundle"):
        slow_loop(tmp_path, slots).open(fresh.slot)
    assert slow_loop(tmp_path, slots).open(model.slot).base == ("detector", 2)


def test_what_broke_after_it_was_installed_is_told_with_its_mend(tmp_path, bundle):
    models = Models.beside(tmp_path)
    install(bundle[0], models, bundle[1], 1.8e9)
    settings = Settings(data=Data(directory=tmp_path))
    assert doctor.model(settings).detail == "detector 3"
    (models.used("detector") / "score.onnx").write_bytes(b"rotten")
    found = doctor.model(settings)
    assert not found.ok
    assert "sceneshift install" in found.mend
    with pytest.raises(ArtifactError, match=r"score\.onnx is not the file"):
        slow_loop(tmp_path, Slots(tmp_path / "slots"))


def test_at_its_next_start_the_agent_learns_on_what_was_installed(broker, tmp_path, bundle):
    settings = settings_for(broker, tmp_path)
    settings = settings.model_copy(update={"adapt": settings.adapt.model_copy(update={"steps": 30})})
    with Running(settings) as running:
        running.live(homes.behaviors(80))
        first = ask(settings.broker, "learn", {}, 60)["data"]["swap"]["to"]
    install(bundle[0], Models.beside(settings.data.directory), bundle[1], 1.8e9)
    with Running(settings) as running:
        assert running.agent.watch.model.slot == first
        running.wait(lambda: running.agent.jobs.outcomes)
        report = running.agent.jobs.last_report
    assert "gate" in report
    slots = Slots(settings.data.directory / "slots")
    if "swap" in report:
        assert slots.load(report["swap"]["to"])[0].model_version == 3
    else:
        assert slots.current() == first
