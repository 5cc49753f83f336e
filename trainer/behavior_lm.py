"""The behavior language model, from simulated homes to the files that ship: tokenizer, training, GGUF, figures."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from trainer import conditioning, gguf_export, induction, model_card, tokenizer, trial
from trainer.batches import Supply
from trainer.corpus import Population
from trainer.lessons import EDITING
from trainer.network import Network, Shape
from trainer.training import Training

NAME, VERSION = "behavior-lm", 2
RUNS = Path("runs") / NAME  # checkpoints, the tokenizer and the f32 file; not shipped
TOKENIZER_SAMPLES = 800
ROWS, PLACES = 4, 512  # of a batch
SIZES: dict[str, dict[str, int]] = {
    "nano": {"width": 256, "layers": 4, "heads": 8, "groups": 4, "inner": 512},
    "small": {"width": 512, "layers": 6, "heads": 16, "groups": 4, "inner": 1024},
}
KINDS = ("q8_0", "q4_k_m")
SHIPPED_BYTES = 8_000_000  # both quantizations where they fit together, else the smaller one


def texts(population: Population, count: int) -> Iterator[str]:
    """Yield the texts of `count` samples, for the tokenizer."""
    for number in range(count):
        sample = population.sample(number, EDITING, 14)
        if sample:
            yield sample.prefix
            yield from (sample.asked(each) + sample.answered(each) for each in sample.requests)


def vocabulary(folder: Path, seed: int, *, resume: bool) -> Tokenizer:
    """Return the tokenizer in a folder, learned first from homes of their own where there is none to resume with."""
    path = folder / "tokenizer.json"
    if not (resume and path.exists()):
        tokenizer.train(texts(Population(seed + 1), TOKENIZER_SAMPLES)).save(str(path))
    return tokenizer.load(path)


def begin(folder: Path, shape: Mapping[str, int], words: Tokenizer, population: Population, steps: int) -> Training:
    """Return the training of a network of a shape (fields of network.Shape) at its planted start."""
    torch.manual_seed(population.seed)
    network = Network(Shape(words.get_vocab_size(), **shape))
    induction.plant(network, tokenizer.scene_words(words))
    folder.mkdir(parents=True, exist_ok=True)
    return Training(network, Supply(population, words, ROWS, PLACES), folder, steps)


def build(out: Path, size: str, steps: int, seed: int, *, resume: bool = False) -> dict[str, Any]:
    """Train a size for some steps, export to `out` with manifest, card and curve; return the manifest."""
    folder = RUNS / size
    folder.mkdir(parents=True, exist_ok=True)
    words = vocabulary(folder, seed, resume=resume)
    training = begin(folder, SIZES[size], words, Population(seed), steps)
    if resume and training.checkpoint.exists():
        training.resume()
    training.run()
    return release(out, size, training, words, seed)


def release(out: Path, size: str, training: Training, words: Tokenizer, seed: int) -> dict[str, Any]:
    """Export, verify, try and describe a trained network."""
    network = training.network.eval()
    out.mkdir(parents=True, exist_ok=True)
    full = training.folder / f"{NAME}-f32.gguf"
    gguf_export.write(network, words, full, NAME)
    probes = [sample.prefix + sample.asked(sample.requests[0]) for sample in conditioning.held_out(seed, 6)]
    agreement = gguf_export.verify(network, words, full, probes)
    files = _quantized(out, full)
    context = conditioning.measured(network, words, seed)
    tried = {path.name: trial.figures(path, seed) for path in files}
    manifest = {
        "name": NAME,
        "version": VERSION,
        "size": size,
        "files": {path.name: {"sha256": gguf_export.sha256(path), "bytes": path.stat().st_size} for path in files},
        "architecture": "llama",
        "context_length": network.shape.context,
        "tokenizer": {"model": "gpt2", "pre": "gpt-2", "vocabulary": network.shape.vocabulary},
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "seed": seed,
        "training": {
            "tokens": training.course.tokens,
            "minutes": round(training.course.seconds / 60.0, 1),
            "resumed_at_minutes": training.course.resumed,
            "steps": training.course.step,
            "last_loss": round(sum(training.course.losses[-50:]) / len(training.course.losses[-50:]), 4),
        },
        "llama_cpp_agreement": agreement,
        "conditioning": context,
        "generation": tried,
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    (out / "MODEL_CARD.md").write_text(model_card.text(manifest), encoding="utf-8")
    model_card.curve(training.course.losses, out / "loss.png")
    return manifest


def _quantized(out: Path, full: Path) -> list[Path]:
    files = [out / f"{NAME}-{kind}.gguf" for kind in KINDS]
    for path, kind in zip(files, KINDS, strict=True):
        gguf_export.quantize(full, path, kind)
    if sum(path.stat().st_size for path in files) <= SHIPPED_BYTES:
        return files
    files[0].unlink()
    return files[1:]
