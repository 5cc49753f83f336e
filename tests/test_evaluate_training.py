"""Training compared: the recall of the next behavior, robust shares, few homes, and two tiny runs to the end."""

import json
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from trainer import behavior_lm, conditioning, tokenizer  # noqa: E402
from trainer.batches import ATTEMPTS  # noqa: E402
from trainer.conditioning import Told, contexts, foretold, held_out, recall, spans  # noqa: E402
from trainer.corpus import Population  # noqa: E402
from trainer.evaluate import training  # noqa: E402
from trainer.evaluate.training import PLANS, Plan, Wanted, run  # noqa: E402
from trainer.homes.home import Home  # noqa: E402
from trainer.lessons import EDITING, RARITIES  # noqa: E402
from trainer.network import Network, Shape  # noqa: E402
from trainer.training import Robust  # noqa: E402

NARROW = {"width": 128, "layers": 2, "heads": 8, "groups": 4, "inner": 64}


@pytest.fixture(scope="module")
def samples():
    return held_out(0, 4)


@pytest.fixture(scope="module")
def words(samples):
    texts = [sample.prefix for sample in samples]
    texts += [sample.asked(each) + sample.answered(each) for sample in samples for each in sample.requests]
    return tokenizer.train(texts, 600)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# ---- the recall of the next behavior


def cut(text: str, size: int) -> list[tuple[int, int]]:
    return [(at, min(at + size, len(text))) for at in range(0, len(text), size)]


def test_a_behavior_is_its_own_tokens():
    text = "Mon 07 Lamp:on; Fan:off\nwhy Fan joins: night\n"
    assert [[text[at] for at in each] for each in spans(text, cut(text, 1))] == [
        list("Mon 07 Lamp:on"),
        list("Fan:off"),
    ]
    assert spans("nothing\n", [(0, 7), (7, 8)]) == []


def test_a_token_that_reaches_into_a_behavior_is_its_own():
    text = "a; Fan\n"
    assert spans(text, [(0, 1), (1, 2), (2, 4), (4, 6), (6, 7)]) == [[0], [2, 3]]


