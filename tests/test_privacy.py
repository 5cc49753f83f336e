"""Nothing leaves the house: no library reports to its maker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SESSION = """
import sys, numpy as np
from edge.core.vocabulary import Vocabulary
from edge.scorer import Scorer
from edge.slots import shipped
folder = shipped("detector")
Scorer(folder, np.load(folder / "initial.npy"), Vocabulary().grown([("lamp", "switch on")])).probe()
print(sys.modules["onnxruntime"].__version__)
"""


def bare(home: Path) -> dict[str, str]:
    """Return an environment in which a library would report: it is no test's and no build's."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "OMP_NUM_THREADS": "1"}


def in_a_bare_home(home, code):
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=bare(home), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), [path for path in home.rglob("*") if path.is_file()]


def test_onnx_runtime_gathers_no_report(tmp_path):
    assert in_a_bare_home(tmp_path, SESSION)[1] == []


def test_it_would_gather_one_if_it_were_not_told(tmp_path):
    version, written = in_a_bare_home(tmp_path, f"import edge, os; del os.environ['ORT_DISABLE_TELEMETRY']\n{SESSION}")
    if tuple(map(int, version.split(".")[:2])) < (1, 29):
        pytest.skip("this ONNX Runtime has no reports of its own on Linux yet")
    assert any("onnxruntime" in str(path) for path in written)


@pytest.mark.parametrize("package", ["edge", "trainer", "edge.workers.retrain", "edge.workers.generate"])
def test_every_way_in_switches_reports_off_first(tmp_path, package):
    code = f"import os, sys, {package}; print(os.environ['ORT_DISABLE_TELEMETRY'], os.environ['DO_NOT_TRACK'])"
    assert in_a_bare_home(tmp_path, code) == ("1 1", [])
