"""The light form held against cross-fitting: what the hub's own model says of a home's sequences."""

import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from edge import compose
from edge.core.compress import importance_of
from edge.settings import Settings
from edge.slots import Slots
from trainer.evaluate.compression_fidelity import agreement
from trainer.evaluate.scene_shift import learned
from trainer.evaluate.shifts import recorded
from trainer.sppc import importance
from trainer.sppc.windows import Windows


def light(data: Path, home: str, seed: int) -> dict[str, dict[str, float]]:
    """Return how the hub's model, trained on the home, agrees with cross-fitting; seconds of one processor.

    `light`: as edge/core/compress.py has it. `score`: the score of alerts, the most surprising step.
    """
    shift = recorded(data, home, "spring")[0]
    sequences = shift.home.sequences
    windows = Windows.of(sequences)
    truth = importance.crossfit(windows, seed + 20)
    with tempfile.TemporaryDirectory(prefix="sceneshift-evaluate-") as name:
        slow = compose.slow_loop(Settings(), Slots(Path(name)), threading.Event())
        slow.reseed(seed)
        scorer = learned(slow, shift).scorer
        begun = time.process_time()
        found = importance_of(sequences, scorer.surprise(sequences))
        seconds = time.process_time() - begun
    scores = np.asarray(scorer.scores(sequences), np.float64)
    return {
        "light": {**agreement(found, truth, windows.length), "seconds": seconds},
        "score": agreement(scores, truth, windows.length),
    }
