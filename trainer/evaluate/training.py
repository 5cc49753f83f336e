"""What training is worth: several sizes, several numbers of homes, plain and robust, judged on homes held out.

Networks of few equal steps, each begun as the one that ships; they are for comparison with each other only.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer

from edge.core.errors import SettingsError
from trainer import behavior_lm, conditioning, model_card
from trainer.corpus import Population, Sample
from trainer.evaluate.figures import Figures, summary
from trainer.training import Training

HELD_OUT = 120  # homes a network is judged on
ROWS_A_STEP = 7  # two batches, of four rows mostly and of two at every fourth (trainer.batches)
TINY = {"width": 160, "layers": 2, "heads": 8, "groups": 4, "inner": 192}  # 0.8 M parameters
NANO = behavior_lm.SIZES["nano"]  # 3.1 M
MEDIUM = {"width": 384, "layers": 5, "heads": 12, "groups": 4, "inner": 768}  # 7.6 M


@dataclass(frozen=True, slots=True)
class Plan:
    """One network to train: its shape, how many homes it learns from (None: a new one each row), and how."""

    shape: Mapping[str, int]
    homes: int | None = None
    robust: bool = False


PLANS = {
    "tiny": Plan(TINY),
    "nano": Plan(NANO),
    "medium": Plan(MEDIUM),
    "nano-30-homes": Plan(NANO, homes=30),
    "nano-300-homes": Plan(NANO, homes=300),
    "nano-robust": Plan(NANO, robust=True),
}
COMPARED = {  # runs side by side, and the fact that tells them apart
    "parameters": ("tiny", "nano", "medium"),
    "homes": ("nano-30-homes", "nano-300-homes", "nano"),
    "robust": ("nano", "nano-robust"),
}


@dataclass(frozen=True)
class Wanted:
    """What was asked on the command line; `only`: names of runs, all of them where there is none."""

    steps: int = 300
    seeds: int = 1
    only: tuple[str, ...] = ()
    json: Path | None = None
    folder: Path = Path("runs/training")
    held_out: int = HELD_OUT


def judged(training: Training, words: Tokenizer, samples: list[Sample]) -> Figures:
    """Return what a trained network is worth: losses in nats a token of the replies, and recalls."""
    network = training.network.eval()
    asked = conditioning.contexts(samples)
    right, scene, home = (
        conditioning.loss(network, words, asked[name]) for name in ("right", "wrong_scene", "other_home")
    )
    course = {"tokens": training.course.tokens, "seconds": round(training.course.seconds, 1)}
    losses = {"loss": right, "wrong_scene_minus_right": scene - right, "other_home_minus_right": home - right}
    return {**course, **losses, **conditioning.recall(conditioning.foretold(network, words, samples))}


def train(plan: Plan, seed: int, folder: Path, steps: int, words: Tokenizer) -> Training:
    """Train one network, from where it stopped if it did."""
    training = behavior_lm.begin(folder, plan.shape, words, Population(seed, homes=plan.homes), steps)
    training.robust = plan.robust
    if training.checkpoint.exists():
        training.resume()
    training.run()
    return training


def told(plan: Plan, training: Training, words: Tokenizer, held_out: int) -> dict[str, Any]:
    """Return the facts of a run, and its figures on a number of held-out homes, the same for all runs."""
    rows = ROWS_A_STEP * training.steps
    return {
        "parameters": sum(weight.numel() for weight in training.network.parameters()),
        "homes": min(plan.homes or rows, rows),
        "robust": plan.robust,
        "steps": training.steps,
        "held_out_homes": held_out,
        "figures": judged(training, words, conditioning.held_out(0, held_out)),
    }


def _write(path: Path, content: Mapping[str, Any]) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    draft.replace(path)


def run(wanted: Wanted, plans: Mapping[str, Plan] = PLANS) -> dict[str, Any]:
    """Train what is not trained yet, seed by seed; prints as it goes, and writes all there is after every run."""
    if wrong := sorted(set(wanted.only) - set(plans)):
        raise SettingsError(f"no run is called {wrong[0][:40]!r}; there are {', '.join(plans)}")
    console = Console()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    with console.status("tokenizer"):
        words = behavior_lm.vocabulary(wanted.folder, 0, resume=True)
    found: dict[str, Any] = {}
    for seed in range(wanted.seeds):
        for name in wanted.only or plans:
            folder = _place(wanted, name, seed)
            if not (folder / "figures.json").exists():
                console.print(f"{name}, seed {seed}, {wanted.steps} steps: {folder}")
                training = train(plans[name], seed, folder, wanted.steps, words)
                with console.status(f"judging on {wanted.held_out} homes"):
                    _write(folder / "figures.json", told(plans[name], training, words, wanted.held_out))
            found = collected(wanted, plans)
            _tell(found, wanted.json)
    for fact, names in COMPARED.items():
        if present := {name: found[name] for name in names if name in found}:
            console.print(table(fact, present))
    return found


def collected(wanted: Wanted, plans: Mapping[str, Plan]) -> dict[str, Any]:
    """Return the facts of every finished run of these steps, and its figures as mean and spread over the seeds."""
    found: dict[str, Any] = {}
    for name in plans:
        paths = (_place(wanted, name, seed) / "figures.json" for seed in range(wanted.seeds))
        runs = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]
        if runs:
            found[name] = {**runs[0], **summary([each["figures"] for each in runs])}
            del found[name]["figures"]
    return found


def _place(wanted: Wanted, name: str, seed: int) -> Path:
    """Return the folder of a run; with other steps or another seed it is another run."""
    return wanted.folder / name / f"{wanted.steps}-{seed}"


def _tell(found: Mapping[str, Any], path: Path | None) -> None:
    if path is None:
        return
    _write(path, {"runs": found})
    drawn = {
        fact: [(found[name][fact], found[name]["loss"]["mean"]) for name in COMPARED[fact] if name in found]
        for fact in ("parameters", "homes")
    }
    model_card.growth(drawn, path.with_suffix(".png"))


def table(fact: str, runs: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return the runs of one comparison side by side."""
    out = Table(fact, *(f"{name}\n{run[fact]:,}" if fact != "robust" else name for name, run in runs.items()))
    for each in dict.fromkeys(key for run in runs.values() for key, value in run.items() if isinstance(value, dict)):
        cells = [run.get(each, {"mean": None}) for run in runs.values()]
        out.add_row(each, *("-" if cell["mean"] is None else _cell(cell) for cell in cells))
    return out


def _cell(figure: Mapping[str, Any]) -> str:
    mean = f"{figure['mean']:,.0f}" if figure["mean"] >= 10 else f"{figure['mean']:.3f}"
    return f"{mean} ±{figure['std']:.3f}" if figure["seeds"] > 1 else mean
