"""Draws the next token, held to a grammar by the cheap rule: draw first, and only what is refused costs more.

The drawn token alone is tried against the grammar; only where it is refused does the grammar look through the
whole vocabulary, and a token is drawn again from what it leaves. No refused token is ever accepted.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

import llama_cpp
import numpy as np

from edge.workers.engine import Engine, Unusable

_CANDIDATE = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])  # llama_token_data


@dataclass(frozen=True)
class Chances:
    """How a token is drawn."""

    temperature: float
    top_p: float


def compiled(engine: Engine, text: str) -> Any:
    """Return a grammar ready for use; raises Unusable for one llama.cpp cannot parse, which would crash it."""
    # An empty text is no grammar to llama.cpp, and would hold nothing.
    found = llama_cpp.llama_sampler_init_grammar(engine.vocab, text.encode(), b"root") if text.strip() else None
    if not found:
        raise Unusable("the grammar made from the home's dictionary is malformed")
    return found


class Sampler:
    """One request's draws, from its own seed; `hold` changes the grammar they are held to."""

    def __init__(self, engine: Engine, chances: Chances, seed: int) -> None:
        self._engine = engine
        self._chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        for link in (
            llama_cpp.llama_sampler_init_top_p(chances.top_p, 1),
            llama_cpp.llama_sampler_init_temp(chances.temperature),
            llama_cpp.llama_sampler_init_dist(seed & 0xFFFFFFFF),
        ):
            llama_cpp.llama_sampler_chain_add(self._chain, link)
        self._grammar: Any = None
        self._one = (llama_cpp.llama_token_data * 1)()
        self._first: Any = self._one[0]
        self._tried = llama_cpp.llama_token_data_array(self._one, 1, -1, False)
        self._trial = ctypes.byref(self._tried)

    def hold(self, grammar: Any) -> None:
        """Hold what follows to a compiled grammar from its beginning; None holds nothing."""
        if self._grammar:
            llama_cpp.llama_sampler_free(self._grammar)
        self._grammar = llama_cpp.llama_sampler_clone(grammar) if grammar else None

    def draw(self, row: int) -> int:
        """Return the token that follows a row of the last batch."""
        token = int(llama_cpp.llama_sampler_sample(self._chain, self._engine.context, row))
        if not self._grammar:
            return token
        self._first.id, self._first.logit = token, 1.0
        self._tried.size = 1
        llama_cpp.llama_sampler_apply(self._grammar, self._trial)
        if self._first.logit == -np.inf:
            token = self._again(row)
        llama_cpp.llama_sampler_accept(self._grammar, token)
        return token

    def _again(self, row: int) -> int:
        every = np.zeros(self._engine.size, dtype=_CANDIDATE)
        every["id"] = np.arange(self._engine.size)
        every["logit"] = self._engine.logits(row)
        data = every.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
        array = llama_cpp.llama_token_data_array(data, len(every), -1, False)
        llama_cpp.llama_sampler_apply(self._grammar, ctypes.byref(array))
        if np.isneginf(every["logit"]).all():
            raise Unusable("the grammar leaves the language model nothing to say")
        llama_cpp.llama_sampler_apply(self._chain, ctypes.byref(array))
        return int(array.data[array.selected].id)

    def close(self) -> None:
        """Free what llama.cpp holds for it."""
        self.hold(None)
        llama_cpp.llama_sampler_free(self._chain)
