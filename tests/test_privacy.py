"""Nothing leaves the house: no connection but to the broker, no report to a library's maker, no behavior in a log."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import seclusion
from tests.life import HOST, MARK, SECRETS

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
# What a line that tells of a behavior would hold: a device of the home, in any of its names; what it did; a sentence.
BEHAVIOR = re.compile(rf"{MARK}|state o(n|ff)|turned o(n|ff)|kettle|heater|desk fan|hall lamp", re.IGNORECASE)
ACTED = re.compile(rf"{MARK}[ -](hall|lamp|kettle|bath|heat|desk|fan)|turned o(n|ff)", re.IGNORECASE)
BY_HAND = {"sceneshift.toml", "wrong.toml", "dictionary.json", "new.bundle"}  # of the harness and of the host


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


@pytest.mark.parametrize(
    ("library", "reports"),
    [
        ("ray", "from ray._common.usage.usage_lib import usage_stats_enabled as on; print(on())"),
        ("huggingface_hub", "from huggingface_hub import constants; print(not constants.HF_HUB_DISABLE_TELEMETRY)"),
    ],
)
def test_the_hosts_libraries_take_the_word_for_it(tmp_path, library, reports):
    pytest.importorskip(library)
    assert in_a_bare_home(tmp_path, reports)[0] == "True", "they would report"
    assert in_a_bare_home(tmp_path, f"import trainer; {reports}")[0] == "False"


def needs_seclusion():
    if seclusion.missing():
        pytest.skip(seclusion.missing())


def test_what_calls_home_is_seen_and_does_not_get_there(tmp_path):
    needs_seclusion()
    code = "import socket; socket.create_connection(('192.0.2.1', 443), 5)"
    done = seclusion.run(seclusion.sealed(*seclusion.traced(tmp_path / "t", sys.executable, "-c", code)), 60)
    assert "Network is unreachable" in done.stderr
    assert seclusion.addresses(tmp_path / "t") == {("192.0.2.1", 443)}
    assert seclusion.families(tmp_path / "t") == {"AF_INET"}


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    """Have a home live once where nothing leads out (tests/life.py); return the folder of what it left behind."""
    needs_seclusion()
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("MOSQUITTO IS MISSING: apt-get install mosquitto; that nothing leaves the house is NOT tested")
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: pip install '.[llm]'")
    folder = tmp_path_factory.mktemp("life")
    done = seclusion.run(seclusion.sealed(sys.executable, ROOT / "tests/life.py", folder), 900)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def said(life, which="*.err"):
    """Return what was printed, by command."""
    found = {path.name: path.read_text(errors="replace") for path in (life / "said").glob(which)}
    assert found
    return found


def test_with_no_way_out_everything_works_and_all_of_it_goes_to_the_broker(life):
    traces = list((life / "traces").iterdir())
    assert len(traces) > 20
    reached = {address for trace in traces for address in seclusion.addresses(trace)}
    assert {host for host, _ in reached} <= {"127.0.0.1", "0.0.0.0"}, reached
    assert not {port for host, port in reached if host == "0.0.0.0"} - {0, page_of(life)}
    families = {family for trace in traces for family in seclusion.families(trace)}
    assert families <= {"AF_INET", "AF_UNIX", "AF_NETLINK"}
    assert {path for trace in traces for path in seclusion.locals_of(trace)} <= {
        "/var/run/nscd/socket", str(life / "notify"),
    }  # fmt: skip


def page_of(life):
    return int(re.search(r"port = (\d+)", (life / "home/sceneshift.toml").read_text())[1])


def test_no_name_is_resolved_but_the_brokers(life):
    assert json.loads((life / "names.json").read_text()) == [HOST]


def test_nothing_is_left_in_the_users_home_or_among_temporary_files(life):
    assert [path for folder in ("user", "tmp") for path in (life / folder).rglob("*")] == []


def test_no_log_line_at_any_level_tells_of_a_behavior(life):
    logs = said(life, "*-run.err")
    assert all("DEBUG" in text and "INFO edge.mqtt" in text for text in logs.values()), "loggers tell all they have"
    assert any("ERROR edge.incumbent" in text for text in logs.values()), "and something went wrong"
    for name, text in {**said(life), **said(life, "*-run.out"), **said(life, "supervisor")}.items():
        found = BEHAVIOR.search(text)
        assert not found, f"{name}: {text[max(0, found.start() - 200) : found.end() + 50]}"
        assert "Traceback" not in text, name


def test_no_secret_is_in_anything_that_is_said_shown_written_or_handed_on(life):
    key = (life / "secrets/keys/sceneshift.key").read_bytes().splitlines()[1]
    planted = {**{name: secret.encode() for name, secret in SECRETS.items()}, "private key": key[-32:]}
    forms = {name: (each, each.hex().encode(), base64.b64encode(each).rstrip(b"=")) for name, each in planted.items()}
    places = ("said", "pages", "home", "heard.json", "retained.json", "names.json")
    files = [each for place in places for each in (life / place, *(life / place).rglob("*")) if each.is_file()]
    assert len(files) > 70
    for path in files:
        content = path.read_bytes()
        for name, shapes in forms.items():
            assert not any(shape in content for shape in shapes), f"the {name} is in {path.relative_to(life)}"


def test_no_secret_is_among_the_arguments_of_a_program_or_in_the_environment_of_a_child(life):
    started = [seclusion.programs(trace) for trace in (life / "traces").iterdir()]
    assert sum(map(len, started)) > len(started) + 3, "the children are among them"
    for first, *children in started:
        arguments = first.partition("[")[2].partition("], [")[0]
        assert "-c" in arguments
        for text in (arguments, *children):
            assert not [name for name, secret in SECRETS.items() if secret in text], text[:400]
        assert "SCENESHIFT_" not in "".join(children).upper()


def test_what_is_written_is_nobody_elses_however_careless_the_umask(life):
    home = life / "home"
    written = [path for path in home.rglob("*") if path.name not in BY_HAND]
    assert len(written) > 10
    assert {path: oct(path.stat().st_mode) for path in written if path.stat().st_mode & 0o027} == {}
    for alone in ("backup.tar", "out.jsonl", "out.csv"):
        assert (home / alone).stat().st_mode & 0o777 == 0o600


def test_its_memory_is_never_dumped(life):
    assert re.search(r"core file size +0 +0 ", (life / "limits").read_text())


def test_the_broker_keeps_what_the_agent_is_doing_and_no_behavior(life):
    kept = dict(json.loads((life / "retained.json").read_text()))
    assert {"sceneshift/state", "sceneshift/scene/state", "sceneshift/unusual"} <= kept.keys()
    heard = json.loads((life / "heard.json").read_text())
    assert any(topic == "sceneshift/newest" and ACTED.search(payload) for topic, payload in heard)
    assert {topic: payload for topic, payload in kept.items() if ACTED.search(payload)} == {}
