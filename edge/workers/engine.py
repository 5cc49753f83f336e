"""llama.cpp by its C interface: a model, its tokens, and a key-value memory that several sequences share."""

import ctypes
from collections.abc import Iterable
from collections.abc import Sequence as Items
from functools import cache
from typing import Any, NamedTuple

import llama_cpp
import numpy as np
from numpy.typing import NDArray

UBATCH = 512  # tokens evaluated at once
CELLS = 256  # the key-value memory grows in steps of so many tokens


class Unusable(Exception):  # noqa: N818
    """The job cannot be done; the message goes to the parent."""


class Row(NamedTuple):
    """One token of a batch: where it stands, in which sequences, and whether what follows it is asked."""

    token: int
    place: int
    sequences: tuple[int, ...]
    asked: bool


_QUIET = llama_cpp.llama_log_callback(lambda _level, _text, _data: None)  # llama.cpp keeps the pointer: it must live


class Engine:
    """A model file, and once opened its key-value memory; sequence 0 is the part all requests begin with."""

    def __init__(self, path: str, threads: int) -> None:
        llama_cpp.llama_log_set(_QUIET, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        chosen = llama_cpp.llama_model_default_params()
        chosen.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), chosen)
        if not self.model:
            raise Unusable("the language model does not load")
        self.threads = threads
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.size = int(llama_cpp.llama_vocab_n_tokens(self.vocab))
        self.trained = int(llama_cpp.llama_model_n_ctx_train(self.model))
        model = self.model
        # The state of a recurrent model is of one place only: it can be neither shared nor cut.
        self.shares = not (llama_cpp.llama_model_is_recurrent(model) or llama_cpp.llama_model_is_hybrid(model))
        self.piece = cache(self._piece)
        self.ends = cache(lambda token: bool(llama_cpp.llama_vocab_is_eog(self.vocab, token)))
        self.context: Any = None

    def open(self, cells: int, sequences: int, asked: int) -> None:
        """Give the model a memory of `cells` tokens for sequences 0 to `sequences`; raises Unusable.

        `asked`: rows of one batch after which logits are asked at most.
        """
        chosen = llama_cpp.llama_context_default_params()
        chosen.n_ctx = -(-cells // CELLS) * CELLS
        chosen.n_batch, chosen.n_ubatch = chosen.n_ctx, min(UBATCH, chosen.n_ctx)
        chosen.n_seq_max = sequences + 1
        chosen.n_outputs_max = max(asked, sequences + 1)
        chosen.kv_unified = True  # one memory: what sequences have in common is held once
        # On a processor flash attention took twice as long.
        chosen.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        chosen.n_threads = chosen.n_threads_batch = self.threads
        chosen.no_perf = True
        self.context = llama_cpp.llama_init_from_model(self.model, chosen)
        if not self.context:
            raise Unusable("there is not enough memory for the language model's context")
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.room = int(chosen.n_batch)
        self.batch = llama_cpp.llama_batch_init(self.room, 0, sequences + 1)

    def shape(self) -> dict[str, int]:
        """Return the sizes that decide on memory (edge/workers/needs.py)."""
        width, heads = int(llama_cpp.llama_model_n_embd(self.model)), int(llama_cpp.llama_model_n_head(self.model))
        kind = self._told("general.architecture")
        return {
            "layers": int(llama_cpp.llama_model_n_layer(self.model)),
            "width": width,
            "heads": heads,
            "groups": int(llama_cpp.llama_model_n_head_kv(self.model)),
            "head": int(self._told(f"{kind}.attention.key_length") or width // max(heads, 1)),
            "inner": int(self._told(f"{kind}.feed_forward_length") or 4 * width),
            "vocabulary": self.size,
        }

    def identity(self) -> tuple[object, ...]:
        """Return what a saved state depends on beside the model's bytes, the context and the tokens."""
        return (
            "unified f16/f16 no-flash",
            int(llama_cpp.llama_model_ftype(self.model)),
            llama_cpp.__version__,
            llama_cpp.llama_version().decode(),
            llama_cpp.llama_print_system_info().decode(),
        )

    def tokens(self, text: str, *, special: bool = False) -> list[int]:
        """Cut a text into tokens, the model's begin mark first where it wants one."""
        raw = text.encode()
        room = len(raw) + 8
        out = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(self.vocab, raw, len(raw), out, room, False, special)
        if count < 0:
            raise Unusable("the language model cannot read its prompt")
        begin = self.mark(llama_cpp.llama_vocab_bos)
        marked = not llama_cpp.llama_vocab_get_add_bos(self.vocab) or (special and begin and text.startswith(begin))
        return [*([] if marked else [int(llama_cpp.llama_vocab_bos(self.vocab))]), *out[:count]]

    def mark(self, which: Any) -> str:
        """Return the text of a begin or end mark; empty where the model has none."""
        token = which(self.vocab)
        return llama_cpp.llama_vocab_get_text(self.vocab, token).decode(errors="replace") if token >= 0 else ""

    def marks(self) -> tuple[str, str]:
        """Return the texts of the begin and the end mark."""
        return self.mark(llama_cpp.llama_vocab_bos), self.mark(llama_cpp.llama_vocab_eos)

    def template(self) -> str:
        """Return the chat template the model file brings, empty where it brings none."""
        found = llama_cpp.llama_model_chat_template(self.model, None)
        return found.decode(errors="replace") if found else ""

    def decode(self, rows: Items[Row]) -> None:
        """Evaluate one batch; raises Unusable where llama.cpp refuses it."""
        batch = self.batch
        batch.n_tokens = len(rows)
        for number, (token, place, sequences, asked) in enumerate(rows):
            batch.token[number] = token
            batch.pos[number] = place
            batch.n_seq_id[number] = len(sequences)
            held = batch.seq_id[number]
            for turn, sequence in enumerate(sequences):
                held[turn] = sequence
            batch.logits[number] = asked
        code = llama_cpp.llama_decode(self.context, batch)
        if code:
            raise Unusable(f"llama.cpp cannot evaluate a batch: it returned {code}")

    def logits(self, row: int) -> NDArray[np.float32]:
        """Return the logits (vocabulary,) after one row of the last batch; valid until the next."""
        found = llama_cpp.llama_get_logits_ith(self.context, row)
        return np.ctypeslib.as_array(found, (self.size,))

    def read(self, tokens: Items[int]) -> None:
        """Evaluate the beginning that all requests share, into sequence 0."""
        rows = [Row(token, place, (0,), False) for place, token in enumerate(tokens)]
        for start in range(0, len(rows), UBATCH):
            self.decode(rows[start : start + UBATCH])

    def branch(self, sequence: int, until: int) -> None:
        """Let a sequence begin as sequence 0 does, up to a place."""
        if until:
            llama_cpp.llama_memory_seq_cp(self.memory, 0, sequence, 0, until)

    def forget(self, sequences: Iterable[int]) -> None:
        """Free what sequences hold alone."""
        for sequence in sequences:
            llama_cpp.llama_memory_seq_rm(self.memory, sequence, -1, -1)

    def state(self) -> bytes:
        """Return what sequence 0 holds, as bytes."""
        size = llama_cpp.llama_state_seq_get_size(self.context, 0)
        out = (ctypes.c_uint8 * size)()
        written = llama_cpp.llama_state_seq_get_data(self.context, out, size, 0)
        return bytes(memoryview(out)[:written])

    def restore(self, state: memoryview, count: int) -> bool:
        """Fill sequence 0 from bytes; tell whether it then holds `count` tokens. Empty where it does not."""
        data = np.frombuffer(state, np.uint8).ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        taken = llama_cpp.llama_state_seq_set_data(self.context, data, len(state), 0)
        last = llama_cpp.llama_memory_seq_pos_max(self.memory, 0)
        if taken == len(state) and last == count - 1:
            return True
        self.forget([0])
        return False

    def _told(self, key: str) -> str:
        """Return a value of the file's own description, empty where it has none."""
        out = ctypes.create_string_buffer(256)
        return out.value.decode() if llama_cpp.llama_model_meta_val_str(self.model, key.encode(), out, 256) > 0 else ""

    def _piece(self, token: int) -> bytes:
        room = 256
        out = ctypes.create_string_buffer(room)
        count = llama_cpp.llama_token_to_piece(self.vocab, token, out, room, 0, False)
        return out.raw[: max(count, 0)]
