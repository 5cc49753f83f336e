"""The first half of the slow loop: compress -> prompt -> generate -> filter. The batch command runs the same."""

from collections import Counter
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.core import prompts
from edge.core.admission import Admission
from edge.core.compress import Kept, compress, importance_of
from edge.core.dictionary import Dictionary
from edge.core.errors import GenerationError, MessageError
from edge.core.filters import Sieve, impossible, mended, sift, transitions
from edge.core.grammar import grammar, reasons
from edge.core.hours import by_hour
from edge.core.metrics import Foretold
from edge.core.prompts import Labels, Prompt, Replies
from edge.core.proposals import Proposal, proposals
from edge.core.replies import read_reply
from edge.core.scenes import Scene
from edge.core.sequences import LENGTH, Sequence, own
from edge.core.timing import Timing
from edge.core.vocabulary import Vocabulary

BUDGET = 96  # distinct sequences handed to the language model
RECONSTRUCTION_QUANTILE = 0.995  # of the home's own sequences
RECONSTRUCTION_SLACK = 3.0  # nats; a new scene may surprise, nonsense surprises more
MOST_REASONS = 5  # shown
REPAIRS = 2  # times that a reply which cannot be, or lacks what was to join, is asked for again
EXPLAINED = 12  # replies whose reason is asked for, to be shown
# What is asked first, and with what of it where a model's context is small: (pairs named, habits shown).
SIZES = (("full", prompts.PAIRS, prompts.EXAMPLES), ("short", 24, 2), ("tiny", 8, 0))

Progress = Callable[[str, int, int], None]  # (what is going on, done, of how many)


class Scoring(Protocol):
    """A model that scores and predicts (edge/scorer.py)."""

    vocabulary: Vocabulary

    def surprise(self, sequences: Items[Sequence]) -> list[NDArray[np.floating]]:
        """Return nats (steps, 2) a sequence: of what was done, of when."""
        ...

    def scores(self, sequences: Items[Sequence]) -> NDArray[np.floating]:
        """Return one score a sequence, in nats."""
        ...

    def newest(self, sequence: Sequence) -> Any:
        """Return the surprise of the last step (`surprise`, nats of each part)."""
        ...

    def predict(self, sequence: Sequence, k: int = 10) -> list[tuple[tuple[str, str], float]]:
        """Return the k likeliest next (device, control) pairs with their probabilities."""
        ...

    def foretold(self, sequences: Items[Sequence]) -> Foretold:
        """Return rank and nats of every behavior that has one before it."""
        ...


