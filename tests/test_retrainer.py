"""Retraining in a real child process: it learns, it repeats itself, and it dies with a reason."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core.errors import RetrainError
from edge.core.sequences import LENGTH, Sequence, Step, tokens
from edge.core.vocabulary import CONTROL_ROWS, Vocabulary
from edge.retrainer import MOST_STEPS, Retrained, retrain, steps_for
from edge.scorer import Scorer
from edge.slots import shipped
from edge.workers import retrain as worker

MODEL = shipped("detector")
ROOT = Path(__file__).parents[1]
PAIRS = [("door", "open"), ("lamp", "on"), ("kettle", "on"), ("kettle", "off"), ("lamp", "off")]
VOCABULARY = Vocabulary().grown([*PAIRS, ("siren", "on")])


def morning(day: int) -> Sequence:
    return tuple(Step(day % 7, 7 + place // 2, *pair) for place, pair in enumerate(PAIRS))


HOME = [morning(day) for day in range(20)]
IDS = tokens(HOME, VOCABULARY)
EVEN = np.ones(len(IDS), np.float32)


def brief(
    ids: NDArray[np.int64] = IDS,
    weight: NDArray[np.float32] = EVEN,
    *,
    steps: int = 60,
    limit_seconds: float = 60,
    model_dir: Path = MODEL,
    **more: object,
) -> Retrained:
    return retrain(
        ids,
        weight,
        model_dir=model_dir,
        steps=steps,
        seed=1,
        batch=16,
        limit_seconds=limit_seconds,
        **more,  # type: ignore[arg-type]
    )


def children() -> set[str]:
    """The retraining processes this one has started and not yet reaped."""
    found = subprocess.run(["ps", "-eo", "ppid,stat,args"], check=True, capture_output=True, text=True).stdout
    mine = {line for line in found.splitlines()[1:] if int(line.split()[0]) == os.getpid()}
    return {line for line in mine if "edge.workers.retrain" in line or "defunct" in line}


def test_it_learns_what_the_home_does() -> None:
    told: list[tuple[int, int]] = []
    trained = brief(steps=120, threads=1, on_progress=lambda step, steps: told.append((step, steps)))
    assert (trained.steps, trained.engine) == (120, "onnxruntime")
    assert told[-1] == (120, 120)
    assert told == sorted(told)
    assert 20 < trained.peak_rss_mb < 400
    assert trained.loss < 6
    scorer = Scorer(MODEL, trained.parameters, VOCABULARY)
    scorer.probe()
    odd = tuple(Step(2, 3, "siren", "on") if place == 2 else step for place, step in enumerate(morning(2)))
    usual, wrong = scorer.scores([morning(2), odd])
    assert wrong > usual + 3
    assert scorer.predict(morning(2)[:2])[0][0] == ("kettle", "on")


def test_the_same_seed_gives_the_same_parameters() -> None:
    first, again = (brief(steps=10, threads=1).parameters for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = retrain(IDS, EVEN, model_dir=MODEL, steps=10, seed=2, batch=16, limit_seconds=60, threads=1).parameters
    assert np.abs(first - other).max() > 0


def test_it_goes_on_from_where_it_is_told() -> None:
    start = brief(steps=60).parameters
    assert brief(steps=20, start=start).loss < brief(steps=20).loss


def test_a_sequence_of_no_weight_is_not_learned() -> None:
    odd = [(Step(0, 3, "siren", "on"),)] * len(HOME)
    ids = tokens([*HOME, *odd], VOCABULARY)
    drawn = worker.order(np.repeat(np.array([1, 0], np.float32), len(HOME)), np.random.default_rng(0))
    assert {next(drawn) for _ in range(200)} == set(range(len(HOME)))
    both = brief(ids, np.ones(len(ids), np.float32)).parameters
    one = brief(ids, np.repeat(np.array([1, 0], np.float32), len(HOME))).parameters
    assert Scorer(MODEL, one, VOCABULARY).scores(odd)[0] > Scorer(MODEL, both, VOCABULARY).scores(odd)[0] + 1


def test_what_is_possible_keeps_a_little_probability_and_nothing_else_does() -> None:
    free = np.array([(VOCABULARY.device_id("siren"), VOCABULARY.control_id("siren", "on"))], np.int64)
    siren = [(Step(0, 7, "siren", "on"),)]
    never, possible = brief(steps=120).parameters, brief(steps=120, possible=free).parameters
    surprise = [Scorer(MODEL, each, VOCABULARY).surprise(siren)[0][0, 0] for each in (never, possible)]
    assert surprise[1] < surprise[0] - 1
    assert surprise[1] > 1.5  # and it is no habit


def test_slips_are_a_share_of_the_real_places() -> None:
    free = np.array([[60, 500], [61, 501]], np.int64)
    many = np.tile(IDS, (40, 1, 1))
    slipped = worker.slip(many, free, np.random.default_rng(0))
    changed = slipped[:, :, worker.CONTROL] != many[:, :, worker.CONTROL]
    real = many[:, :, worker.CONTROL] != worker.PAD
    assert not (changed & ~real).any()
    assert abs(changed[real].mean() - worker.SLIPPED) < 0.02
    assert {tuple(pair) for pair in slipped[changed][:, [worker.DEVICE, worker.CONTROL]]} == {(60, 500), (61, 501)}
    untouched = [field for field in range(many.shape[2]) if field not in {worker.DEVICE, worker.CONTROL}]
    np.testing.assert_array_equal(slipped[:, :, untouched], many[:, :, untouched])
    np.testing.assert_array_equal(worker.slip(many, np.empty((0, 2), np.int64), np.random.default_rng(0)), many)


def test_draws_follow_the_weights_evenly() -> None:
    drawn = worker.order(np.array([1, 1, 1], np.float32), np.random.default_rng(0))
    assert all(sorted(next(drawn) for _ in range(3)) == [0, 1, 2] for _ in range(20))
    drawn = worker.order(np.array([1, 3], np.float32), np.random.default_rng(0))
    counts = np.bincount([next(drawn) for _ in range(400)])
    assert abs(counts[1] - 300) <= 30


def test_masks_hide_something_of_every_sequence_and_never_padding() -> None:
    ids = tokens([morning(day)[: 1 + day % 5] for day in range(200)], VOCABULARY)
    mask = worker.Guide(CONTROL_ROWS).hide(ids, np.random.default_rng(0))
    assert mask.shape == (200, LENGTH, 2)
    assert (mask.sum(1) >= 1).all()
    assert not mask[ids[:, :, 3] == 0].any()
    assert set(np.unique(mask)) == {0, 1}


def test_what_surprised_is_hidden_more_often() -> None:
    guide, chance = worker.Guide(CONTROL_ROWS), np.random.default_rng(0)
    ids = tokens(HOME * 20, VOCABULARY)
    hard = VOCABULARY.control_id("kettle", "off")
    is_hard = ids[:, :, worker.CONTROL] == hard
    before = guide.hide(ids, chance)[:, :, 0]
    for _ in range(20):
        batch = {"tokens": ids, "mask": guide.hide(ids, chance)}
        guide.learn(ids, batch, np.where(is_hard, 4.0, 0.5).astype(np.float32))
    after = guide.hide(ids, chance)
    real = ids[:, :, worker.CONTROL] != 0
    assert after[:, :, 0][is_hard].mean() > 1.5 * before[is_hard].mean()
    assert after[:, :, 0][real].mean() == pytest.approx(before[real].mean(), abs=0.06)  # as much in all
    assert after[:, :, 1][is_hard].mean() == pytest.approx(after[:, :, 1][real].mean(), abs=0.05)


def test_some_names_are_forgotten_and_nothing_else() -> None:
    ids = tokens([morning(day)[: 1 + day % 5] for day in range(400)], VOCABULARY)
    shown = worker.forget(ids, np.random.default_rng(0))
    gone = (shown != ids).any(-1)
    assert 0.03 < gone.sum() / (ids[:, :, 3] != 0).sum() < 0.07
    assert (shown[gone][:, 2:4] == 1).all()
    np.testing.assert_array_equal(shown[..., [0, 1, 4, 5]], ids[..., [0, 1, 4, 5]])
    np.testing.assert_array_equal(shown[ids[:, :, 3] == 0], ids[ids[:, :, 3] == 0])


def test_steps_follow_what_counts() -> None:
    assert steps_for(np.ones(300, np.float32)) == steps_for(np.full(300, 0.1, np.float32)) == 380
    assert steps_for(np.repeat(np.array([1, 0], np.float32), 300)) == 380
    assert 380 < steps_for(np.repeat(np.array([2, 0.5], np.float32), 300)) < 680
    assert steps_for(np.ones(10**6, np.float32)) == MOST_STEPS
    assert retrain(IDS, EVEN, model_dir=MODEL, seed=0, limit_seconds=60).steps == 100


def test_the_rate_rises_and_falls() -> None:
    rates = [worker.rate(step, 100, 1e-3) for step in range(100)]
    assert max(rates) == pytest.approx(1e-3)
    assert rates[0] < rates[4] >= rates[5] > rates[50] > rates[99] > 0
    assert worker.rate(0, 1, 1e-3) > 0


@pytest.mark.parametrize(
    ("ids", "weight", "word"),
    [
        (IDS[:0], EVEN[:0], "no sequences"),
        (IDS[:, :5], EVEN, "shape"),
        (IDS.astype(np.int32), EVEN, "int32"),
        (IDS, EVEN[:3], "weights"),
        (IDS, EVEN * 0, "weights"),
        (IDS, -EVEN, "weights"),
        (IDS, EVEN * np.nan, "weights"),
    ],
)
def test_bad_data_starts_nothing(ids: NDArray[np.int64], weight: NDArray[np.float32], word: str) -> None:
    with pytest.raises(RetrainError, match=word):
        brief(ids, weight)


def test_time_is_limited() -> None:
    began = time.monotonic()
    with pytest.raises(RetrainError, match="in time"):
        brief(steps=1_000_000, limit_seconds=1.5)
    assert time.monotonic() - began < 8
    assert not children()


def test_it_can_be_cancelled() -> None:
    cancel = threading.Event()
    began = time.monotonic()
    with pytest.raises(RetrainError, match="cancelled"):
        brief(steps=1_000_000, on_progress=lambda *_: cancel.set(), cancel=cancel)
    assert time.monotonic() - began < 30
    assert not children()


def test_an_error_while_watching_leaves_no_child() -> None:
    def stumble(step: int, steps: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        brief(steps=1_000_000, on_progress=stumble)
    assert not children()


def test_memory_is_limited() -> None:
    brief(steps=5, memory_mb=1024)
    with pytest.raises(RetrainError, match="want of memory"):
        brief(memory_mb=100)


def test_what_is_not_finite_is_told() -> None:
    start = np.full_like(np.load(MODEL / "initial.npy"), np.nan)
    with pytest.raises(RetrainError, match="not finite at step 1"):
        brief(start=start)


def test_a_corrupt_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(RetrainError, match="holds no model"):
        brief(model_dir=tmp_path)
    for name in ("manifest.json", "initial.npy", "train_step.onnx"):
        (tmp_path / name).write_bytes((MODEL / name).read_bytes())
    cut = (MODEL / "train_step.onnx").read_bytes()[:1000]
    (tmp_path / "train_step.onnx").write_bytes(cut)
    with pytest.raises(RetrainError, match="not the file its manifest describes"):
        brief(model_dir=tmp_path)
    told = json.loads((tmp_path / "manifest.json").read_bytes())
    told["files"]["train_step.onnx"] = hashlib.sha256(cut).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(RetrainError, match=r"exit status 1.*INVALID"):
        brief(model_dir=tmp_path)
    (tmp_path / "initial.npy").write_bytes(b"")
    with pytest.raises(RetrainError, match=r"initial\.npy"):
        brief(model_dir=tmp_path)
    with pytest.raises(RetrainError, match="died"):
        brief(start=np.zeros(7, np.float32))


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("print('hello')", "hello"),
        ("print('[]')", "said"),
        ("pass", "without a result"),
        ("import sys; sys.exit('the reason')", "exit status 1: the reason"),
        ("raise MemoryError", "want of memory"),
        ('print(\'{"peak_rss_mb": 1, "loss": 1}\')', "no parameters"),
    ],
)
def test_any_death_has_its_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str, word: str) -> None:
    package = tmp_path / "edge"
    (package / "workers").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "workers" / "__init__.py").touch()
    (package / "workers" / "retrain.py").write_text(body)
    monkeypatch.setattr("edge.retrainer.edge.__file__", str(package / "__init__.py"))
    with pytest.raises(RetrainError, match=word):
        brief()


def test_who_is_killed_takes_the_child_along_and_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import numpy as np\nfrom pathlib import Path\nfrom edge.retrainer import retrain\n"
        "retrain(np.ones((9, 10, 6), np.int64), np.ones(9, np.float32), seed=0, steps=10**6, limit_seconds=600,\n"
        f"        model_dir=Path({str(MODEL)!r}), on_progress=lambda *_: print('goes', flush=True))"
    )
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT, env=env)
    assert parent.stdout is not None
    with parent, parent.stdout:
        assert parent.stdout.readline() == b"goes\n"
        (child,) = [
            int(pid) for each in Path(f"/proc/{parent.pid}/task").glob("*/children") for pid in each.read_text().split()
        ]
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 20
        while runs(child):
            assert time.monotonic() < deadline, "the child goes on"
            time.sleep(0.01)
    assert list(tmp_path.iterdir()) == []


def runs(pid: int) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())  # one that was not reaped yet has none
    except OSError:
        return False


def test_some_sequences_end_where_something_is_hidden_as_they_are_scored() -> None:
    ids = tokens([morning(day)[: 1 + day % 5] for day in range(400)], VOCABULARY)
    chance = np.random.default_rng(0)
    shown, mask = worker.cut(ids, worker.Guide(CONTROL_ROWS).hide(ids, chance), chance)
    real = shown[:, :, worker.CONTROL] != worker.PAD
    kept = np.where((shown == ids).all(-1), True, ~real)
    assert kept.all()  # a place is as it was, or padding
    assert (shown[~real] == tokens([()], VOCABULARY)[0, 0]).all()
    assert not mask[~real].any()
    shorter = real.sum(1) < (ids[:, :, worker.CONTROL] != worker.PAD).sum(1)
    assert 0.05 < shorter.mean() < worker.CUT
    last = real.sum(1)[shorter] - 1
    assert (mask[shorter].sum((1, 2)) == 1).all()
    assert (mask[shorter, last].sum(1) == 1).all()
