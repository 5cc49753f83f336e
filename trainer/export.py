"""The compact network to three ONNX graphs and a manifest; refuses to finish where ONNX and torch disagree.

score.onnx        tokens, mask -> what, when, since   log-probabilities; weights in one external initializer, `flat`
predict.onnx      tokens -> next                the same
train_step.onnx   flat, m, v, step, lr, tokens, mask, weight -> flat_out, m_out, v_out, step_out, loss, nats
initial.npy       where a home's training starts
layout.json       each tensor's offset and shape in the flat vector: what the hub must know to add a device

The inference graphs hold no weights. The hub supplies `flat` with one add_external_initializers call, which
ONNX Runtime makes before it optimizes, so the splits fold away at load; a graph loaded without it, or with
a vector of another size, fails. (add_initializer comes after folding: the old weights would stay, unnoticed.)
Exported with the weights as constants, equal tensors would be merged and could not be told apart again.
"""

import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from edge.core.manifest import ModelManifest, NetworkSizes
from edge.core.sequences import DAYS, DURATIONS, LENGTH
from edge.core.vocabulary import CONTROL_ROWS, DEVICE_ROWS, TIME_ROWS
from trainer import detector
from trainer.parity import ExportError, check, example

OPSET = 18  # 17 does not load (Split num_outputs); 18 runs on every onnxruntime since 1.18
NAME, VERSION = "detector", 2
_BATCH = 63  # equal to no size of the network, so that no constant is taken for the batch
_STATE = ("flat", "m", "v", "step")


class _Score(torch.nn.Module):
    def forward(self, flat: Tensor, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return detector.score(flat, tokens, mask)


class _Predict(torch.nn.Module):
    def forward(self, flat: Tensor, tokens: Tensor) -> Tensor:
        return detector.predict(flat, tokens)


def export(directory: Path, seed: int) -> tuple[ModelManifest, dict[str, float]]:
    """Write the graphs, the initial parameters and the manifest; returns it and the greatest differences from torch.

    Raises ExportError, and leaves the directory as it was, where any check fails.
    """
    graphs = build()
    differences = check(graphs, seed)
    initial = BytesIO()
    np.save(initial, detector.initial(seed).numpy(), allow_pickle=False)
    files = {name: graph.SerializeToString(deterministic=True) for name, graph in graphs.items()}
    files["initial.npy"] = initial.getvalue()
    files["layout.json"] = (json.dumps(layout(), indent=1) + "\n").encode()
    manifest = ModelManifest(
        name=NAME,
        version=VERSION,
        network=NetworkSizes(
            width=detector.WIDTH,
            blocks=detector.BLOCKS,
            heads=detector.HEADS,
            feed_forward=detector.FEED,
            length=LENGTH,
            days=DAYS + 1,
            times=TIME_ROWS,
            devices=DEVICE_ROWS,
            controls=CONTROL_ROWS,
            durations=DURATIONS,
        ),
        parameters=detector.COUNT,
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        opset=OPSET,
        seed=seed,
    )
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in (*files.items(), ("manifest.json", manifest.to_json().encode())):
        (directory / name).write_bytes(content)
    return manifest, differences


def layout() -> dict[str, list[Any]]:
    """Return offset and shape of every tensor in the flat vector, by name."""
    ends = list(accumulate(detector.SIZES))
    return {
        name: [end - size, list(shape)]
        for (name, shape), size, end in zip(detector.SHAPES.items(), detector.SIZES, ends, strict=True)
    }


def build() -> dict[str, onnx.ModelProto]:
    """Trace the three graphs; unchecked."""
    one = example(_BATCH, 0)
    tokens, mask, weight = one.tensors()
    flat = detector.initial(0)
    with _quiet():
        score = _trace(_Score(), {"flat": flat, "tokens": tokens, "mask": mask}, ["what", "when", "since"])
        predict = _trace(_Predict(), {"flat": flat, "tokens": tokens}, ["next"])
        inputs = {
            "flat": flat,
            "m": torch.zeros(detector.COUNT),  # two tensors: one alone, passed twice, would be traced as one input
            "v": torch.zeros(detector.COUNT),
            "step": torch.tensor(0.0),
            "lr": torch.tensor(1e-3),
            "tokens": tokens,
            "mask": mask,
            "weight": weight,
        }
        # Neither torch.export nor torch.onnx takes a function that differentiates; make_fx first makes it plain.
        plain = make_fx(detector.train_step, tracing_mode="symbolic", _allow_non_fake_inputs=True)(*inputs.values())
        step = _trace(plain, inputs, [*(f"{name}_out" for name in _STATE), "loss", "nats"])
    return {
        "score.onnx": _weights_outside(score),
        "predict.onnx": _weights_outside(predict),
        "train_step.onnx": step,
    }


def _trace(module: Callable[..., Any], inputs: dict[str, Tensor], outputs: list[str]) -> onnx.ModelProto:
    """Export one module; the batch is the first dimension of tokens, mask and weight."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    program = torch.onnx.export(
        module,  # type: ignore[arg-type]
        tuple(inputs.values()),
        dynamo=True,
        input_names=list(inputs),
        output_names=outputs,
        dynamic_shapes=tuple({0: batch} if name in ("tokens", "mask", "weight") else None for name in inputs),
        opset_version=OPSET,
        verbose=False,
    )
    if program is None:
        raise ExportError("torch.onnx.export returned nothing")
    return _bare(program.model_proto)


def _bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what only tells where the nodes came from: file paths and lines of the exporting machine."""
    del model.graph.value_info[:]
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    model.graph.doc_string = model.doc_string = ""
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    return model


def _weights_outside(model: onnx.ModelProto) -> onnx.ModelProto:
    """Turn the input `flat` into an initializer whose content lies outside the file, for the hub to supply."""
    onnx.checker.check_model(model)
    inputs = [value for value in model.graph.input if value.name != "flat"]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    flat = model.graph.initializer.add(
        name="flat", data_type=onnx.TensorProto.FLOAT, dims=[detector.COUNT], data_location=onnx.TensorProto.EXTERNAL
    )
    flat.external_data.add(key="location", value="parameters")
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Hush the exporter: its warnings are about its own code."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
