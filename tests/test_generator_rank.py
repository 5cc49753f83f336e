"""Ranking: how likely the model finds given replies, against a second opinion by llama-cpp-python's own class."""

import numpy as np
import pytest

from edge.core.errors import GenerationError
from edge.generator import Generator
from tests.llm import HOME, LIMITS, prompt, requests

CANDIDATES = [
    (0, "Mon 07 Hall lamp:state ON; Kettle:state ON\n"),
    (1, "Mon 07 Hall lamp:state ON; Kettle:state ON\n"),
    (0, "Sat 19 Desk fan:state OFF; Desk fan:state OFF; Desk fan:state OFF\n"),
    (3, "nothing\n"),
    (0, "zzz qqq"),
    (2, ""),
]


def second_opinion(path, asked, candidates):
    import llama_cpp

    model = llama_cpp.Llama(str(path), n_ctx=1024, n_batch=512, n_threads=1, logits_all=True, verbose=False)
    out = []
    for index, text in candidates:
        before = model.tokenize((asked.head + asked.home + asked.requests[index]).encode())
        tokens = model.tokenize((asked.head + asked.home + asked.requests[index] + text).encode())
        model.reset()
        model.eval(tokens)
        scores = np.asarray(model.scores[: len(tokens)], dtype=np.float64)
        logs = scores - np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1, keepdims=True))
        logs -= scores.max(1, keepdims=True)
        own = range(len(before), len(tokens))
        out.append((sum(logs[place - 1, tokens[place]] for place in own), len(own)))
    model.close()
    return out


def test_likelihoods_are_those_of_one_by_one(shipped_llm):
    found = Generator(shipped_llm, LIMITS).rank(prompt(), CANDIDATES)
    expected = second_opinion(shipped_llm, prompt(), CANDIDATES)
    assert [tokens for _, tokens in found] == [tokens for _, tokens in expected]
    for (nats, _), (other, _) in zip(found, expected, strict=True):
        assert nats == pytest.approx(other, rel=1e-3, abs=0.02)
    assert found[0][0] > found[2][0] > found[4][0]
    assert found[5] == (0.0, 0)


def test_many_candidates_fill_several_batches(shipped_llm, tmp_path):
    asked = prompt(30)
    many = [(row % 30, f"{day} 0{row % 9} Kettle:state ON\n") for row in range(120) for day in ("Mon", "Sat")]
    told = []
    generator = Generator(shipped_llm, LIMITS, states=tmp_path)
    found = generator.rank(asked, many, on_progress=lambda *at: told.append(at))
    assert told[-1] == (240, 240)
    again = generator.rank(asked, many[::-1])[::-1]
    assert generator.timings["reused"]
    np.testing.assert_allclose([nats for nats, _ in found], [nats for nats, _ in again], atol=0.02)


def test_what_does_not_fit_is_told(shipped_llm):
    with pytest.raises(GenerationError, match="context holds"):
        Generator(shipped_llm, LIMITS).rank(prompt(home=HOME + "word " * 20_000), CANDIDATES[:1])
    with pytest.raises(GenerationError):
        Generator(shipped_llm, LIMITS).rank(prompt(), [(0, "word " * 20_000)])


def test_no_candidates_no_figures(shipped_llm):
    assert Generator(shipped_llm, LIMITS).rank(prompt(requests=requests(1)), []) == []
