"""Sequences to surprise, scores and next behaviors. The only door to ONNX Runtime in the hub's own process.

The shipped graphs hold no weights: they split one external initializer, `flat`, which is the home's own
parameters, supplied at load. Probabilities are renormalised over the rows the vocabulary names, so that spare
rows, whatever their weights, change nothing.
"""

from collections.abc import Iterable
from collections.abc import Sequence as Steps
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from edge.core.calibration import PARTS
from edge.core.errors import ArtifactError
from edge.core.manifest import ModelManifest
from edge.core.memory import PARTS as COUNTED
from edge.core.memory import Memory
from edge.core.metrics import Foretold
from edge.core.sequences import DURATIONS, FIELDS, LENGTH, Sequence, Step, own, padding, tokens
from edge.core.vocabulary import CONTROL_ROWS, FIRST, TIME_ROWS, UNKNOWN, Vocabulary
from edge.verified import content

Floats = NDArray[np.float32]
# A control the vocabulary does not name was never seen here: ten times less likely than chance over all
# rows says that it is stranger than anything a trained model finds in a usual day (8.5 nats).
UNKNOWN_SURPRISE = float(np.log(CONTROL_ROWS * 10))
_ROWS = 256  # rows a run takes at most: bounds the memory of a run to about 10 MB
_CONTROL, _TIME, _SINCE = (FIELDS.index(name) for name in ("control", "time", "since"))
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
    """How surprising a sequence's last step is: nats of each of PARTS, and all log-probabilities (-inf: unnamed)."""

    surprise: tuple[float, ...]
    what_logprobs: Floats
    when_logprobs: Floats
    duration_logprobs: Floats