def test_recall_by_hand():
    lamp, fan = ("1", "on"), ("2", "on")
    told = [Told(0, lamp, 0, True), Told(0, lamp, 0, True), Told(0, lamp, 1, False), Told(0, fan, 2, False),
            Told(1, lamp, 0, True)]  # fmt: skip
    found = recall(told)
    assert found["weighted_recall"] == pytest.approx(3 / 5)
    assert found["macro_recall"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert (found["head_recall"], found["middle_recall"], found["tail_recall"]) == (1.0, 0.0, 0.0)


class Knowing(torch.nn.Module):
    """Foretells the token that follows, where it is not told to miss one."""

    def __init__(self, size, missed=-1):
        super().__init__()
        self.size, self.missed = size, missed

    def forward(self, tokens, positions, mask):
        following = torch.cat([tokens[:, 1:], tokens[:, :1]], dim=1)
        return torch.where(following == self.missed, 0, following)

    def logits(self, states):
        return torch.nn.functional.one_hot(states, self.size)


def test_the_groups_add_up(samples, words):
    told = foretold(Knowing(words.get_vocab_size()), words, samples)
    found = recall(told)
    behaviors = sum(len(request.reply) for sample in samples for request in sample.requests)
    assert 0 < found["weighted_behaviors"] <= behaviors
    assert found["weighted_recall"] == found["macro_recall"] == 1.0
    assert sum(found[f"{name}_behaviors"] for name in RARITIES) == found["weighted_behaviors"]


def test_one_token_missed_is_a_behavior_missed(samples, words):
    request = next(each for sample in samples for each in sample.requests if each.reply)
    sample = next(each for each in samples if request in each.requests)
    text = sample.answered(request)
    cuts = words.encode(text)
    missed = cuts.ids[spans(text, cuts.offsets)[0][-1]]
    told = foretold(Knowing(words.get_vocab_size(), missed), words, samples)
    found = recall(told)
    assert found["weighted_recall"] < 1.0
    present = [name for name in RARITIES if f"{name}_recall" in found]
    right = sum(found[f"{name}_recall"] * found[f"{name}_behaviors"] for name in present)
    assert right == pytest.approx(found["weighted_recall"] * found["weighted_behaviors"])


def test_a_wrong_context_is_asked_for_the_same_replies(samples):
    asked = contexts(samples)
    right, sequence = asked["right"], asked["other_sequence"]
    for mine, scene, other, home in zip(right, asked["wrong_scene"], sequence, asked["other_home"], strict=True):
        assert mine.requests == scene.requests == other.requests == home.requests
        assert mine.prefix == scene.prefix == other.prefix != home.prefix
        for request in mine.requests:
            assert mine.answered(request) == scene.answered(request) == other.answered(request)
            assert mine.asked(request) == home.asked(request) != scene.asked(request)
    changed = [
        one.asked(each) != two.asked(each) for one, two in zip(right, sequence, strict=True) for each in one.requests
    ]
    assert sum(changed) > len(changed) / 2


def test_a_scene_that_removes_a_device_is_an_axis(samples):
    request = samples[0].requests[0]
    gone = replace(request, target=replace(request.source, removed_device="Fan"))
    assert conditioning.axis(gone) == "removed_device"


# ---- robust training, few homes


def test_robust_training_moves_towards_the_worse_group():
    shares = [1 / 3] * 3
    robust = Robust(shares)
    losses, group = torch.tensor([0.5, 0.5, 2.0, 2.0]), torch.tensor([0, 0, 2, 2])
    before = float(robust.loss(losses, torch.ones(4), group))
    for _ in range(20):
        after = float(robust.loss(losses, torch.ones(4), group))
    assert shares[2] > 1 / 3 > shares[0]
    assert sum(shares) == pytest.approx(1.0)
    assert after > before
    assert 0.5 < before < after < 2.0


def test_a_population_of_two_homes_draws_two(monkeypatch):
    drawn = set()
    draw = Home.draw

    def told(seed):
        drawn.add(seed)
        return draw(seed)

    monkeypatch.setattr(Home, "draw", staticmethod(told))
    population = Population(3, homes=2)
    for row in range(12):  # as batches draw them
        population.sample(row * ATTEMPTS, EDITING, 4)
    assert len(drawn) == 2


def test_the_sizes_are_what_they_say():
    for name, least, most in (("tiny", 0.7e6, 0.9e6), ("nano", 3e6, 3.3e6), ("medium", 7e6, 8.5e6)):
        network = Network(Shape(tokenizer.VOCABULARY, **PLANS[name].shape))
        assert least < sum(weight.numel() for weight in network.parameters()) < most


# ---- two runs to the end


@pytest.fixture
def wanted(words, tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    words.save(str(folder / "tokenizer.json"))
    return Wanted(steps=2, json=tmp_path / "training.json", folder=folder, held_out=2)


def test_two_runs_are_trained_once_and_told(wanted, monkeypatch, capsys):
    monkeypatch.setattr(behavior_lm, "ROWS", 2)
    plans = {"nano": Plan(NARROW), "nano-robust": Plan(NARROW, homes=30, robust=True)}
    found = run(wanted, plans)
    assert found == json.loads(wanted.json.read_text())["runs"]
    assert found.keys() == plans.keys()
    assert (found["nano"]["homes"], found["nano-robust"]["robust"]) == (14, True)
    assert found["nano"]["loss"]["seeds"] == 1
    assert {"wrong_scene_minus_right", "other_home_minus_right", "weighted_recall", "macro_recall"} <= set(
        found["nano"]
    )
    assert wanted.json.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert "macro_recall" in capsys.readouterr().out

    monkeypatch.setattr(training, "train", None)  # nothing is trained again
    assert run(wanted, plans) == found


def test_a_run_stopped_before_its_figures_goes_on(wanted, words, monkeypatch):
    monkeypatch.setattr(behavior_lm, "ROWS", 2)
    begun = behavior_lm.begin(wanted.folder / "nano" / "2-0", NARROW, words, Population(0), 2)
    begun.run()
    found = run(wanted, {"nano": Plan(NARROW)})
    assert found["nano"]["tokens"]["mean"] == begun.course.tokens


def test_an_unknown_run_is_named(wanted):
    with pytest.raises(training.SettingsError, match="no run is called 'huge'"):
        run(Wanted(only=("huge",), folder=wanted.folder))
