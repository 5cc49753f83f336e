"""The model card of the behavior language model, from its manifest, and the pictures of its losses."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COMMAND = "sceneshift-trainer behavior-lm --size {size} --steps {steps} --seed {seed}"
_CARD = """# {name} {version}

A small language model (llama architecture, size `{size}`: {parameters:,} parameters, byte-level BPE of {vocabulary})
that writes what a home does in another scene (season, part of day, occupancy, away, guests, a device that is new or
gone), one behavior sequence a reply. It is made for this one task: it does not chat.

## Task
The prompt (`edge.core.prompts`) tells the home's devices, habits and transitions, then asks for one of these:

- rewriting: a sequence of the home, its scene and the new one; the reply is what becomes of it, or "nothing". A letter
  keeps a behavior of the sequence, at its time or moved; what is new is written out (`edge.core.replies`).
- a device that joins: the same, `with` a device and its controls that is to take part.
- writing anew: a scene and no sequence, with or without a device.

The grammar of a reply holds it to the home's names. A second line gives the reason where it is asked for: what left,
what joined, whether the hours moved.

## Data
Homes that the project simulates (`trainer/homes`): daylight, temperature, people, habits, devices. No recorded data.
The control names of the public SmartThings logs (SmartSense, CIKM 2022; SmartGen, MIT, 2025) occur as spellings.
What is to join is what the new scene wakes, or a device taken out of the source (`trainer/lessons.py`); a share of
the scenes takes a device away.

## Training
`{command}` on a CPU:
{steps:,} steps, {tokens:,} tokens, {trained} minutes; loss on replies only, Muon and AdamW, bfloat16 where the CPU has
it. The weights begin random but for a copying circuit and a look at the scene that are set by hand
(`trainer/induction.py`). The steps end a run, and its batches follow from the seed; rounding differs between
processors, so the file is not the same to the byte. Curve: loss.png.

## Figures
Made by the same command on held-out simulated homes (seeds of their own), written to manifest.json.

Reply loss in nats a token (f32, torch; `trainer/conditioning.py`):

| context | loss |
| --- | --- |
{context}

`wrong_scene` asks for another change than the right one; `other_sequence` for another sequence of the home;
`other_home` stands behind another home's devices and habits. `edited_*`: only requests whose reply differs from the
source. `NAME_right`: those whose scene changes NAME first; `untold`: the prompt says that the scene stays as it was.

What llama.cpp writes (grammar, temperature 0.7; `trainer/trial.py`):

| figure | {columns} |
| --- | {rule} |
{tried}

`night_*`: from daytime to night; `spring_*`, `heating_*`: from winter to spring. `*_exact`: the reply is, step for
step, what the simulated people did (sampling and chance keep this far from 1). `joining_written`: the device that is
to join does. `nothing_added`: no other control than the source's, where none is to join.

## Limits
- It has seen simulated homes only; on recorded homes it is measured by `sceneshift-trainer evaluate scene-shift`.
- It knows a scene by its few words alone: no temperature, no date, no reason why people are away.
- How much of a scene it has learned stands in the figures: the smaller `NAME_untold` minus `NAME_right`, the less.
- What the scene adds is a guess at how this home would use it. The hub's filters catch what a scene forbids, not
  what is missing.
- A reason is written as the rules of the simulation would state it: it describes the reply, it does not explain people.
- Names must be short plain text as `edge.core.prompts.clean` makes them. No prompt beyond 1,024 tokens was trained.
- The grammar is part of the system: without it nothing keeps a reply within the dictionary.
"""


def text(manifest: Mapping[str, Any]) -> str:
    """Return the card of a manifest."""
    training, tried = manifest["training"], manifest["generation"]
    names = list(tried)
    size = manifest.get("size", "nano")
    return _CARD.format(
        name=manifest["name"],
        version=manifest["version"],
        size=size,
        parameters=manifest["parameters"],
        vocabulary=manifest["tokenizer"]["vocabulary"],
        command=_COMMAND.format(size=size, steps=training["steps"], seed=manifest["seed"]),
        steps=training["steps"],
        tokens=training["tokens"],
        trained=training["minutes"],
        context="\n".join(f"| {key} | {value} |" for key, value in manifest["conditioning"].items()),
        columns=" | ".join(names),
        rule=" | ".join("---" for _ in names),
        tried="\n".join(
            f"| {key} | " + " | ".join(str(tried[name][key]) for name in names) + " |" for key in tried[names[0]]
        ),
    )


def curve(losses: list[float], path: Path, window: int = 20) -> None:
    """Draw the loss of every step, and its running mean, as a PNG."""
    figure = _figure()
    axes = figure.add_subplot()
    axes.plot(losses, linewidth=0.5, alpha=0.4)
    if len(losses) >= window:
        axes.plot(np.arange(window - 1, len(losses)), np.convolve(losses, np.ones(window) / window, "valid"))
    axes.set_xlabel("step")
    axes.set_ylabel("reply loss (nats a token)")
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})


def growth(points: Mapping[str, list[tuple[int, float]]], path: Path) -> None:
    """Draw the loss in nats a token against each count it is measured by, side by side, as a PNG."""
    figure = _figure()
    for place, (name, found) in enumerate(points.items(), start=1):
        axes = figure.add_subplot(1, len(points), place)
        axes.semilogx([count for count, _ in found], [loss for _, loss in found], "o-")
        axes.set_xlabel(name)
        axes.set_ylabel("held-out reply loss (nats a token)")
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})


def _figure() -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7, 4), dpi=100)
    FigureCanvasAgg(figure)
    return figure
