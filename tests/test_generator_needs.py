"""What a language model needs of a home: the arithmetic against files and a run."""

import json
import subprocess
import sys

import pytest

from edge.generator import Generator
from edge.workers.needs import KNOWN, Shape, needs, of_file
from tests.llm import LIMITS, prompt


def test_a_files_own_description_gives_its_shape(shipped_llm):
    from edge.workers.engine import Engine

    shape = Shape(**Engine(str(shipped_llm), 1).shape())
    assert (shape.width, shape.layers, shape.heads, shape.groups, shape.head) == (256, 4, 8, 4, 32)


def test_the_estimate_holds_what_a_run_takes(shipped_llm):
    generator = Generator(shipped_llm, LIMITS)
    generator.generate([prompt(12)], seed=1)
    assert 0.3 * of_file(shipped_llm)["ram_mb"] < generator.timings["peak_rss_mb"] < of_file(shipped_llm)["ram_mb"]


@pytest.mark.parametrize(("name", "published"), [("0.5B", 398e6), ("1.5B", 986e6), ("3B", 1930e6)])
def test_known_architectures_come_to_about_their_files_size(name, published):
    (shape,) = (shape for known, shape in KNOWN.items() if f" {name}" in known)
    assert shape.q4_k_m() == pytest.approx(published, rel=0.04)


def test_twice_the_bytes_are_at_most_half_the_pace():
    shape = KNOWN["Qwen2.5 3B Q4_K_M"]
    one, two = needs(10**9, shape), needs(2 * 10**9, shape)
    assert two["ram_mb"] - one["ram_mb"] == pytest.approx(1000, abs=1)
    assert two["Pi 5 tokens/s"] < one["Pi 5 tokens/s"]
    assert one["Pi 4 tokens/s"] < one["Pi 5 tokens/s"] < one["Jetson Orin Nano tokens/s"]


def test_the_command_tells_it(shipped_llm):
    done = subprocess.run(
        [sys.executable, "-m", "edge.workers.needs", str(shipped_llm)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["file_mb"] == pytest.approx(shipped_llm.stat().st_size / 1e6, abs=0.1)
