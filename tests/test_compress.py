"""Which sequences are kept: the choice shared by hub and host, the rules, tokens, and the command."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from edge.core import compress as light
from edge.core.errors import ArtifactError, EdgeError, RetrainError, SettingsError
from edge.core.sequences import Step
from tests import homes
from trainer.cli import app
from trainer.sppc import compression, rules, tokens
from trainer.sppc.compression import Asked, compress

LIVED = homes.sequences(60)
ALL_RULES = {**rules.RULES, **rules.BASELINES}


def known(sequences, seed=0, importance=None):
    """What a rule sees, with encodings that are what the sequences say."""
    rng = np.random.default_rng(seed)
    said = {pair: number for number, pair in enumerate(homes.PAIRS)}
    states = np.zeros((len(sequences), len(said)))
    for row, sequence in enumerate(sequences):
        for step in sequence:
            states[row, said[step.device, step.control]] += 1
    found = rng.random(len(sequences)) if importance is None else importance
    return rules.Known(sequences, found, np.array([3 * len(each) for each in sequences]), states, seed)


# ---- the choice (edge/core/compress.py)

some = st.lists(st.sampled_from(LIVED), min_size=1, max_size=60)


@given(some, st.integers(1, 200), st.integers(0, 9))
def test_what_is_kept_costs_at_most_the_budget_and_more_of_it_is_better(sequences, budget, seed):
    rng = np.random.default_rng(seed)
    costs = np.array([3 * len(each) + 2 for each in sequences])
    price = dict(zip(sequences, costs.tolist(), strict=True))
    kept = light.compress(sequences, rng.random(len(sequences)), budget, costs)
    assert sum(price[each.sequence] for each in kept) <= budget
    assert bool(kept) == (min(costs) <= budget)
    left = budget - sum(price[each.sequence] for each in kept)
    assert all(price[each] > left for each in set(sequences) - {one.sequence for one in kept})
    assert {each.reason for each in kept} <= {light.COVERAGE, light.USUAL, light.ODD}


@given(some, st.integers(0, 9))
@settings(max_examples=40)
def test_the_lazy_choice_is_the_greedy_one(sequences, seed):
    distinct = list(dict.fromkeys(sequences))
    rng = np.random.default_rng(seed)
    near = light.nearness(distinct)
    count, nats, cost = (
        rng.integers(1, 9, len(distinct)) * 1.0,
        rng.random(len(distinct)),
        rng.random(len(distinct)) + 1,
    )
    weight, left, best, wanted = count * np.sqrt(nats + 1e-6), 6.0, np.zeros(len(distinct)), []
    while True:
        can = [row for row in range(len(distinct)) if row not in wanted and cost[row] <= left]
        if not can:
            break
        worth = {row: float(np.maximum(near[row] - best, 0) @ weight) / cost[row] ** light.BULK for row in can}
        row = max(worth, key=lambda each: worth[each])
        if worth[row] < 1e-5:  # nothing more to bring: any order will do
            break
        wanted.append(row)
        best, left = np.maximum(best, near[row]), left - cost[row]
    assert light.choose(near, count, nats, cost, 6.0)[: len(wanted)] == wanted


def test_nearness_is_that_of_what_is_said():
    morning = (homes.step(0, 7, 0), homes.step(0, 7, 2))
    later = tuple(replace(step, hour=8) for step in morning)
    sunday = tuple(replace(step, day=6) for step in morning)
    other = (homes.step(0, 18, 4), homes.step(0, 19, 5))
    near = light.nearness([morning, later, sunday, other])
    assert np.allclose(np.diag(near), 1)
    assert np.array_equal(near, near.T)
    assert 1 > near[0, 2] > near[0, 1] > near[0, 3] >= 0


def test_the_usual_and_the_odd_are_both_kept():
    """Twenty usual mornings, twenty usual evenings and one odd night: three sequences stand for them."""
    morning, evening = (homes.step(0, 7, 0), homes.step(0, 7, 2)), (homes.step(0, 18, 0), homes.step(0, 21, 1))
    night = (homes.step(0, 3, 6), homes.step(0, 3, 7))
    sequences = [morning, evening] * 20 + [night]
    kept = light.compress(sequences, np.array([0.1] * 40 + [4.0]), 3)
    assert {each.sequence: each.count for each in kept} == {morning: 20, evening: 20, night: 1}


def test_weekdays_and_weekends_are_both_kept():
    days = [(homes.step(day, 9, 0), homes.step(day, 9, 2)) for day in range(7)]
    kept = light.compress(days * 3, np.ones(21), 2)
    assert sorted(each.sequence[0].day >= light.SATURDAY for each in kept) == [False, True]


def test_a_long_life_is_compared_in_parts_of_what_is_lived_most(monkeypatch):
    monkeypatch.setattr(light, "MOST", 5)
    counts = Counter(LIVED)
    kept = light.compress(LIVED, np.ones(len(LIVED)), 100)
    assert len(kept) == 5
    assert min(each.count for each in kept) >= sorted(counts.values())[-5]


def test_costs_of_unlike_length_are_refused():
    with pytest.raises(EdgeError, match="2 costs for 3"):
        light.compress(LIVED[:3], np.zeros(3), 2, np.ones(2, np.int64))


def test_what_is_surprising_rare_and_varied_is_important():
    twice = (homes.step(0, 7, 0), homes.step(0, 7, 0))
    varied = (homes.step(0, 7, 0), homes.step(0, 7, 2))
    on_tuesday = tuple(replace(step, day=1) for step in varied)
    nats = np.array([[1.0, 2.0, 9.0], [3.0, 0.0, 9.0]])
    found = light.importance_of([twice, varied, on_tuesday, varied[:1]], [nats, nats, nats, np.empty((0, 3))])
    assert found == pytest.approx([3.0, 6.0 / 2**0.5, 6.0 / 2**0.5, 0.0])
    assert light.importance_of([], []).size == 0


# ---- the rules


@pytest.mark.parametrize("name", ALL_RULES)
@given(some, st.floats(0.02, 1.0))
@settings(max_examples=25, deadline=None)
def test_every_rule_keeps_to_its_budget_and_says_why(name, sequences, share):
    seen = known(sequences)
    budget = share * float(seen.costs.sum())
    kept = ALL_RULES[name](seen, budget)
    assert seen.costs[list(kept)].sum() <= budget
    assert bool(kept) or seen.costs.min() > budget
    assert all(0 <= row < len(sequences) and reason for row, reason in kept.items())
    assert ALL_RULES[name](known(sequences), budget) == kept


def test_the_papers_rule_keeps_the_most_important():
    seen = known(LIVED, importance=np.arange(len(LIVED), dtype=float))
    kept = list(rules.paper(seen, 40.0))
    assert kept[0] == len(LIVED) - 1
    assert kept == sorted(kept, reverse=True)


def test_similarity_keeps_nothing_like_what_it_has():
    kept = [LIVED[row] for row in rules.similarity(known(LIVED), 60.0)]
    pairs = [frozenset((step.device, step.control) for step in each) for each in kept]
    assert len(set(pairs)) == len(pairs)


# ---- what a sequence costs


def test_tokens_are_those_of_the_language_model(shipped_llm):
    from edge.core.prompts import Labels, sequence_text
    from edge.workers.engine import Engine

    labels = Labels.of(homes.PAIRS, homes.HOME)
    lines = [f"{sequence_text(each, labels)}\n" for each in LIVED[:12]]
    engine = Engine(str(shipped_llm), 1)
    assert tokens.costs(LIVED[:12], homes.HOME, tokens.tokenizer_of(shipped_llm)).tolist() == [
        len(engine.tokens(line)) - 1
        for line in lines  # but the mark that begins a text
    ]


def test_a_file_without_a_tokenizer_is_refused(tmp_path):
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF, not really")
    with pytest.raises(ArtifactError, match=r"x\.gguf"):
        tokens.tokenizer_of(path)
    with pytest.raises(ArtifactError):
        tokens.tokenizer_of(tmp_path / "none.gguf")


# ---- whole, and by command


def test_the_same_asked_again_gives_the_same():
    one, same = (compress(LIVED, homes.HOME, Asked("trained", tokens=90, seed=3)) for _ in range(2))
    assert replace(one, seconds=0.0) == replace(same, seconds=0.0)


def test_half_the_tokens_keep_every_control():
    found = compress(LIVED, homes.HOME, Asked(share=0.5))
    assert found.after <= found.before / 2
    kept = {(step.device, step.control) for row in found.kept for step in LIVED[row]}
    assert kept == {(step.device, step.control) for each in LIVED for step in each}
    assert len({LIVED[row] for row in found.kept}) == len(found.kept)
    assert list(found.counts) == [LIVED.count(LIVED[row]) for row in found.kept]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(method="guess", share=0.5), "crossfit, exact"),
        (Asked(rule="guess", share=0.5), "coverage, paper"),
        (Asked(), "how many tokens"),
        (Asked(tokens=5, share=0.5), "how many tokens"),
    ],
)
def test_what_is_asked_wrongly_is_said_with_what_there_is(asked, said):
    with pytest.raises(SettingsError, match=said):
        compress(LIVED, homes.HOME, asked)


def test_nothing_that_fits_the_budget_is_said():
    with pytest.raises(RetrainError, match="budget"):
        compress(LIVED, homes.HOME, Asked(method="random", tokens=1))


@pytest.fixture
def files(tmp_path):
    """A home of the published data sets' form: two devices, mornings and evenings in slots of three hours."""
    names = {
        "days": {"Monday": 0}, "hours": {"(0~3)": 0}, "devices": {"Lamp": 0, "Kettle": 1},
        "controls": {"Lamp:switch on": 0, "Lamp:switch off": 1, "Kettle:switch on": 2},
    }  # fmt: skip
    rows = [[[day % 7, 2, 0, 0], [day % 7, 2, 1, 2]] if day % 2 else [[day % 7, 7, 0, 1]] for day in range(30)]
    (tmp_path / "dictionary.json").write_text(json.dumps(names))
    (tmp_path / "lived.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path, rows


def run(folder, *more):
    given = ["--dictionary", folder / "dictionary.json", "--sequences", folder / "lived.jsonl"]
    return CliRunner().invoke(app, ["compress", *map(str, [*given, "--out", folder / "out.jsonl", *more])])


@pytest.mark.parametrize("method", compression.NAMES)
def test_the_command_writes_what_it_keeps_and_why(files, method, monkeypatch):
    monkeypatch.setattr(compression.estimates, "TOGETHER", 30)
    folder, rows = files
    done = run(folder, "--method", method, "--keep", "0.4", "--scores", folder / "scores.json")
    assert done.exit_code == 0, done.output
    told = json.loads((folder / "scores.json").read_text())
    written = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert written == [rows[row] for row in told["kept"]]
    assert told["method"] == method
    assert len(told["importance"]) == len(rows)
    assert len(told["reasons"]) == len(told["counts"]) == len(told["kept"]) > 0
    assert told["tokens"]["after"] <= 0.4 * told["tokens"]["before"]
    assert told["seconds"] > 0


def test_the_command_says_what_is_wrong(files):
    folder, _ = files
    assert "how many tokens" in run(folder).output
    assert "there is no 'guess'" in run(folder, "--method", "guess", "--keep", "0.5").output
    (folder / "lived.jsonl").write_text("[[0,0,9,9]]\n")
    done = run(folder, "--keep", "0.5")
    assert done.exit_code == 1
    assert "lived.jsonl" in done.output
    (folder / "lived.jsonl").write_text("\n")
    assert "no sequence" in run(folder, "--keep", "0.5").output


def test_a_step_of_a_device_nobody_described_has_its_price():
    sequence = (Step(0, 7, "shed socket", "on"),)
    assert tokens.costs([sequence], homes.HOME, tokens.tokenizer_of())[0] > 3
