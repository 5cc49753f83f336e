"""Do the exported graphs compute what torch computes? A second opinion: torch's own AdamW and autograd."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from edge.core.sequences import DAYS, DURATIONS, LENGTH, PAD_DAY, PAD_DURATION
from edge.core.vocabulary import CONTROL_ROWS, DEVICE_ROWS, FIRST, PAD, TIME_ROWS
from trainer import detector

BATCHES = (64, 17, 1, 33, 200)
STEPS = 100
_LR = 1e-3
# Measured over seeds: gradient 2e-7; parameters after 100 steps 3e-6 but for one in 10,000 whose gradient is nearly
# zero, where Adam makes moves of rounding noise (up to 3e-4). So: no parameter far off, and all together hardly.
_OUTPUT, _GRADIENT, _PARAMETER, _TOGETHER = 1e-4, 1e-5, 5e-3, 1e-3


class ExportError(Exception):
    """The graphs may not ship; the message says which check failed."""


@dataclass(frozen=True, slots=True)
class Example:
    """One batch: tokens (B, LENGTH, 6), mask (B, LENGTH, 2), weight (B,)."""

    tokens: NDArray[np.int64]
    mask: NDArray[np.float32]
    weight: NDArray[np.float32]

    def feed(self) -> dict[str, NDArray[np.int64] | NDArray[np.float32]]:
        """Name the batch as the graphs do."""
        return {"tokens": self.tokens, "mask": self.mask, "weight": self.weight}

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the batch for torch."""
        return torch.from_numpy(self.tokens), torch.from_numpy(self.mask), torch.from_numpy(self.weight)


def example(batch: int, seed: int) -> Example:
    """Make a batch with every kind of place in it: padded, unknown, hidden, of differing weight."""
    chance = np.random.default_rng(seed)
    rows = (DAYS, TIME_ROWS - 1, DEVICE_ROWS, CONTROL_ROWS, DURATIONS - 1, DURATIONS - 1)
    tokens = np.stack([chance.integers(0, count, (batch, LENGTH)) for count in rows], -1)
    tokens[..., 2:4] = np.maximum(tokens[..., 2:4], FIRST - 1)
    padded = np.arange(LENGTH) >= chance.integers(1, LENGTH + 1, (batch, 1))
    tokens[padded] = (PAD_DAY, TIME_ROWS - 1, PAD, PAD, PAD_DURATION, PAD_DURATION)
    mask = ((chance.random((batch, LENGTH, 2)) < 0.3) & ~padded[..., None]).astype(np.float32)
    mask[:, 0] = 1
    return Example(tokens, mask, chance.uniform(0.2, 1, batch).astype(np.float32))


def check(graphs: Mapping[str, onnx.ModelProto], seed: int) -> dict[str, float]:
    """Compare the three graphs with torch; returns the greatest differences, raises ExportError at a failure."""
    for name, graph in graphs.items():
        dimensions = {value.name: value.type.tensor_type.shape.dim for value in graph.graph.input}
        if not dimensions["tokens"][0].dim_param:
            raise ExportError(f"{name}: the batch is frozen at {dimensions['tokens'][0].dim_value}")
    # Distinct values everywhere: at its start a network has many equal tensors, and a mix-up would not show.
    flat = detector.initial(seed) + 0.05 * torch.randn(detector.COUNT, generator=torch.Generator().manual_seed(seed))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as ONNX Runtime here; on a busy machine torch's waiting threads take ten times as long
    try:
        return _check_outputs(graphs, flat, seed) | _check_training(graphs["train_step.onnx"], flat, seed)
    finally:
        torch.set_num_threads(threads)


