"""The same work here and on a real Ray cluster of two nodes: workers, a node and the asking process are killed."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.core.errors import RetrainError, SettingsError
from tests import pieces
from tests.conftest import free_port, listens
from trainer.cli import app
from trainer.cluster import HERE, Kept, Where, code, run
from trainer.evaluate import alarms
from trainer.sppc.homes import home as compression_of

ROOT = Path(__file__).parent.parent
WANTED = asdict(alarms.Wanted(homes=1, weeks=1, history=14, steps=10, settings=(1.0,)))


def quiet(*_):
    """Hear of no progress."""


def drawing(log, count, **more):
    return [{"number": number, "log": str(log), **more} for number in range(count)]


def home(number):
    """Return a small home of the published form, as it travels to a node, and how it is to be compressed."""
    names = {
        "days": {"Monday": 0}, "hours": {"(0~3)": 0}, "devices": {"Lamp": 0, "Kettle": 1},
        "controls": {"Lamp:switch on": 0, "Lamp:switch off": 1, "Kettle:switch on": 2},
    }  # fmt: skip
    rows = [
        [[day % 7, 2, 0, 0], [day % 7, 2, 1, 2]] if (day + number) % 3 else [[day % 7, 7, 0, 1]] for day in range(20)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    asked = {"method": "trained", "share": 0.5, "seed": number}
    return {
        "number": number,
        "name": f"home {number}",
        "dictionary": json.dumps(names),
        "sequences": lines,
        "asked": asked,
    }


def test_many_homes_are_compressed_as_each_is_alone(tmp_path):
    for number in range(2):
        folder = tmp_path / f"home{number}" / "winter"
        folder.mkdir(parents=True)
        (folder / "lived.jsonl").write_text(home(number)["sequences"])
        (folder.parent / "dictionary.json").write_text(home(number)["dictionary"])
    files = [str(tmp_path / f"home{number}/winter/lived.jsonl") for number in range(2)]
    given = ["--method", "trained", "--keep", "0.5", "--seed", "1"]
    done = CliRunner().invoke(app, ["compress-homes", *files, "--out", str(tmp_path / "out"), *given])
    assert done.exit_code == 0, done.output
    for number in range(2):
        file = tmp_path / f"out/home{number}-winter-lived.jsonl"
        assert f"{file}: " in done.output
        alone = compression_of({**home(number), "asked": {**home(number)["asked"], "seed": 1}}, quiet)
        assert file.read_text() == alone["lines"]
        assert json.loads(file.with_suffix(".scores.json").read_text())["kept"] == alone["scores"]["kept"]
    (tmp_path / "home1/dictionary.json").unlink()
    for wrong, why in (
        (files, "dictionary.json"),
        ([files[0], files[0]], "both be written"),
        (["/x/y.jsonl"], "is its"),
    ):
        done = CliRunner().invoke(app, ["compress-homes", *wrong, "--out", str(tmp_path / "not"), *given])
        assert done.exit_code == 1
        assert why in done.output
    assert not (tmp_path / "not").exists()


def test_results_are_in_order_and_exact(tmp_path):
    items = drawing(tmp_path / "log", 4)
    found = run(pieces.drawn, items, HERE, quiet)
    assert found == [run(pieces.drawn, [item], HERE, quiet)[0] for item in items]
    assert len({each["sum"] for each in found}) == 4
    with pytest.raises(RetrainError, match="home 2 cannot be learned"):
        run(pieces.refused, items[2:], HERE, quiet)


def test_what_is_done_is_kept_and_what_broke_is_done_again(tmp_path):
    log, done = tmp_path / "log", tmp_path / "done"
    items = drawing(log, 3)
    found = run(pieces.drawn, items, Where(done=done), quiet)
    assert len(pieces.begun(log)) == 3
    assert run(pieces.drawn, items[::-1], Where(done=done), quiet) == found[::-1]
    assert len(pieces.begun(log)) == 3
    files = sorted(done.iterdir())
    files[0].write_bytes(files[0].read_bytes()[:-5])
    assert run(pieces.drawn, items, Where(done=done), quiet) == found
    assert len(pieces.begun(log)) == 4
    run(pieces.drawn, [{**items[0], "other": 1}], Where(done=done), quiet)
    assert len(pieces.begun(log)) == 5


def test_what_was_kept_by_other_code_is_not_taken(tmp_path, monkeypatch):
    kept = Kept(tmp_path, pieces.drawn)
    kept.write({"number": 1}, "1")
    assert kept.read({"number": 1}) == "1"
    assert Kept(tmp_path, pieces.lived).read({"number": 1}) is None
    monkeypatch.setattr("trainer.cluster.code", lambda: "another")
    assert kept.read({"number": 1}) is None


def driver(function, items, cluster, done, out):
    """Start a process that asks for pieces, as a command does."""
    program = (
        "import json, sys; from pathlib import Path; from tests import pieces; from trainer.cluster import Where, run\n"
        "name, items, cluster, done, out = json.loads(sys.argv[1])\n"
        "where = Where(cluster, Path(done) if done else None)\n"
        "found = run(getattr(pieces, name), items, where, lambda *_: None)\n"
        "Path(out).write_text(json.dumps(found))\n"
    )
    told = json.dumps([function, items, cluster, str(done) if done else None, str(out)])
    return subprocess.Popen(
        [sys.executable, "-c", program, told], cwd=ROOT, stderr=subprocess.PIPE, text=True, env=os.environ
    )


def wait(condition, seconds=180.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.02)


def test_a_driver_that_is_killed_goes_on_where_it_was(tmp_path):
    log, done, out = tmp_path / "log", tmp_path / "done", tmp_path / "out.json"
    items = drawing(log, 4, seconds=0.3)
    first = driver("drawn", items, None, done, out)
    wait(lambda: len(list(done.glob("*.json"))) >= 2)
    first.kill()
    first.communicate()
    before = len(list(done.glob("*.json")))
    assert not out.exists()
    assert 2 <= before < 4
    log.unlink()
    second = driver("drawn", items, None, done, out)
    assert second.communicate(timeout=180)[1] == ""
    assert len(pieces.begun(log)) == 4 - before
    assert json.loads(out.read_text()) == run(pieces.drawn, items, HERE, quiet)


@contextmanager
def ray_node(folder, *options):
    """Start a node in a process group of its own; killed with all its workers at the end."""
    with (folder / "log").open("ab") as log:
        command = [Path(sys.executable).with_name("ray"), "start", "--block", "--num-cpus=1", *options]
        command.append("--object-store-memory=100000000")
        node = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, start_new_session=True)
    try:
        yield node
    finally:
        kill(node)


def kill(node):
    with suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)
    node.wait()


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes on this machine: the address, the head's process and the other's."""
    pytest.importorskip("ray", reason="RAY IS MISSING: pip install '.[cluster]'; clusters are NOT tested")
    for name, value in {
        "PYTHONPATH": str(ROOT),  # for the nodes to import the tests' pieces
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_health_check_period_ms": "500",  # a node that is dead is found to be so within two seconds
        "RAY_health_check_initial_delay_ms": "500",
        "RAY_health_check_failure_threshold": "2",
        "OMP_NUM_THREADS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    folder = Path("/tmp") / f"ssr-{secrets.token_hex(4)}"  # sockets lie in it: a short path
    folder.mkdir()
    port = free_port()
    try:
        head = ("--head", f"--port={port}", f"--temp-dir={folder}", "--include-dashboard=false")
        with ray_node(folder, *head) as first:
            wait(lambda: listens(port))
            with ray_node(folder, f"--address=127.0.0.1:{port}") as second:
                yield f"127.0.0.1:{port}", first, second
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_cluster_gives_the_same_though_a_worker_and_a_node_are_killed(cluster, tmp_path):
    address, first, second = cluster
    log, out = tmp_path / "log", tmp_path / "out.json"
    items = [{"number": number, "log": str(log), "wanted": WANTED} for number in range(2)]
    here = []
    reference = threading.Thread(
        target=lambda: here.extend(run(pieces.lived, [{**each, "log": os.devnull} for each in items], HERE, quiet))
    )
    asking = driver("lived", items, address, None, out)
    wait(lambda: any(each.node == second.pid for each in pieces.begun(log)) or asking.poll() is not None)
    lost = next(each for each in pieces.begun(log) if each.node == second.pid)
    kill(second)
    with suppress(ProcessLookupError):  # it goes with its node, in its own time
        os.kill(lost.process, signal.SIGKILL)
    reference.start()
    assert asking.communicate(timeout=180)[1] == ""
    reference.join()
    assert json.loads(out.read_text()) == here
    assert [each.node for each in pieces.begun(log) if each.number == lost.number] == [second.pid, first.pid]

    log.unlink()  # the node that is left: a worker dies, as one does that is out of memory, and a piece fails
    living = [{**home(number), "log": os.devnull} for number in range(2)]
    asking = driver(
        "compressed", [{**each, "log": str(log), "dies": each is living[0]} for each in living], address, None, out
    )
    assert asking.communicate(timeout=180)[1] == ""
    assert sorted(each.number for each in pieces.begun(log)) == [0, 0, 1]
    assert json.loads(out.read_text()) == run(pieces.compressed, living, HERE, quiet)
    asking = driver("refused", living, address, None, out)
    assert "edge.core.errors.RetrainError: home " in asking.communicate(timeout=180)[1]


def test_no_cluster_is_told_in_words():
    pytest.importorskip("ray", reason="RAY IS MISSING: pip install '.[cluster]'; clusters are NOT tested")
    for address, why in ((f"127.0.0.1:{free_port()}", "no cluster answers there"), ("nowhere", "nor HOST:PORT")):
        with pytest.raises(SettingsError, match=why):
            run(pieces.drawn, [{"number": 1}], Where(address), quiet)


def test_the_digest_of_the_code_is_the_same_in_another_process():
    program = "from trainer.cluster import code; print(code())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == code()