class Writing(Protocol):
    """A language model at work (edge/generator.py)."""

    def generate(
        self,
        prompts: Items[Prompt],
        *,
        seed: int,
        temperature: float = ...,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Replies:
        """Answer every request of the fullest prompt that fits."""
        ...


@dataclass(frozen=True)
class Home:
    """What the slow loop knows of a home: its dictionary and real sequences, in order of time.

    `weeks`: the time they span. `slots`: times of day told apart (24, or 8 in the published data sets). `cleared`:
    what was lived up to a behavior that alerted and was fine, and its place; `anomalies`: up to one called wrong.
    `turned`: the place of the first sequence lived in the scene the home is in. `calm`: by the place of a sequence that
    alerted, how many steps came before that.
    """

    dictionary: Dictionary
    sequences: tuple[Sequence, ...]
    weeks: float
    slots: int = 24
    cleared: tuple[tuple[int, Sequence], ...] = ()
    anomalies: tuple[Sequence, ...] = ()
    turned: int = 0
    admission: Admission = field(default_factory=Admission)
    calm: Mapping[int, int] = field(default_factory=dict)

    def lived(self) -> list[tuple[str, str]]:
        """Return the (device id, control) pairs that were really used, in order of first use."""
        return list(dict.fromkeys((step.device, step.control) for sequence in self.sequences for step in sequence))


@dataclass(frozen=True)
class Synthesis:
    """What was written for the new scene: the sieve's result, the model's figures, what was shown to it."""

    sieve: Sieve
    replies: Replies
    shown: tuple[Kept, ...]
    emptied: int  # requests of which the scene leaves nothing, as the model says

    def why(self) -> list[str]:
        """Return what the model says it changed, and why, the most usual first."""
        told = Counter(reason.strip().removeprefix(f"{prompts.WHY} ") for reason in self.replies.reasons.values())
        return [reason for reason, _ in told.most_common(MOST_REASONS)]

    def report(self) -> dict[str, Any]:
        """Return the figures of a synthesis, what the model says it changed, and when what was kept happens."""
        return {
            "generated": len(self.replies.texts),
            "kept": len(self.sieve.kept),
            "mended": self.sieve.mended,
            "nothing_left": self.emptied,
            "rejected": self.sieve.reasons(),
            "why": self.why(),
            "by_hour": by_hour(self.sieve.kept),
        }


def synthesize(
    home: Home,
    incumbent: Scoring,
    writer: Writing,
    *,
    source: Scene,
    target: Scene,
    count: int,
    seed: int,
    temperature: float = 0.7,
    on_progress: Progress | None = None,
) -> Synthesis:
    """Let the language model rewrite the home's sequences into the target scene, and keep what can be.

    Raises GenerationError where the model gives nothing.
    """
    target = target.named(home.dictionary)
    importance = importance_of(home.sequences, incumbent.surprise(home.sequences))
    shown = compress(home.sequences, importance, BUDGET)
    drawn = proposals(shown, home.dictionary, (source, target), count, seed)
    if not drawn:
        raise GenerationError(f"the scene {target} leaves nothing of what was lived to write from")
    asked = [_prompt(size, home, shown, drawn, (source, target)) for size in SIZES]
    progress = (lambda done, of: on_progress("writing the new scene", done, of)) if on_progress else None
    replies = writer.generate([prompt for prompt, _ in asked], seed=seed, temperature=temperature, on_progress=progress)
    prompt, labels = next(each for each in asked if each[0].name == replies.prompt)
    for attempt in range(1, REPAIRS + 1):
        wrong = [
            index for index in replies.texts if not _good(replies.texts[index], drawn[index], labels, home, target)
        ]
        if wrong and not _ask_again(writer, prompt, replies, wrong, seed=seed + attempt, temperature=temperature):
            break
    read, unread = _read(replies, drawn, labels)
    written = Timing(home.sequences).timed([each for each in read if each], seed)
    sieve = sifted(home, incumbent, target, written, [each.sequence for each in drawn])
    sieve.rejected.extend(unread)
    return Synthesis(sieve, replies, tuple(shown), len(read) - len(written))


def _prompt(
    size: tuple[str, int, int], home: Home, shown: Items[Kept], drawn: Items[Proposal], scenes: tuple[Scene, Scene]
) -> tuple[Prompt, Labels]:
    name, pairs, examples = size
    target = scenes[1]
    told = prompts.choose(home.dictionary, home.sequences, pairs)
    labels = Labels.of([*told, *(pair for each in drawn for pair in each.joining)], home.dictionary)

    habits = [sequence for kept in shown if (sequence := _sayable(kept.sequence, labels))][:examples]
    follows = transitions(home.sequences) if examples else Counter()
    return Prompt(
        name=name,
        head=prompts.head(),
        home=prompts.home_text(told, habits, follows, labels),
        requests=tuple(
            prompts.request_text(_sayable(each.sequence, labels), *scenes, labels, each.joining) for each in drawn
        ),
        grammar=grammar(labels, home.slots),
        reasons=reasons(labels, target),
        explained=tuple(range(min(EXPLAINED, len(drawn)))),
    ), labels


def _sayable(sequence: Sequence, labels: Labels) -> Sequence:
    """Return what of a sequence the prompt has names for."""
    return tuple(step for step in sequence if (step.device, step.control) in labels.texts)


def _good(text: str, asked: Proposal, labels: Labels, home: Home, target: Scene) -> bool:
    """Tell whether a reply is a sequence that can be in the scene, with the device that was to join it."""
    try:
        written = read_reply(text, _sayable(asked.sequence, labels), labels)
    except MessageError:
        return False
    if not written:
        return not asked.joining
    joins = not asked.joining or any(step.device == asked.joining[0][0] for step in written)
    return joins and impossible(mended(written, home.dictionary, target), home.dictionary, target) is None


def _ask_again(
    writer: Writing, prompt: Prompt, replies: Replies, wrong: Items[int], *, seed: int, temperature: float
) -> bool:
    """Have some requests answered anew, by other chances; the first answers stay where that fails."""
    asked = replace(prompt, requests=tuple(prompt.requests[index] for index in wrong), explained=())
    try:
        found = writer.generate([asked], seed=seed, temperature=temperature)
    except GenerationError:
        return False
    for row, text in found.texts.items():
        replies.texts[wrong[row]] = text
        replies.reasons.pop(wrong[row], None)
    replies.prompt_tokens += found.prompt_tokens
    replies.generated_tokens += found.generated_tokens
    replies.seconds += found.seconds
    return True


def _read(
    replies: Replies, asked: Items[Proposal], labels: Labels
) -> tuple[list[Sequence], list[tuple[Sequence, str]]]:
    """Return the sequences written, an empty one where the model says that nothing is left, and what is none."""
    read: list[Sequence] = []
    unread: list[tuple[Sequence, str]] = []
    for index, text in replies.texts.items():
        try:
            read.append(read_reply(text, _sayable(asked[index].sequence, labels), labels))
        except MessageError as error:
            unread.append(((), error.reason))
    return read, unread


def sifted(
    home: Home, incumbent: Scoring, target: Scene, written: Items[Sequence], asked: Items[Sequence] = ()
) -> Sieve:
    """Keep what can be in the target scene and does not stand out from what was lived, and `asked` to be rewritten."""
    outlying = _outlying([*home.sequences, *asked], home, incumbent, target, written)
    return sift(written, home.dictionary, target, [*home.sequences, *asked], outlying)


def _outlying(
    usual: Items[Sequence], home: Home, incumbent: Scoring, target: Scene, read: Items[Sequence]
) -> Callable[[Sequence], bool]:
    """Judge a sequence by how badly the incumbent foretells those of its controls that the home has lived."""
    lived = set(home.lived())

    def mean(sequence: Sequence, surprise: NDArray[np.floating]) -> float:
        steps = (sequence[-LENGTH:][place] for place in own(sequence))
        what = [float(nats) for step, nats in zip(steps, surprise[:, 0], strict=True)
                if (step.device, step.control) in lived]  # fmt: skip
        return float(np.mean(what)) if what else 0.0

    sample = list(Counter(usual))[-400:]
    usually = [mean(*each) for each in zip(sample, incumbent.surprise(sample), strict=True)]
    limit = float(np.quantile(usually, RECONSTRUCTION_QUANTILE)) + RECONSTRUCTION_SLACK
    whole = (mended(each, home.dictionary, target) for each in read)
    distinct = list(dict.fromkeys(each for each in whole if len(each) <= LENGTH))
    found = {each: mean(each, nats) for each, nats in zip(distinct, incumbent.surprise(distinct), strict=True)}
    return lambda sequence: found[sequence] > limit
