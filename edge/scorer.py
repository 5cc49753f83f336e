"""Sequences to surprise, scores and next behaviors. The only door to ONNX Runtime in the hub's own process.

The shipped graphs hold no weights: they split one external initializer, `flat`, which is the home's own
parameters, supplied at load. Probabilities are renormalised over the rows the vocabulary names, so that spare
rows, whatever their weights, change nothing.
"""

from collections.abc import Iterable
from collections.abc import Sequence as Steps
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from edge.core.errors import ArtifactError
from edge.core.sequences import FIELDS, LENGTH, PAD_DAY, PAD_GAP, Sequence, Step, tokens
from edge.core.vocabulary import CONTROL_ROWS, FIRST, PAD, TIME_ROWS, UNKNOWN, Vocabulary

Floats = NDArray[np.float32]
# A control the vocabulary does not name was never seen here: ten times less likely than chance over all
# rows says that it is stranger than anything a trained model finds in a usual day (8.5 nats).
UNKNOWN_SURPRISE = float(np.log(CONTROL_ROWS * 10))
_ROWS = 256  # rows a run takes at most: bounds the memory of a run to about 10 MB
_CONTROL, _TIME = FIELDS.index("control"), FIELDS.index("time")
_LOAD_ERRORS = (
    state.EPFail,
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.ModelLoaded,
    state.NoModel,
    state.NoSuchFile,
    state.NotImplemented,
    state.RuntimeException,
    RuntimeError,
)


class Newest(NamedTuple):
    """How surprising a sequence's last step is: nats of what and when, and all log-probabilities (-inf: unnamed)."""

    what: float
    when: float
    what_logprobs: Floats
    when_logprobs: Floats


