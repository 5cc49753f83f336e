"""The network and its tokenizer to GGUF, quantized; refuses to finish where llama.cpp and torch disagree."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor

from trainer.network import Network, Shape, mask_of
from trainer.tokenizer import BEGIN_ID, END_ID, SPECIAL, merges, words

AGREEMENT = 0.98  # share of places where the largest logit must be the same in torch and in llama.cpp's f32
DISTANCE = 0.05  # largest mean absolute difference of the logits


def interleaved(weight: Tensor, shape: Shape) -> Tensor:
    """Return the rows of a query or key matrix in llama.cpp's order: pair (i, i + half) becomes (2i, 2i + 1)."""
    heads = weight.shape[0] // shape.head
    return weight.view(heads, 2, shape.head // 2, -1).transpose(1, 2).reshape(weight.shape)


def tensors(network: Network) -> dict[str, NDArray[np.float32]]:
    """Return the weights under llama.cpp's names."""
    shape = network.shape
    found = {"token_embd.weight": network.embedding.weight, "output_norm.weight": network.norm.weight}
    found["output.weight"] = network.head.weight
    for number, layer in enumerate(network.layers):
        state = layer.state_dict()
        place = f"blk.{number}"
        found |= {
            f"{place}.attn_norm.weight": state["attention_norm.weight"],
            f"{place}.attn_q.weight": interleaved(state["attention.query.weight"], shape),
            f"{place}.attn_k.weight": interleaved(state["attention.key.weight"], shape),
            f"{place}.attn_v.weight": state["attention.value.weight"],
            f"{place}.attn_output.weight": state["attention.out.weight"],
            f"{place}.ffn_norm.weight": state["inner_norm.weight"],
            f"{place}.ffn_gate.weight": state["gate.weight"],
            f"{place}.ffn_up.weight": state["up.weight"],
            f"{place}.ffn_down.weight": state["down.weight"],
        }
    return {name: weight.detach().float().numpy() for name, weight in found.items()}


def write(network: Network, tokenizer: Tokenizer, path: Path, name: str) -> None:
    """Write an f32 GGUF of architecture llama."""
    shape = network.shape
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name(name)
    writer.add_license("Apache-2.0")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.groups)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_tokenizer(writer, tokenizer)
    for key, values in tensors(network).items():
        writer.add_tensor(key, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    tokens = words(tokenizer)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_merges(merges(tokenizer))
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control if token in SPECIAL else normal for token in tokens])
    writer.add_bos_token_id(BEGIN_ID)
    writer.add_eos_token_id(END_ID)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)


def child(code: str, *arguments: str) -> str:
    """Run llama.cpp in a process of its own: what it does to memory or the terminal stays there."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"llama.cpp ended with {done.returncode}: {done.stderr[-400:]}")
    return done.stdout


_QUANTIZE = """
import sys, llama_cpp
chosen = llama_cpp.llama_model_quantize_default_params()
chosen.ftype = getattr(llama_cpp, "LLAMA_FTYPE_MOSTLY_" + sys.argv[3].upper())
sys.exit(llama_cpp.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), chosen))
"""

_READ = """
import json, sys, numpy, llama_cpp
model = llama_cpp.Llama(sys.argv[1], n_ctx=2048, n_batch=2048, n_threads=1, logits_all=True, verbose=False)
out = []
for row, text in enumerate(json.load(open(sys.argv[2], encoding="utf-8"))):
    ids = model.tokenize(text.encode())
    model.reset()
    model.eval(ids)
    numpy.save(f"{sys.argv[3]}-{row}.npy", numpy.array(model.scores[: len(ids)], dtype=numpy.float32))
    out.append(ids)
print(json.dumps(out))
"""


def quantize(source: Path, target: Path, kind: str) -> None:
    """Quantize to `kind` (q8_0, q4_k_m)."""
    child(_QUANTIZE, str(source), str(target), kind)


def verify(network: Network, tokenizer: Tokenizer, path: Path, texts: list[str]) -> dict[str, float]:
    """Compare llama.cpp's tokens and logits with ours; raises ValueError where they disagree."""
    scratch = path.with_suffix("")
    asked = scratch.with_suffix(".texts.json")
    asked.write_text(json.dumps(texts), encoding="utf-8")
    ids = json.loads(child(_READ, str(path), str(asked), str(scratch)))
    asked.unlink()
    same = places = 0
    distances: list[float] = []
    for number, text in enumerate(texts):
        expected = [BEGIN_ID, *tokenizer.encode(text).ids]
        if ids[number] != expected:
            raise ValueError(f"llama.cpp cuts {text[:60]!r} otherwise")
        saved = Path(f"{scratch}-{number}.npy")
        theirs = np.load(saved, allow_pickle=False)
        saved.unlink()
        ours = logits(network, expected)
        same += int((ours.argmax(-1) == theirs.argmax(-1)).sum())
        places += len(expected)
        distances.append(float(np.abs(ours - theirs).mean()))
    agreement, distance = same / places, float(np.mean(distances))
    if agreement < AGREEMENT or distance > DISTANCE:
        raise ValueError(f"torch and llama.cpp disagree: same argmax {agreement:.3f}, distance {distance:.4f}")
    return {"argmax_agreement": round(agreement, 4), "mean_logit_distance": round(distance, 5)}


def logits(network: Network, ids: list[int]) -> NDArray[np.float32]:
    """Return torch's f32 logits (places, vocabulary) of one row of ids."""
    tokens = torch.tensor([ids])
    with torch.no_grad():
        states = network(tokens, torch.arange(len(ids)).unsqueeze(0), mask_of(torch.zeros_like(tokens)))
        found: NDArray[np.float32] = network.logits(states)[0].float().numpy()
    return found


def sha256(path: Path) -> str:
    """Return a file's digest in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
