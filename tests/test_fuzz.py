"""Every parser of bytes from outside is fuzzed for a while, two at a time; what fails says how to see it again.

SCENESHIFT_FUZZ_SECONDS: of each target; a minute unless it says otherwise.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fuzz import drawing, pool, targets
from fuzz.engine import Wanted
from fuzz.targets import CORPUS, NAMES, PAGE, TARGETS, seeds

SECONDS = int(os.environ.get("SCENESHIFT_FUZZ_SECONDS", "60"))
HERE = importlib.util.find_spec("atheris") is not None
MISSING = "ATHERIS IS MISSING (there is one for x86-64 alone): pip install atheris; no parser is fuzzed here"
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Fuzz all targets, each in a process of its own."""
    names = NAMES if HERE else (PAGE,)
    running = pool.run(names, Wanted(seconds=SECONDS, seed=1), tmp_path_factory.mktemp("fuzz"))
    try:
        return {told.name: told for told in running}
    finally:
        running.close()


@pytest.mark.parametrize("name", NAMES)
def test_no_case_fails(outcomes, name):
    if name != PAGE and not HERE:
        pytest.skip(MISSING)
    told = outcomes[name]
    assert not told.failed, told.failed
    assert told.cases >= max(len(seeds(name)) if name != PAGE else 1, 1)
    print(f"{name}: {told.cases} cases, {told.edges} edges")


@pytest.mark.skipif(not HERE, reason=MISSING)
def test_a_case_that_fails_is_told_with_its_input(tmp_path):
    code = """
import sys, types
from pathlib import Path
from fuzz import engine, targets
planted = types.ModuleType("fuzz.planted")
def hidden(data):
    if len(data) > 2:
        raise KeyError("planted")
planted.hidden = hidden
sys.modules["fuzz.planted"] = planted
targets.TARGETS["hidden"] = targets.Target("planted")
engine.fuzz("hidden", engine.Wanted(runs=100_000, keep=Path(sys.argv[1])))
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode not in {0, 1}
    assert "KeyError: 'planted'" in done.stdout + done.stderr
    [failing] = (tmp_path / "failing").iterdir()
    assert len(failing.read_bytes()) > 2


def test_a_child_that_does_not_even_begin_is_a_failure(tmp_path):
    [told] = pool.run(["no-such-target"], Wanted(seconds=5), tmp_path)
    assert told.cases == 0
    assert "no-such-target ended with 2" in told.failed


def test_a_corpus_is_small_and_every_target_has_one():
    assert {path.stem for path in CORPUS.iterdir()} == set(TARGETS)
    assert all(seeds(name) for name in TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.iterdir()) < 300_000


def test_a_corpus_is_read_as_it_was_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "CORPUS", tmp_path)
    inputs = [b"", b"\n", bytes(range(256)), "é\u2028\\n".encode()]
    targets.keep("any", inputs)
    assert seeds("any") == inputs


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("lambda _, began=time.process_time: spin(began() + 1.5)", " s, more than 1"),
        ("lambda _: spin(1.5)", ""),  # slow once only
        ("lambda _: bytes(range(256)) * 1_000_000", " MB of memory, more than"),
        ("lambda _: None", ""),
    ],
)
def test_what_costs_too_much_fails(case, said):
    spin = "def spin(end):\n while time.process_time() < end: pass\n"
    code = f"import time\nfrom fuzz.limits import watched\n{spin}watched({case})(b'')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert (done.returncode != 0) == bool(said)
    assert said in done.stderr


@pytest.mark.parametrize(
    "rules", ['root ::= "a', "root = a", 'root ::= "a" )', "root ::= root", 'root ::= "a"\nroot ::= "b"']
)
def test_what_is_no_grammar_is_not_drawn_from(rules):
    with pytest.raises(ValueError, match="rule|grammar"):
        drawing.drawn(rules, b"")


def test_a_text_is_drawn_by_its_choices():
    rules = 'root ::= ("a" | b "c"?) "\\n"\nb ::= "\\"x" | "y"\n'
    assert {drawing.drawn(rules, bytes(each)) for each in ((0,), (1, 0, 0), (1, 0, 1), (1, 1, 1))} == {
        "a\n", '"x\n', '"xc\n', "yc\n",
    }  # fmt: skip
