"""The generation child: real llama.cpp on the shipped model, and everything that goes wrong with it."""

import re
import time
from dataclasses import replace

import pytest

from edge.core.errors import GenerationError
from edge.generator import Generator
from tests.llm import LIMITS, REASONS, REPLY, prompt


def test_every_reply_is_held_to_the_grammar(shipped_llm):
    told = []
    found = Generator(shipped_llm, LIMITS).generate([prompt()], seed=1, on_progress=lambda *at: told.append(at))
    assert list(found.texts) == [0, 1, 2, 3]
    assert all(REPLY.fullmatch(text) for text in found.texts.values())
    assert told[-1] == (4, 4)
    figures = found.figures()
    assert figures["generated_tokens"] > 0
    assert len(figures["sha256"]) == 64


def test_the_same_seed_writes_the_same(shipped_llm):
    runs = [Generator(shipped_llm, LIMITS).generate([prompt(12)], seed=seed).texts for seed in (5, 5, 6)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_a_reply_does_not_depend_on_the_others_beside_it(shipped_llm):
    together = Generator(shipped_llm, LIMITS).generate([prompt(12)], seed=5).texts
    alone = Generator(shipped_llm, replace(LIMITS, width=1)).generate([prompt(12)], seed=5).texts
    assert sum(alone[index] == text for index, text in together.items()) >= 11  # float noise may turn one draw
    fewer = Generator(shipped_llm, LIMITS).generate([prompt(3)], seed=5).texts
    assert fewer == {index: together[index] for index in fewer}


@pytest.mark.parametrize("temperature", [0.0, 3.0])
def test_any_sampling_obeys_the_grammar(shipped_llm, temperature):
    found = Generator(shipped_llm, LIMITS).generate([prompt(8)], seed=3, temperature=temperature)
    assert all(REPLY.fullmatch(text) for text in found.texts.values())


def test_what_the_model_would_never_say_is_said_where_the_grammar_asks_it(shipped_llm):
    texts = Generator(shipped_llm, LIMITS).generate([prompt(6, grammar='root ::= "Zq%8" [0-9] "\\n"\n')], seed=1).texts
    assert len(texts) == 6
    assert all(re.fullmatch(r"Zq%8\d", text) for text in texts.values())


def test_without_a_grammar_the_model_writes_what_it_likes(shipped_llm):
    found = Generator(shipped_llm, LIMITS, grammar=False).generate([prompt(4, grammar="root ::= (")], seed=1)
    assert len(found.texts) == 4
    assert all("\n" not in text for text in found.texts.values())


def test_a_reason_is_written_for_the_requests_that_ask_one(shipped_llm):
    plain = Generator(shipped_llm, LIMITS).generate([prompt(8)], seed=4)
    asked = prompt(8, reasons=REASONS, explained=(1, 5))
    found = Generator(shipped_llm, LIMITS).generate([asked], seed=4)
    assert found.texts == plain.texts
    assert plain.reasons == {}
    assert sorted(found.reasons) == [1, 5]
    assert all(re.fullmatch(r"because of (heat|cold|light)", text) for text in found.reasons.values())
    unasked = Generator(shipped_llm, LIMITS).generate([replace(asked, reasons="")], seed=4)
    assert (unasked.texts, unasked.reasons) == (plain.texts, {})


def test_a_malformed_grammar_of_reasons_is_told(shipped_llm):
    with pytest.raises(GenerationError, match="grammar"):
        Generator(shipped_llm, LIMITS).generate([prompt(reasons="root ::= (", explained=(0,))], seed=1)


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
    found = Generator(shipped_llm, replace(LIMITS, seconds=0.4)).generate([prompt(3000)], seed=1)
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
    with pytest.raises(GenerationError, match="stopped"):
        generator.generate([prompt()], seed=1)
