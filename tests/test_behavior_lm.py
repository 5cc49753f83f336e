"""The behavior language model: what it learns from, its network, its training and the files that ship."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.core.replies import read_reply
from edge.core.scenes import Scene

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")
pytest.importorskip("gguf")

from trainer import behavior_lm, gguf_export, induction, model_card, tokenizer  # noqa: E402
from trainer.batches import Supply, row, stack  # noqa: E402
from trainer.corpus import Population  # noqa: E402
from trainer.homes.home import Home  # noqa: E402
from trainer.lessons import COPYING, EDITING, RARITIES, draw_source, draw_target, rarities  # noqa: E402
from trainer.network import Network, Shape, mask_of  # noqa: E402
from trainer.training import Training, reply_loss  # noqa: E402

SHIPPED = Path(__file__).parent.parent / "models" / "behavior-lm" / "2"
SMALL = Population(3)


@pytest.fixture(scope="module")
def samples():
    return [sample for number in range(40) if (sample := SMALL.sample(number, EDITING, 8))]


@pytest.fixture(scope="module")
def words(samples):
    texts = [sample.prefix for sample in samples]
    texts += [sample.asked(each) + sample.answered(each) for sample in samples for each in sample.requests]
    return tokenizer.train(texts, 700)


@pytest.fixture
def network(words):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return Network(Shape(words.get_vocab_size(), layers=2))


def test_a_sample_is_made_again_from_its_number():
    assert SMALL.sample(4, EDITING, 5) == SMALL.sample(4, EDITING, 5)
    assert SMALL.sample(4, EDITING, 5) != Population(3, held_out=True).sample(4, EDITING, 5)


def test_every_reply_reads_back(samples):
    for sample in samples:
        for request in sample.requests:
            lines = sample.answered(request).splitlines()
            assert read_reply(lines[0], request.sequence, sample.labels) == request.reply
            assert len(lines) == 1 + request.explained


def test_what_joins_takes_part_and_nothing_else_is_new(samples):
    requests = [(sample, request) for sample in samples for request in sample.requests]
    joined = [(sample, request) for sample, request in requests if request.joining]
    assert len(joined) > len(requests) / 5
    for sample, request in joined:
        device = request.joining[0][0]
        done = {(step.device, step.control) for step in request.reply if step.device == device}
        assert done
        assert done <= set(request.joining)
        rest = {(step.device, step.control) for step in request.reply if step.device != device}
        assert rest <= set(sample.told)


def test_a_sequence_can_be_written_from_the_home_alone(samples):
    written = [request for sample in samples for request in sample.requests if not request.sequence]
    assert written
    assert all(request.reply for request in written)


def test_the_most_usual_behaviors_are_the_head(samples):
    sequences = samples[0].habits * 3
    found = rarities([*sequences, *(each[:1] for each in sequences)])
    assert set(found.values()) <= set(range(len(RARITIES)))
    assert 0 in found.values()


def test_the_same_sequence_is_asked_for_in_several_scenes(samples):
    asked = [{(request.sequence, request.target) for request in sample.requests} for sample in samples]
    assert sum(len(each) > len({sequence for sequence, _ in each}) for each in asked) > len(samples) / 2


def test_targets_change_what_the_source_says():
    rng = np.random.default_rng(0)
    home = Home.draw(1)
    for _ in range(200):
        source = draw_source(rng)
        assert draw_target(source, home, rng) != source
        assert Scene.parse(str(source)) == source if str(source) != "home" else source == Scene()


def test_a_request_sees_the_prefix_and_itself(samples, words):
    tokens, positions, groups, learned, rarity = row(samples[0], words, 700)
    batch = stack([(tokens, positions, groups, learned, rarity)], len(tokens) + 3)
    mask = mask_of(batch.groups)[0, 0]
    last = len(tokens) - 1
    seen = {groups[place] for place in range(len(tokens)) if mask[last, place]}
    assert seen == {0, groups[last]}
    assert not torch.triu(mask, 1).any()
    first = groups.index(1)
    assert {positions[groups.index(each)] for each in set(groups) - {0}} == {first}  # what did not fit is not there
    assert learned[-1]
    assert not any(learned[:first])


@torch.no_grad()
def test_a_packed_request_costs_what_it_costs_alone(samples, words, network):
    sample = next(each for each in samples if len(each.requests) > 3)
    induction.plant(network)
    together = reply_loss(network, stack([row(sample, words, 2000)], 2000))
    total = tokens = 0.0
    for request in sample.requests:
        packed = row(replace(sample, requests=(request,)), words, 2000)
        size = sum(packed[3])
        total += float(reply_loss(network, stack([packed], len(packed[0])))) * size
        tokens += size
    assert float(together) == pytest.approx(total / tokens, rel=0.02)


def test_the_planted_start_copies(words, network):
    supply = Supply(SMALL, words, 2, 256)
    with torch.no_grad():
        blank = float(reply_loss(network, supply.batch(0, COPYING)))
        induction.plant(network)
        planted = float(reply_loss(network, supply.batch(0, COPYING)))
    assert planted < 0.5 * blank


def test_a_resumed_run_is_the_run_it_continues(words, tmp_path):
    supply = Supply(SMALL, words, 2, 256)

    def training(folder, steps, start):
        torch.manual_seed(start)
        (tmp_path / folder).mkdir(exist_ok=True)
        return Training(Network(Shape(words.get_vocab_size(), layers=2)), supply, tmp_path / folder, steps)

    whole = training("whole", 4, 0)
    whole.run()
    training("parts", 2, 0).run()
    rest = training("parts", 4, 1)
    rest.resume()
    assert rest.course.step == 2
    rest.run()
    assert rest.course.losses == pytest.approx(whole.course.losses, abs=1e-3)


def test_training_learns(words, tmp_path):
    # The loss of a step is on another batch than the step before: a few at each end are compared, not two.
    torch.manual_seed(0)
    network = Network(Shape(words.get_vocab_size(), layers=2))
    training = Training(network, Supply(SMALL, words, 2, 512), tmp_path, 16)
    training.run()
    losses = training.course.losses
    assert sum(losses[-4:]) / 4 < sum(losses[:4]) / 4


def test_llama_cpp_reads_the_export_as_torch_does(words, network, samples, tmp_path):
    pytest.importorskip("llama_cpp")
    induction.plant(network)
    path = tmp_path / "tiny.gguf"
    gguf_export.write(network, words, path, "tiny")
    sample = samples[0]
    texts = [sample.prefix + sample.asked(sample.requests[0]), "Zibö kläq_9:  state ON|OFF\n\n### 漢字;"]
    found = gguf_export.verify(network, words, path, texts)
    assert found["argmax_agreement"] > 0.98
    with torch.no_grad():
        network.layers[0].attention.key.weight.mul_(-1)
        network.head.weight.mul_(-1)
    with pytest.raises(ValueError, match="disagree"):
        gguf_export.verify(network, words, path, texts)


def test_the_shipped_model_is_what_its_manifest_says():
    manifest = json.loads((SHIPPED / "manifest.json").read_text())
    assert sum(entry["bytes"] for entry in manifest["files"].values()) <= 8_000_000
    for name, entry in manifest["files"].items():
        assert hashlib.sha256((SHIPPED / name).read_bytes()).hexdigest() == entry["sha256"]
    assert manifest["conditioning"]["wrong_scene"] - manifest["conditioning"]["right"] > 0.3
    assert all(tried["valid_replies"] == 1.0 for tried in manifest["generation"].values())


def test_the_card_gives_the_command_and_every_figure():
    manifest = json.loads((SHIPPED / "manifest.json").read_text())
    card = model_card.text({**manifest, "size": "small"})
    steps = manifest["training"]["steps"]
    assert f"`sceneshift-trainer behavior-lm --size small --steps {steps} --seed {manifest['seed']}`" in card
    tried = next(iter(manifest["generation"].values()))
    assert all(f"| {name} | " in card for name in (*manifest["conditioning"], *tried))
    assert "--size nano" in model_card.text({key: value for key, value in manifest.items() if key != "size"})


def test_a_training_begins_the_same_from_the_same_seed(words, tmp_path):
    shape = {"layers": 2}
    one, other = (behavior_lm.begin(tmp_path / name, shape, words, SMALL, 3) for name in ("one", "other"))
    weights = zip(one.network.parameters(), other.network.parameters(), strict=True)
    assert all(torch.equal(*each) for each in weights)
    assert not one.checkpoint.exists()


def test_the_shipped_model_cuts_text_as_its_tokenizer_does():
    llama_cpp = pytest.importorskip("llama_cpp")
    from gguf import GGUFReader
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    path = next(SHIPPED.glob("*q8_0.gguf"))
    fields = GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    ours = Tokenizer(models.BPE({token: place for place, token in enumerate(tokens)}, merges))
    ours.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    ours.decoder = decoders.ByteLevel()
    model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    for sample in (SMALL.sample(number, EDITING, 4) for number in range(12)):
        for text in [sample.prefix, *map(sample.asked, sample.requests), *map(sample.answered, sample.requests)]:
            assert model.tokenize(text.encode()) == [1, *ours.encode(text).ids]
