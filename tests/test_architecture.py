"""The house rules of imports, held by the syntax tree and by fresh interpreters."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EDGE = sorted((ROOT / "edge").rglob("*.py"))
TRAINER = sorted((ROOT / "trainer").rglob("*.py"))
ADAPTERS = {"mqtt", "store", "scorer", "generator", "retrainer", "slots"}
DOORS = {  # one outside library, one owner
    "paho": {"edge/mqtt.py"},
    "sqlite3": {"edge/database.py"},
    "llama_cpp": {"edge/workers/engine.py", "edge/workers/sampling.py", "edge/workers/chat.py"},
    "onnxruntime": {"edge/scorer.py", "edge/workers/retrain.py"},
    "amqtt": {"edge/demo/broker.py"},
    "sqlalchemy": {"edge/importers/recorder.py", "edge/importers/generations.py"},
    "starlette": {"edge/web/app.py", "edge/web/door.py"},
    "uvicorn": {"edge/web/server.py", "edge/web/connections.py"},
    "jinja2": {"edge/web/rendering.py", "edge/workers/chat.py"},
    "cryptography": {"edge/trust.py"},
    "ray": set(),
}


def imported(path: Path) -> set[str]:
    """Return every module a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", EDGE, ids=name_of)
def test_the_hub_imports_neither_torch_nor_the_trainer(path):
    assert not {name for name in imported(path) if name.split(".")[0] in {"torch", "trainer", "onnx"}}


@pytest.mark.parametrize("path", [*EDGE, *TRAINER], ids=name_of)
def test_each_outside_library_has_one_door(path):
    if path.is_relative_to(ROOT / "trainer"):
        return
    for library, owners in DOORS.items():
        if any(name.split(".")[0] == library for name in imported(path)):
            assert name_of(path) in owners, f"{library} is imported outside its door"


@pytest.mark.parametrize("path", sorted((ROOT / "edge/core").glob("*.py")), ids=name_of)
def test_the_core_is_pure(path):
    outside = {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names)
    assert outside <= {"edge", "numpy", "pydantic"}
    assert not {name for name in imported(path) if name.startswith("edge") and not name.startswith("edge.core")}
    banned = {"os", "socket", "threading", "logging", "subprocess", "time", "pathlib", "random", "sqlite3"}
    assert not {name.split(".")[0] for name in imported(path)} & banned


@pytest.mark.parametrize("path", [p for p in EDGE if p.stem in ADAPTERS and p.parent.name == "edge"], ids=name_of)
def test_adapters_do_not_know_each_other(path):
    others = {f"edge.{name}" for name in ADAPTERS - {path.stem}}
    assert not {name for name in imported(path) if any(name == o or name.startswith(f"{o}.") for o in others)}


@pytest.mark.parametrize("name", ["watch", "adapt", "fit", "synthesis"])
def test_the_loops_know_no_adapter(name):
    found = imported(ROOT / f"edge/{name}.py")
    assert not {each for each in found if any(each.startswith(f"edge.{adapter}") for adapter in ADAPTERS)}


@pytest.mark.parametrize("path", TRAINER, ids=name_of)
def test_the_trainer_uses_the_core_and_evaluation_the_real_loops(path):
    if path.parent.name == "evaluate":
        return
    found = {name for name in imported(path) if name.split(".")[0] == "edge"}
    assert not {name for name in found if name != "edge" and not name.startswith("edge.core")}


@pytest.mark.parametrize("path", [*EDGE, *TRAINER], ids=name_of)
def test_no_module_is_over_300_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def test_the_hub_starts_without_torch_trainer_or_llama_cpp():
    code = (
        "import sys, edge.__main__, edge.cli, edge.agent, edge.demo.run; "
        "print([m for m in ('torch', 'trainer', 'llama_cpp', 'onnx', 'amqtt') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_help_is_quick_to_load():
    code = "import sys, edge.cli; print([m for m in ('onnxruntime', 'numpy', 'paho', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
