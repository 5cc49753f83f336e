"""A model is loaded and run once before it is used: what does not run on this machine is told, and never used."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge.catalog import whole
from edge.core.bundle import DETECTOR, LANGUAGE_MODEL
from edge.core.errors import ArtifactError, RetrainError
from edge.core.growth import parse_layout
from edge.core.manifest import Described
from edge.core.sequences import LENGTH, Step, tokens
from edge.core.vectors import vector
from edge.core.vocabulary import Vocabulary
from edge.retrainer import retrain
from edge.scorer import Scorer
from edge.secrecy import spared
from edge.slots import verify_model

SECONDS = 120.0  # of loading a language model or of two training steps, on a slow card
_PAIRS = [("lamp", "switch on"), ("door", "contact open")]


def try_out(folder: Path, name: str, version: int) -> None:
    """Load and run a model that a bundle calls so; raises ArtifactError with what does not fit."""
    described = Described.parse((folder / "manifest.json").read_bytes())
    if (described.name, described.version) != (name, version):
        raise ArtifactError(f"{name} {version} calls itself {described.name} {described.version}")
    if not whole(folder):
        raise ArtifactError(f"{name} {version}: its files are not those its own manifest describes")
    tried: dict[str, Callable[[Path], None]] = {DETECTOR: _detector, LANGUAGE_MODEL: _language_model}
    tried[name](folder)


def _detector(folder: Path) -> None:
    """Score, foretell and train with it, with the code that will."""
    manifest = verify_model(folder)
    if wrong := manifest.misfits():
        raise ArtifactError(f"the detector's graphs do not fit this hub's sequences: {', '.join(wrong)}")
    try:
        initial = vector((folder / "initial.npy").read_bytes())
        parse_layout(json.loads((folder / "layout.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError, ArtifactError) as error:
        raise ArtifactError(f"the detector's beginning cannot be read: {error}") from error
    if len(initial) != manifest.parameters:
        raise ArtifactError(f"the detector's initial.npy is not {manifest.parameters} finite numbers")
    vocabulary = Vocabulary().grown(_PAIRS)
    Scorer(folder, initial, vocabulary).probe()
    lived = [tuple(Step(place % 7, 3 * place % 24, *_PAIRS[place % 2]) for place in range(LENGTH))]
    try:
        retrain(
            tokens(lived, vocabulary),
            np.ones(1, np.float32),
            model_dir=folder,
            seed=0,
            steps=2,
            threads=1,
            limit_seconds=SECONDS,
        )
    except RetrainError as error:
        raise ArtifactError(f"the detector does not train here: {error}") from error


def _language_model(folder: Path) -> None:
    """Let llama.cpp load every file, in a child: a file it cannot take may end the process."""
    for file in sorted(folder.glob("*.gguf")):
        with file.open("rb") as opened:
            if opened.read(4) != b"GGUF":
                raise ArtifactError(f"{file.name} is no GGUF file")
        if importlib.util.find_spec("llama_cpp") is None:
            continue  # the hub scores, but cannot adapt: `sceneshift doctor` says so
        command = [sys.executable, "-m", "edge.workers.needs", str(file)]
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=SECONDS, env=spared())
        except subprocess.TimeoutExpired as error:
            raise ArtifactError(f"{file.name} does not load within {SECONDS:.0f} s") from error
        if done.returncode != 0:
            raise ArtifactError(
                f"{file.name} does not load: this llama.cpp does not know its architecture, or it broke"
            )
