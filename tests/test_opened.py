"""What is opened is what was verified, and nothing that is opened can be a program."""

import ast
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge import compose
from edge.core.errors import ArtifactError, GenerationError, RetrainError
from edge.core.sequences import Step, tokens
from edge.core.vocabulary import Vocabulary
from edge.generator import Generator
from edge.retrainer import retrain
from edge.scorer import Scorer
from edge.sections import Llm
from edge.slots import shipped, verify_model
from edge.verified import content
from tests.llm import LIMITS, prompt

ROOT = Path(__file__).parent.parent
CODE = sorted(path for room in ("edge", "trainer", "benchmarks", "fuzz") for path in (ROOT / room).rglob("*.py"))
PROGRAMS = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle", "imp"}
CALLED = {"eval", "exec", "compile", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "np.fromfile"}
VOCABULARY = Vocabulary().grown([("lamp", "switch on"), ("door", "contact open")])


def unsafe(tree):
    """Yield what reads a file as a program, or may."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in PROGRAMS)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PROGRAMS:
            yield node.module
        elif isinstance(node, ast.Call):
            yield from _call(node)


def _call(node):
    called = ast.unparse(node.func)
    given = {each.arg: ast.unparse(each.value) for each in node.keywords}
    if called in CALLED or given.get("allow_pickle") == "True" or given.get("shell") == "True":
        yield called
    if called in {"np.load", "numpy.load"} and given.get("allow_pickle") != "False":
        yield called
    if called == "torch.load" and given.get("weights_only") != "True":
        yield called
    if called.endswith(("read_pickle", "to_pickle")):
        yield called


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_is_read_as_a_program(path):
    assert not list(unsafe(ast.parse(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    "text",
    [
        "import pickle", "from pickle import loads", "np.load(path)", "np.load(path, allow_pickle=True)", "eval(text)",
        "torch.load(path)", "torch.load(path, weights_only=False)", "yaml.load(text)", "subprocess.run(x, shell=True)",
    ],
)  # fmt: skip
def test_the_look_for_it_finds_each(text):
    assert list(unsafe(ast.parse(text)))


@pytest.fixture
def model(tmp_path):
    return Path(shutil.copytree(shipped("detector"), tmp_path / "detector"))


@pytest.mark.parametrize("name", ["score.onnx", "predict.onnx"])
def test_a_graph_that_was_changed_after_it_was_verified_is_not_opened(model, name):
    """Between the look at the hash and the opening of the path, whoever may write there could put another file."""
    verify_model(model)
    start = np.load(model / "initial.npy", allow_pickle=False)
    Scorer(model, start, VOCABULARY).probe()
    other = (model / "train_step.onnx").read_bytes()  # a graph that loads
    (model / name).write_bytes(other)
    with pytest.raises(ArtifactError, match=f"{name} is not the file its manifest describes"):
        Scorer(model, start, VOCABULARY)


@pytest.mark.parametrize("name", ["train_step.onnx", "initial.npy"])
def test_a_training_step_that_was_changed_is_not_run(model, name):
    verify_model(model)
    changed = bytearray((model / name).read_bytes())
    changed[len(changed) // 2] ^= 1
    (model / name).write_bytes(changed)
    lived = tokens([(Step(0, 7, "lamp", "switch on"),)], VOCABULARY)
    with pytest.raises(RetrainError, match="not the file its manifest describes"):
        retrain(lived, np.ones(1, np.float32), model_dir=model, seed=0, steps=1, limit_seconds=60)


def test_a_file_the_manifest_does_not_name_is_not_handed_on(model):
    (model / "more.onnx").write_bytes((model / "score.onnx").read_bytes())
    with pytest.raises(ArtifactError, match="describes no more"):
        content(model, "more.onnx")
    with pytest.raises(ArtifactError, match="describes no"):
        content(model, "../detector/score.onnx")


def test_our_language_model_is_opened_only_as_its_manifest_describes_it(shipped_llm, tmp_path):
    writer = compose.writer(Llm(), tmp_path)
    assert writer.sha256 == hashlib.sha256(shipped_llm.read_bytes()).hexdigest()
    file = tmp_path / "swapped.gguf"
    file.write_bytes(shipped_llm.read_bytes())
    changed = Generator(file, LIMITS, sha256=writer.sha256)
    assert len(changed.generate([prompt(1)], seed=0).texts) == 1
    with file.open("r+b") as opened:  # a weight, so that it would load
        opened.seek(-64, 2)
        opened.write(bytes(8))
    with pytest.raises(GenerationError, match="not the file its manifest describes"):
        changed.generate([prompt(1)], seed=0)
    own = Generator(file, LIMITS)  # whoever names a file of their own vouches for it
    assert len(own.generate([prompt(1)], seed=0).texts) == 1


def test_a_users_own_file_is_taken_as_it_is(shipped_llm, tmp_path):
    assert compose.writer(Llm(file=shipped_llm), tmp_path).sha256 is None


def test_every_file_of_every_shipped_model_is_described(tmp_path):
    for folder in (ROOT / "models").glob("*/*/"):
        if not (folder / "manifest.json").exists():
            continue
        told = json.loads((folder / "manifest.json").read_bytes()).get("files", {})
        loaded = {path.name for path in folder.iterdir() if path.suffix in {".onnx", ".npy", ".gguf"}}
        assert loaded <= set(told), folder