class Scorer:
    """One model of one home, loaded. Reads only the last LENGTH steps of any sequence; an empty one is an error."""

    def __init__(self, model_dir: Path, parameters: Floats, vocabulary: Vocabulary, threads: int = 1) -> None:
        """Load score.onnx and predict.onnx with these parameters; raises ArtifactError where they do not fit."""
        self.vocabulary = vocabulary
        flat = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(parameters, np.float32))
        self._score = _session(model_dir / "score.onnx", flat, threads)
        self._predict = _session(model_dir / "predict.onnx", flat, threads)

    def surprise(self, sequences: Steps[Sequence]) -> list[Floats]:
        """Return for each sequence (n, 2): the nats of what and of when of each step, given what came before it.

        As it is lived: what comes after a step is not seen, so a stored sequence scores as it did, or would
        have, when it happened, and a threshold fitted on stored ones keeps its promise live. An unknown
        control counts UNKNOWN_SURPRISE. Only the last LENGTH steps are read.
        """
        ids = tokens(sequences, self.vocabulary)
        lengths = np.array([min(len(sequence), LENGTH) for sequence in sequences], np.int64)
        rows = np.repeat(np.arange(len(sequences)), lengths)
        places = np.concatenate([np.arange(length) for length in lengths]) if len(lengths) else rows
        out = np.empty((len(rows), 2), np.float32)
        for start in range(0, len(rows), _ROWS // 2):
            part = slice(start, start + _ROWS // 2)
            past = ids[rows[part]]
            past[np.arange(LENGTH) > places[part, None]] = (PAD_DAY, self.vocabulary.pad_time, PAD, PAD, PAD_GAP)
            what, when = self._hidden(past, places[part])
            each = np.arange(len(what))
            truth = ids[rows[part], places[part]]
            out[part, 0] = -what[each, truth[:, _CONTROL]]
            out[part, 1] = -when[each, truth[:, _TIME]]
            out[part, 0][truth[:, _CONTROL] == UNKNOWN] = UNKNOWN_SURPRISE
        return np.split(out, np.cumsum(lengths)[:-1]) if len(lengths) else []

    def scores(self, sequences: Steps[Sequence]) -> Floats:
        """Return each sequence's score (n,) in nats: the most surprising step, what and when together.

        The maximum, because the mean hides an attack of a single behavior.
        """
        return np.array([steps.sum(1).max() for steps in self.surprise(sequences)], np.float32)

    def newest(self, sequence: Sequence) -> Newest:
        """Return the surprise of the last step alone: two rows, for the fast loop."""
        ids = tokens([sequence], self.vocabulary)
        place = min(len(sequence), LENGTH) - 1
        what, when = self._hidden(ids, np.array([place]))
        control, time = ids[0, place, _CONTROL], ids[0, place, _TIME]
        nats = UNKNOWN_SURPRISE if control == UNKNOWN else -float(what[0, control])
        return Newest(nats, -float(when[0, time]), what[0], when[0])

    def predict(self, sequence: Sequence, k: int = 10) -> list[tuple[tuple[str, str], float]]:
        """Return the k likeliest next (device, control) pairs and their probabilities, the likeliest first."""
        following = self._following(tokens([sequence], self.vocabulary))[0, min(len(sequence), LENGTH) - 1]
        best = np.argsort(-following, kind="stable")[: min(k, len(self.vocabulary.controls))]
        return [(self.vocabulary.controls[row - FIRST], float(np.exp(following[row]))) for row in best]

    def next_ranks(self, sequences: Steps[Sequence]) -> NDArray[np.int64]:
        """Return the rank (1: the likeliest) of every step's control but the first's, sequence after sequence.

        Equals rank behind (a constant model earns nothing); an unknown control's rank is the number of controls + 1.
        """
        ranks: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        for start in range(0, len(sequences), _ROWS):
            ids = tokens(sequences[start : start + _ROWS], self.vocabulary)
            truth = ids[:, 1:, _CONTROL]
            rows, places = np.nonzero(truth)
            control = truth[rows, places]
            following = self._following(ids)[rows, places]
            true = following[np.arange(len(rows)), control][:, None]
            rank = (following[:, FIRST : FIRST + len(self.vocabulary.controls)] >= true).sum(1)
            ranks.append(np.where(control == UNKNOWN, len(self.vocabulary.controls) + 1, rank))
        return np.concatenate(ranks)

    def probe(self) -> None:
        """Run a fixed input through both graphs; raises ArtifactError where an output is not finite."""
        if not self.vocabulary.controls:
            raise ArtifactError("the model's vocabulary is empty")
        steps = [Step(day % 7, 3 * day % 24, *pair) for day, pair in enumerate(self.vocabulary.controls[:LENGTH])]
        ids = tokens([tuple(steps)], self.vocabulary)
        try:
            what, when = self._hidden(ids, np.array([len(steps) - 1]))
            following = self._following(ids)[0, len(steps) - 1]
        except _LOAD_ERRORS as error:
            raise ArtifactError(f"the model does not run: {str(error).splitlines()[0]}") from error
        named = slice(FIRST, FIRST + len(self.vocabulary.controls))
        if not all(
            np.isfinite(part).all() for part in (what[0, named], when[0, : self.vocabulary.slots], following[named])
        ):
            raise ArtifactError("the model's output is not finite")

    def _hidden(self, ids: NDArray[np.int64], places: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Hide one place of each row (n, LENGTH, 5), what and when in turn; return log-probabilities there."""
        count = len(ids)
        each = np.arange(count)
        mask = np.zeros((2 * count, LENGTH, 2), np.float32)
        mask[each, places, 0] = 1
        mask[count + each, places, 1] = 1
        what, when = self._score.run(None, {"tokens": np.concatenate([ids, ids]), "mask": mask})
        return (
            _over(what[each, places], range(FIRST, FIRST + len(self.vocabulary.controls)), CONTROL_ROWS),
            _over(when[count + each, places], range(self.vocabulary.slots), TIME_ROWS),
        )

    def _following(self, ids: NDArray[np.int64]) -> Floats:
        """Return log-probabilities (n, LENGTH, CONTROL_ROWS) of the control after each place."""
        (following,) = self._predict.run(None, {"tokens": ids})
        return _over(following, range(FIRST, FIRST + len(self.vocabulary.controls)), CONTROL_ROWS)


def _session(path: Path, flat: ort.OrtValue, threads: int) -> ort.InferenceSession:
    """Load a graph with its weights, which are copied; raises ArtifactError where either does not fit."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_external_initializers(["flat"], [flat])
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _LOAD_ERRORS as error:
        raise ArtifactError(f"{path.name} does not load: {str(error).splitlines()[0]}") from error


def _over(log_probabilities: Floats, known: range, rows: int) -> Floats:
    """Renormalise (..., rows) over the known rows; -inf elsewhere."""
    out = np.full((*log_probabilities.shape[:-1], rows), -np.inf, np.float32)
    part = log_probabilities[..., known.start : known.stop]
    top = part.max(-1, keepdims=True, initial=-np.inf)
    out[..., known.start : known.stop] = part - top - np.log(np.exp(part - top).sum(-1, keepdims=True))
    return out


def hit_rate(ranks: Iterable[int], k: int = 10) -> float:
    """Return the share of ranks within the first k; 0 of none."""
    hits = [rank <= k for rank in ranks]
    return sum(hits) / len(hits) if hits else 0.0
