"""What a language model asks of a home: memory, and tokens a second from its bytes and the memory's bandwidth.

`python -m edge.workers.needs FILE` tells it for a GGUF file. Every token drawn reads all weights once, so bandwidth
over bytes is the most that can be hoped for; a model of a few megabytes lives in the processor's cache and is held
back by arithmetic instead. Computed, not measured.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

CELLS = 4096  # tokens in memory: a home's prompt and eight replies beside each other
UBATCH = 512  # tokens evaluated at once
BANDWIDTH = {"Pi 4": 4e9, "Pi 5": 9e9, "Jetson Orin Nano": 50e9}  # bytes a second that a program gets
PROGRAM = 70e6  # bytes of Python, numpy and llama.cpp themselves


@dataclass(frozen=True)
class Shape:
    """The sizes of a llama-like network; `groups`: key and value heads, `head`: the width of one."""

    layers: int
    width: int
    heads: int
    groups: int
    head: int
    inner: int
    vocabulary: int

    def cache(self, cells: int = CELLS) -> int:
        """Return the bytes of the key-value memory, two a value."""
        return cells * self.layers * self.groups * self.head * 2 * 2

    def scratch(self, cells: int = CELLS) -> int:
        """Return the bytes of one evaluation: attention scores, the inner layer, logits of a few rows."""
        widest = max(self.heads * cells, 3 * self.inner, 6 * self.width)
        return 4 * UBATCH * widest + 4 * 16 * self.vocabulary

    def q4_k_m(self) -> int:
        """Return the bytes of the weights in Q4_K_M, input and output embedding the same matrix.

        Half of the value and down matrices are Q6_K; a row that is no multiple of 256 falls back to Q5_0 and Q8_0.
        """
        low, high = (4.5, 6.5625) if self.width % 256 == 0 else (5.5, 8.5)
        own, shared = self.heads * self.head * self.width, self.groups * self.head * self.width
        attention = (2 * own + shared) * low + shared * (low + high) / 2
        feeding = 2 * self.inner * self.width * low + self.inner * self.width * (4.5 + 6.5625) / 2
        embedding = self.vocabulary * self.width * high
        return int((self.layers * (attention + feeding) + embedding) / 8)


QWEN = 151_936  # entries of the Qwen2.5 vocabulary
KNOWN = {  # architectures as published
    "Qwen2.5 0.5B Q4_K_M": Shape(24, 896, 14, 2, 64, 4864, QWEN),
    "Qwen2.5 1.5B Q4_K_M": Shape(28, 1536, 12, 2, 128, 8960, QWEN),
    "Qwen2.5 3B Q4_K_M": Shape(36, 2048, 16, 2, 128, 11008, QWEN),
}


def needs(size: int, shape: Shape) -> dict[str, float]:
    """Return MB of the file and of all memory, and tokens a second by machine, for a file of `size` bytes."""
    memory = size + shape.cache() + shape.scratch() + PROGRAM
    read = size + shape.cache() / 4  # half of the memory is filled, half of that is of other replies
    speeds = {f"{name} tokens/s": float(f"{bandwidth / read:.2g}") for name, bandwidth in BANDWIDTH.items()}
    return {"file_mb": round(size / 1e6, 1), "ram_mb": round(memory / 1e6), **speeds}


def of_file(path: Path) -> dict[str, float]:
    """Return what a GGUF file needs; raises Unusable for one llama.cpp cannot read."""
    from edge.workers.engine import Engine  # noqa: PLC0415  # the arithmetic alone needs no llama.cpp

    return needs(path.stat().st_size, Shape(**Engine(str(path), 1).shape()))


if __name__ == "__main__":
    print(json.dumps(of_file(Path(sys.argv[1])), indent=1))  # noqa: T201
