"""The shipped graphs against torch, and the export's refusals. Needs the trainer extra."""

from pathlib import Path

import numpy as np
import pytest

from edge.slots import shipped, verify_model

torch = pytest.importorskip("torch", reason="PARITY NOT CHECKED: torch is not installed (pip install .[trainer])")
onnx = pytest.importorskip("onnx", reason="PARITY NOT CHECKED: onnx is not installed (pip install .[trainer])")

from trainer import detector, export, parity  # noqa: E402

GRAPHS = ("score.onnx", "predict.onnx", "train_step.onnx")


@pytest.fixture(scope="module")
def graphs() -> dict[str, "onnx.ModelProto"]:
    return {name: onnx.load(shipped("detector") / name, load_external_data=False) for name in GRAPHS}


def test_the_shipped_graphs_compute_what_torch_computes(graphs: dict[str, "onnx.ModelProto"]) -> None:
    differences = parity.check(graphs, seed=11)
    assert set(differences) == {"outputs", "loss", "gradient", "parameters", "together"}


def test_the_shipped_start_is_the_networks() -> None:
    manifest = verify_model(shipped("detector"))
    initial = np.load(shipped("detector") / "initial.npy")
    np.testing.assert_allclose(initial, detector.initial(manifest.seed).numpy(), rtol=1e-6)
    assert manifest.parameters == detector.COUNT == len(initial)


def test_a_frozen_batch_is_refused(graphs: dict[str, "onnx.ModelProto"]) -> None:
    frozen = onnx.ModelProto()
    frozen.CopyFrom(graphs["score.onnx"])
    (ids,) = [value for value in frozen.graph.input if value.name == "tokens"]
    ids.type.tensor_type.shape.dim[0].dim_value = 63
    with pytest.raises(parity.ExportError, match="frozen at 63"):
        parity.check({**graphs, "score.onnx": frozen}, seed=0)


def test_any_wrong_constant_is_noticed(graphs: dict[str, "onnx.ModelProto"]) -> None:
    """A beta or the weight decay, a tenth smaller, is another training step."""
    wrong = onnx.ModelProto()
    wrong.CopyFrom(graphs["train_step.onnx"])
    changed = 0
    for tensor in wrong.graph.initializer:
        value = onnx.numpy_helper.to_array(tensor)
        if (
            value.dtype == np.float32
            and value.size == 1
            and np.isclose(value, (detector.BETA1, detector.WEIGHT_DECAY)).any()
        ):
            tensor.CopyFrom(onnx.numpy_helper.from_array((value * 0.9).astype(np.float32), tensor.name))
            changed += 1
    assert changed
    with pytest.raises(parity.ExportError, match="differ"):
        parity.check({**graphs, "train_step.onnx": wrong}, seed=0)


def test_padding_and_what_is_hidden_do_not_count() -> None:
    one = parity.example(8, 0)
    flat = detector.initial(0) + 0.1 * torch.randn(detector.COUNT, generator=torch.Generator().manual_seed(0))
    tokens, mask, _ = one.tensors()
    said = detector.score(flat, tokens, mask)
    changed = tokens.clone()
    padded = tokens[:, :, 3] == 0
    changed[..., 0][padded] = 3  # a padded place's day
    hidden = mask[:, :, 0] == 1
    changed[..., 2][hidden & ~padded] = 5
    changed[..., 3][hidden & ~padded] = 7
    late = mask[:, :, 1] == 1
    changed[..., 1][late & ~padded] = 2
    changed[..., 4][late & ~padded] = 1
    changed[..., 5][(hidden | late) & ~padded] = 3
    again = detector.score(flat, changed, mask)
    for before, after in zip(said, again, strict=True):
        torch.testing.assert_close(before[~padded], after[~padded])


def test_a_prediction_sees_only_the_past() -> None:
    tokens, _, _ = parity.example(8, 0).tensors()
    flat = detector.initial(0) + 0.1 * torch.randn(detector.COUNT, generator=torch.Generator().manual_seed(0))
    before = detector.predict(flat, tokens)
    changed = tokens.clone()
    changed[:, 5:, :4] = 3
    torch.testing.assert_close(before[:, :5], detector.predict(flat, changed)[:, :5])


def test_weights_weigh() -> None:
    tokens, mask, _ = parity.example(8, 0).tensors()
    p = detector.named(detector.pieces(detector.initial(0)))
    first = torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0])
    torch.testing.assert_close(
        detector.objective(p, tokens, mask, first)[0], detector.objective(p, tokens[:1], mask[:1], torch.ones(1))[0]
    )
    torch.testing.assert_close(
        detector.objective(p, tokens, mask, torch.ones(8))[0],
        detector.objective(p, tokens, mask, torch.full((8,), 0.3))[0],
    )


def test_an_export_is_whole_and_as_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, graphs: dict[str, "onnx.ModelProto"]
) -> None:
    checked: list[int] = []

    def check(graphs: dict[str, "onnx.ModelProto"], seed: int) -> dict[str, float]:
        checked.append(seed)
        return {"outputs": float(len(graphs) - 3)}

    monkeypatch.setattr(export, "check", check)
    manifest, _ = export.export(tmp_path, 0)
    assert checked == [0]
    assert verify_model(tmp_path) == manifest
    ships = verify_model(shipped("detector"))
    assert manifest.model_copy(update={"files": ships.files}) == ships, "re-export models/detector"
    for name in GRAPHS:  # not the bytes: another version of onnx may write the same graph differently
        fresh = onnx.load(tmp_path / name, load_external_data=False).graph
        assert [node.op_type for node in fresh.node] == [node.op_type for node in graphs[name].graph.node]


def test_a_refused_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(graphs: object, seed: int) -> dict[str, float]:
        raise parity.ExportError("no")

    monkeypatch.setattr(export, "check", refuse)
    monkeypatch.setattr(export, "build", dict)
    with pytest.raises(parity.ExportError):
        export.export(tmp_path / "model", 0)
    assert not (tmp_path / "model").exists()
