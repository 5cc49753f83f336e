"""The model card and the loss curve of the behavior language model, from its manifest."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_COMMAND = "python -m trainer behavior-lm --minutes {minutes:.0f} --seed {seed}"
_CARD = """# {name} {version}

A small language model (llama architecture, {parameters:,} parameters, byte-level BPE of {vocabulary}) that rewrites one
behavior sequence of a home into another scene (season, part of day, occupancy, away, guests, a new device), in
the prompt that `edge.core.prompts` builds. It is made for this one task: it does not chat.

## Data
Homes that the project simulates (`trainer/homes`): daylight, temperature, people, habits, devices. No recorded data.
The control names of the public SmartThings logs (SmartSense, CIKM 2022; SmartGen, MIT, 2025) occur as spellings.

## Training
`{command}` on a CPU: {steps:,} steps, {tokens:,} tokens, {trained} minutes, loss on replies
only, Muon and AdamW, bfloat16 where the CPU has it. The weights begin random but for a copying circuit and a look at
the scene that are set by hand (`trainer/induction.py`). The time, not a number of steps, ends a run, so a
faster or idler machine makes another file. Gone on with by `--resume` at minutes: {resumed}. Curve: loss.png.

## Figures
Made by the same command on held-out simulated homes (seeds of their own), written to manifest.json.

Reply loss in nats a token (f32, torch):

| context | loss |
| --- | --- |
{context}

`wrong_scene` asks for another change than the right one; `other_sequence` for another sequence of the home.
`edited_*`: only requests whose reply differs from the source; `untold`: the prompt says that the scene stays as it was.

What llama.cpp writes (grammar, temperature 0.7):

| figure | {columns} |
| --- | {rule} |
{tried}

`*_exact`: the reply is, step for step, what the simulated people did (sampling and chance keep this far from 1).

## Limits
- It has seen simulated homes only; on recorded homes it is measured by `sceneshift-trainer evaluate`, not here.
- Part of the day is learned; season only in part: compare `season_right` with `season_untold`, and how much heating
  is left in spring. What a scene adds (a cooler that wakes, a second person) is a guess, and cooling is written too
  seldom. The hub's filters catch what the scene forbids, not what is missing.
- `other_home` swaps devices and habits only, and costs little: replies follow the sequence asked for.
- Names must be short plain text as `edge.core.prompts.clean` makes them. No prompt beyond 1,024 tokens was trained.
- The grammar is part of the system: without it nothing keeps a reply within the dictionary.
"""


def text(manifest: Mapping[str, Any]) -> str:
    """Return the card of a manifest."""
    training, tried = manifest["training"], manifest["generation"]
    names = list(tried)
    return _CARD.format(
        name=manifest["name"],
        version=manifest["version"],
        parameters=manifest["parameters"],
        vocabulary=manifest["tokenizer"]["vocabulary"],
        command=_COMMAND.format(minutes=training["minutes"], seed=manifest["seed"]),
        steps=training["steps"],
        tokens=training["tokens"],
        trained=training["minutes"],
        resumed=", ".join(map(str, training["resumed_at_minutes"])) or "never",
        context="\n".join(f"| {key} | {value} |" for key, value in manifest["conditioning"].items()),
        columns=" | ".join(names),
        rule=" | ".join("---" for _ in names),
        tried="\n".join(
            f"| {key} | " + " | ".join(str(tried[name][key]) for name in names) + " |" for key in tried[names[0]]
        ),
    )


def curve(losses: list[float], path: Path, window: int = 20) -> None:
    """Draw the loss of every step, and its running mean, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7, 4), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(losses, linewidth=0.5, alpha=0.4)
    if len(losses) >= window:
        axes.plot(np.arange(window - 1, len(losses)), np.convolve(losses, np.ones(window) / window, "valid"))
    axes.set_xlabel("step")
    axes.set_ylabel("reply loss (nats a token)")
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
