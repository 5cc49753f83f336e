"""What a sequence costs in a prompt: tokens of our language model's tokenizer."""

from collections.abc import Sequence as Items
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from edge.core.dictionary import Dictionary
from edge.core.errors import ArtifactError
from edge.core.prompts import Labels, sequence_text
from edge.core.sequences import LENGTH, Sequence

SHIPPED = Path(__file__).parents[2] / "models/behavior-lm/2/behavior-lm-q8_0.gguf"


@cache
def tokenizer_of(path: Path = SHIPPED) -> Tokenizer:
    """Read the tokenizer a GGUF file of ours carries; raises ArtifactError where it is none."""
    try:
        fields = gguf.GGUFReader(path).fields
        found, merges = (_strings(fields[f"tokenizer.ggml.{name}"]) for name in ("tokens", "merges"))
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise ArtifactError(f"{path} is no language model with a tokenizer of ours") from error
    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(found)}, pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _strings(field: Any) -> list[str]:
    return [str(bytes(field.parts[place]), "utf-8") for place in field.data]


def costs(sequences: Items[Sequence], dictionary: Dictionary, tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Return the tokens (n,) of each sequence as a line of a prompt, its end included."""
    used = ((step.device, step.control) for each in sequences for step in each)
    labels = Labels.of([*dictionary.controls, *used], dictionary)
    lines = [f"{sequence_text(each[-LENGTH:], labels)}\n" for each in sequences]
    return np.array([len(each.ids) for each in tokenizer.encode_batch(lines)], np.int64)
