"""The language model's tokenizer: byte-level BPE with GPT-2's pre-tokenizer, which llama.cpp knows as "gpt-2"."""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from edge.core.scenes import MODES, OCCUPANCIES, PARTS, SEASONS

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
SPECIAL = (UNKNOWN, BEGIN, END)
BEGIN_ID, END_ID = 1, 2
VOCABULARY = 1536


def train(texts: Iterable[str], size: int = VOCABULARY) -> Tokenizer:
    """Learn the merges from texts; every byte stays a token, so nothing is ever unknown."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load(path: Path) -> Tokenizer:
    """Read a tokenizer that was saved."""
    return Tokenizer.from_file(str(path))


def scene_words(tokenizer: Tokenizer) -> list[int]:
    """Return the ids of the words for a scene to write for; each is one token once trained on prompts."""
    names = (*SEASONS, *PARTS, *OCCUPANCIES, *MODES)
    cut = [tokenizer.encode(f" {name.upper()}").ids for name in names]
    return [ids[0] for ids in cut if len(ids) == 1]


def words(tokenizer: Tokenizer) -> list[str]:
    """Return the tokens in order of their ids."""
    return [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])]


def merges(tokenizer: Tokenizer) -> list[str]:
    """Return the merges, first learned first, as "left right"."""
    found = json.loads(tokenizer.to_str())["model"]["merges"]
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in found]
