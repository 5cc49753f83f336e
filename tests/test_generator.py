"""The generation child: real llama.cpp on the shipped model, and everything that goes wrong with it."""

import time
from dataclasses import replace

import pytest

from edge.core.errors import GenerationError
from edge.core.filters import transitions
from edge.core.grammar import grammar
from edge.core.prompts import Labels, Prompt, head, home_text, read_reply, request_text
from edge.core.scenes import Scene
from edge.generator import Generator, Limits
from tests import homes

LABELS = Labels.of(homes.PAIRS, homes.HOME)
LIMITS = Limits(seconds=60, nice=0)


def prompt(count=4, **changes):
    scenes = Scene.parse("winter"), Scene.parse("spring")
    requests = tuple(request_text(each, *scenes, LABELS) for each in homes.sequences(count))
    home = home_text(homes.PAIRS, homes.sequences(4), transitions(homes.sequences(4)), LABELS)
    return replace(Prompt("full", head(), home, requests, grammar(LABELS)), **changes)


def test_every_reply_is_a_sequence_of_the_home(shipped_llm):
    told = []
    found = Generator(shipped_llm, LIMITS).generate([prompt()], seed=1, on_progress=lambda *at: told.append(at))
    assert sorted(found.texts) == [0, 1, 2, 3]
    for text in found.texts.values():
        read_reply(text, LABELS)  # raises where it is not
    assert told[-1] == (4, 4)
    figures = found.figures()
    assert figures["generated_tokens"] > 0
    assert len(figures["sha256"]) == 64


def test_the_same_seed_writes_the_same(shipped_llm):
    runs = [Generator(shipped_llm, LIMITS).generate([prompt()], seed=seed).texts for seed in (5, 5)]
    assert runs[0] == runs[1]


def test_hot_sampling_still_obeys_the_grammar(shipped_llm):
    found = Generator(shipped_llm, LIMITS).generate([prompt(8)], seed=3, temperature=3.0)
    for text in found.texts.values():
        read_reply(text, LABELS)


def test_a_covering_grammar_makes_what_the_scene_wakes_appear(shipped_llm):
    fan = [pair for pair in homes.PAIRS if pair[0] == "fan1"]
    covering = (grammar(LABELS, held=[fan[:1]]), grammar(LABELS, held=[fan[:1], fan[1:]]))
    asked = prompt(12, covering=covering, covered=(0, 3, 6, 9))
    texts = Generator(shipped_llm, LIMITS).generate([asked], seed=2, temperature=2.0).texts
    for turn, index in enumerate(asked.covered):
        controls = [step.control for step in read_reply(texts[index], LABELS) if step.device == "fan1"]
        assert "state ON" in controls
        if turn % 2:
            assert "state OFF" in controls


@pytest.mark.parametrize("text", ["root ::= missing", "root ::= (", "", 'root ::= root "a"'])
def test_a_malformed_grammar_is_told_not_crashed_on(shipped_llm, text):
    with pytest.raises(GenerationError, match="grammar"):
        Generator(shipped_llm, LIMITS).generate([prompt(grammar=text)], seed=1)


def test_a_prompt_too_long_falls_back_to_a_shorter_one_or_says_so(shipped_llm):
    long = prompt(name="long", home="word " * 20_000)
    assert Generator(shipped_llm, LIMITS).generate([long, prompt()], seed=1).prompt == "full"
    with pytest.raises(GenerationError, match="context holds"):
        Generator(shipped_llm, LIMITS).generate([long], seed=1)


def test_a_file_that_is_no_model(tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(200))
    with pytest.raises(GenerationError, match="does not load|no reply"):
        Generator(broken, LIMITS).generate([prompt()], seed=1)
    with pytest.raises(GenerationError, match="no language model at missing.gguf"):
        Generator(tmp_path / "missing.gguf", LIMITS).generate([prompt()], seed=1)


def test_a_truncated_model(shipped_llm, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(shipped_llm.read_bytes()[:-100_000])
    with pytest.raises(GenerationError):
        Generator(cut, LIMITS).generate([prompt()], seed=1)


def test_the_time_limit_ends_a_generation_with_what_was_written(shipped_llm):
    started = time.monotonic()
    found = Generator(shipped_llm, replace(LIMITS, seconds=0.5)).generate([prompt(3000)], seed=1)
    assert 0 < len(found.texts) < 3000
    assert time.monotonic() - started < 15


def test_the_memory_limit_ends_the_child_not_us(shipped_llm):
    with pytest.raises(GenerationError):
        Generator(shipped_llm, replace(LIMITS, memory_mb=40)).generate([prompt()], seed=1)


def test_stopping_kills_the_child(shipped_llm):
    generator = Generator(shipped_llm, LIMITS)

    def stop(done, of):
        generator.stop()

    found = generator.generate([prompt(3000)], seed=1, on_progress=stop)
    assert len(found.texts) < 3000