class Scorer:
    """One model of one home, loaded. Reads only the last LENGTH steps of any sequence; an empty one is an error."""

    def __init__(self, model_dir: Path, parameters: Floats, vocabulary: Vocabulary, threads: int = 1) -> None:
        """Load score.onnx and predict.onnx with these parameters; raises ArtifactError where they do not fit.

        What the vector holds behind the network's parameters is what the home did, counted (Memory.flat).
        """
        self.vocabulary = vocabulary
        count = _size(model_dir)
        self._memory = Memory.read(parameters[count:])
        flat = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(parameters[:count], np.float32))
        self._score = _session(model_dir, "score.onnx", flat, threads)
        self._predict = _session(model_dir, "predict.onnx", flat, threads)

    def surprise(self, sequences: Steps[Sequence]) -> list[Floats]:
        """Return for each sequence (n, len(PARTS)): the nats of each part of its own steps, given the past.

        As it is lived: what comes after a step is not seen, so a stored sequence scores as it did, or would
        have, when it happened, and a threshold fitted on stored ones keeps its promise live. A step that is
        carried was scored in the sequence before and has no row. An unknown control counts UNKNOWN_SURPRISE.
        Only the last LENGTH steps are read.
        """
        ids = tokens(sequences, self.vocabulary)
        found = [own(sequence) for sequence in sequences]
        rows = np.repeat(np.arange(len(sequences)), [len(each) for each in found])
        places = np.array([place for each in found for place in each], np.int64)
        out = np.zeros((len(rows), len(PARTS)), np.float32)
        if self._memory is not None:
            out[:, len(PARTS) - len(COUNTED) :] = self._memory.evidence(sequences, self.vocabulary)
        for start in range(0, len(rows), _ROWS // 2):
            part = slice(start, start + _ROWS // 2)
            past = ids[rows[part]]
            past[np.arange(LENGTH) > places[part, None]] = padding(self.vocabulary)
            hidden = self._hidden(past, places[part])
            truth = ids[rows[part], places[part]]
            each = np.arange(len(truth))
            for column, (said, field) in enumerate(zip(hidden, (_CONTROL, _TIME, _SINCE), strict=True)):
                out[part, column] = -said[each, truth[:, field]]
            out[part, 0] = self._renewed(out[part, 0], truth[:, _CONTROL])
        return np.split(out, np.cumsum([len(each) for each in found])[:-1]) if found else []

    def scores(self, sequences: Steps[Sequence]) -> Floats:
        """Return each sequence's score (n,) in nats: the most surprising step, what and when together.

        The maximum, because the mean hides an attack of a single behavior.
        """
        return np.array([steps[:, :2].sum(1).max(initial=0) for steps in self.surprise(sequences)], np.float32)

    def newest(self, sequence: Sequence) -> Newest:
        """Return the surprise of the last step alone: two rows, for the fast loop."""
        ids = tokens([sequence], self.vocabulary)
        place = min(len(sequence), LENGTH) - 1
        what, when, duration = (said[0] for said in self._hidden(ids, np.array([place])))
        control, time, since = (int(ids[0, place, field]) for field in (_CONTROL, _TIME, _SINCE))
        nats = float(self._renewed(-what[[control]], np.array([control]))[0])
        latest = (*(replace(step, carried=True) for step in sequence[:-1]), replace(sequence[-1], carried=False))
        counted = () if self._memory is None else self._memory.evidence([latest], self.vocabulary)[0].tolist()
        surprise = (nats, -float(when[time]), -float(duration[since]), *counted)
        return Newest(surprise + (0.0,) * (len(PARTS) - len(surprise)), what, when, duration)

    def predict(self, sequence: Sequence, k: int = 10) -> list[tuple[tuple[str, str], float]]:
        """Return the k likeliest next (device, control) pairs and their probabilities, the likeliest first."""
        following = self._following(tokens([sequence], self.vocabulary))[0, min(len(sequence), LENGTH) - 1]
        best = np.argsort(-following, kind="stable")[: min(k, len(self.vocabulary.controls))]
        return [(self.vocabulary.controls[row - FIRST], float(np.exp(following[row]))) for row in best]

    def foretold(self, sequences: Steps[Sequence]) -> Foretold:
        """Return rank and nats of the control of every own step that has one before it, sequence after sequence.

        Equals rank behind (a constant model earns nothing); an unknown control's rank is the number of controls + 1,
        its nats UNKNOWN_SURPRISE.
        """
        ranks: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        nats: list[Floats] = [np.empty(0, np.float32)]
        for start in range(0, len(sequences), _ROWS):
            part = sequences[start : start + _ROWS]
            ids = tokens(part, self.vocabulary)
            wanted = np.array([(row, place) for row, each in enumerate(part) for place in own(each) if place], np.int64)
            rows, places = wanted.reshape(-1, 2).T
            control = ids[rows, places, _CONTROL]
            following = self._following(ids)[rows, places - 1]
            true = following[np.arange(len(rows)), control]
            rank = (following[:, FIRST : FIRST + len(self.vocabulary.controls)] >= true[:, None]).sum(1)
            unknown = control == UNKNOWN
            ranks.append(np.where(unknown, len(self.vocabulary.controls) + 1, rank))
            nats.append(np.where(unknown, np.float32(UNKNOWN_SURPRISE), -true))
        return Foretold(np.concatenate(ranks), np.concatenate(nats))

    def probe(self) -> None:
        """Run a fixed input through both graphs; raises ArtifactError where an output is not finite."""
        if not self.vocabulary.controls:
            raise ArtifactError("the model's vocabulary is empty")
        steps = [Step(day % 7, 3 * day % 24, *pair) for day, pair in enumerate(self.vocabulary.controls[:LENGTH])]
        ids = tokens([tuple(steps)], self.vocabulary)
        try:
            what, when, duration = self._hidden(ids, np.array([len(steps) - 1]))
            following = self._following(ids)[0, len(steps) - 1]
        except _LOAD_ERRORS as error:
            raise ArtifactError(f"the model does not run: {str(error).splitlines()[0]}") from error
        named = slice(FIRST, FIRST + len(self.vocabulary.controls))
        said = (what[0, named], when[0, : self.vocabulary.slots], duration[0, : DURATIONS - 1], following[named])
        if not all(np.isfinite(part).all() for part in said):
            raise ArtifactError("the model's output is not finite")

    def _hidden(self, ids: NDArray[np.int64], places: NDArray[np.int64]) -> tuple[Floats, Floats, Floats]:
        """Hide one place of each row (n, LENGTH, 6), what, then when; return what is likely there (logarithms)."""
        count = len(ids)
        each = np.arange(count)
        mask = np.zeros((2 * count, LENGTH, 2), np.float32)
        mask[each, places, 0] = 1
        mask[count + each, places, 1] = 1
        what, when, since = self._score.run(None, {"tokens": np.concatenate([ids, ids]), "mask": mask})
        return (
            _over(what[each, places], range(FIRST, FIRST + len(self.vocabulary.controls)), CONTROL_ROWS),
            _over(when[count + each, places], range(self.vocabulary.slots), TIME_ROWS),
            _over(since[count + each, places], range(DURATIONS - 1), DURATIONS),
        )

    def _renewed(self, nats: Floats, controls: NDArray[np.int64]) -> Floats:
        """Return the nats of what with those of controls that were never used: a network has not learned them."""
        if self._memory is None:
            return np.where(controls == UNKNOWN, np.float32(UNKNOWN_SURPRISE), nats)
        new = self._memory.new(controls)
        novelty = np.float32(self._memory.novelty)
        return np.where(controls == UNKNOWN, novelty, np.where(new, np.maximum(nats, novelty), nats))

    def _following(self, ids: NDArray[np.int64]) -> Floats:
        """Return log-probabilities (n, LENGTH, CONTROL_ROWS) of the control after each place."""
        (following,) = self._predict.run(None, {"tokens": ids})
        return _over(following, range(FIRST, FIRST + len(self.vocabulary.controls)), CONTROL_ROWS)


def _size(model_dir: Path) -> int:
    """Return how many parameters the network has; raises ArtifactError."""
    try:
        return ModelManifest.from_json((model_dir / "manifest.json").read_bytes()).parameters
    except OSError as error:
        raise ArtifactError(f"{model_dir} holds no model: {error.strerror}") from error


def _session(model_dir: Path, name: str, flat: ort.OrtValue, threads: int) -> ort.InferenceSession:
    """Load a graph with its weights, which are copied; raises ArtifactError where either does not fit."""
    graph = content(model_dir, name)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_external_initializers(["flat"], [flat])
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except _LOAD_ERRORS as error:
        raise ArtifactError(f"{name} does not load: {str(error).splitlines()[0]}") from error


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