def session(graph: onnx.ModelProto, flat: NDArray[np.float32] | None = None) -> ort.InferenceSession:
    """Load a graph; an inference graph needs the parameters it shall use."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if flat is not None:
        options.add_external_initializers(["flat"], [ort.OrtValue.ortvalue_from_numpy(flat)])
    return ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _check_outputs(graphs: Mapping[str, onnx.ModelProto], flat: torch.Tensor, seed: int) -> dict[str, float]:
    score, predict = (session(graphs[name], flat.numpy()) for name in ("score.onnx", "predict.onnx"))
    worst = 0.0
    for batch in range(1, 201):
        one = example(batch, seed + batch)
        tokens, mask, _ = one.tensors()
        with torch.no_grad():
            expected = [*detector.score(flat, tokens, mask), detector.predict(flat, tokens)]
        got = [
            *score.run(None, {"tokens": one.tokens, "mask": one.mask}),
            *predict.run(None, {"tokens": one.tokens}),
        ]
        for name, mine, theirs in zip(("what", "when", "since", "next"), got, expected, strict=True):
            if mine.shape != tuple(theirs.shape):
                raise ExportError(f"{name}: shape {mine.shape} for a batch of {batch}")
            worst = max(worst, _difference(name, mine, theirs.numpy(), _OUTPUT))
    return {"outputs": worst}


def _check_training(graph: onnx.ModelProto, flat: torch.Tensor, seed: int) -> dict[str, float]:
    examples = [example(BATCHES[step % len(BATCHES)], seed + step) for step in range(STEPS)]
    ours, reference = _onnx_steps(graph, flat.numpy(), examples), _torch_steps(flat, examples)
    worst = {"loss": 0.0, "gradient": 0.0, "parameters": 0.0}
    for number, (mine, theirs) in enumerate(zip(ours, reference, strict=True)):
        loss, moment, parameters = mine
        worst["loss"] = max(worst["loss"], _difference("loss", loss, theirs[0], _OUTPUT * 10))
        if number == 0:
            worst["gradient"] = _difference("gradient", moment / (1 - detector.BETA1), theirs[1], _GRADIENT)
        if number == STEPS - 1:
            worst["parameters"] = _difference("parameters", parameters, theirs[2], _PARAMETER)
            moved = theirs[2] - flat.numpy()
            worst["together"] = float(np.linalg.norm(parameters - theirs[2]) / np.linalg.norm(moved))
            if worst["together"] > _TOGETHER:
                raise ExportError(f"parameters: together {worst['together']:.1e} of their way off torch's")
    return worst


Step = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def _onnx_steps(graph: onnx.ModelProto, flat: NDArray[np.float32], examples: list[Example]) -> Iterator[Step]:
    """Yield loss, first moment and parameters after each step of the graph."""
    run = session(graph)
    state = [flat, np.zeros_like(flat), np.zeros_like(flat), np.zeros((), np.float32)]
    for one in examples:
        named = dict(zip(("flat", "m", "v", "step"), state, strict=True))
        *state, loss, _ = run.run(None, {**named, "lr": np.array(_LR, np.float32), **one.feed()})
        yield loss, state[1], state[0]


def _torch_steps(flat: torch.Tensor, examples: list[Example]) -> Iterator[Step]:
    """Yield loss, gradient and parameters after each step of torch.optim.AdamW."""
    parameters = flat.clone().requires_grad_()
    optimizer = torch.optim.AdamW(
        [parameters],
        lr=_LR,
        betas=(detector.BETA1, detector.BETA2),
        eps=detector.EPSILON,
        weight_decay=detector.WEIGHT_DECAY,
    )
    for one in examples:
        optimizer.zero_grad()
        loss, _ = detector.objective(detector.named(detector.pieces(parameters)), *one.tensors())
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        assert parameters.grad is not None
        yield loss.detach().numpy(), parameters.grad.numpy().copy(), parameters.detach().numpy().copy()


def _difference(what: str, mine: NDArray[np.float32], theirs: NDArray[np.float32], tolerance: float) -> float:
    """Return the greatest absolute difference; raises ExportError beyond the tolerance or for a value not finite."""
    if not (np.isfinite(mine).all() and np.isfinite(theirs).all()):
        raise ExportError(f"{what}: not finite")
    worst = float(np.abs(mine - theirs).max())
    if worst > tolerance:
        raise ExportError(f"{what}: ONNX and torch differ by {worst:.1e}, more than {tolerance:.0e}")
    return worst
