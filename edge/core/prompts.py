"""Scene, dictionary and examples to a prompt.

The prompt has the parts of IoTGen's Table I (role, task, requirements, dictionary, examples, scene), what
never changes for a home first, so that its evaluated state can be reused. The model rewrites one sequence
a reply. A device's name is free text from the network: it is data, and can neither end a line nor a rule.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from edge.core.dictionary import Dictionary
from edge.core.scenes import Scene
from edge.core.sequences import Sequence

DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LETTERS = "abcdefghij"  # of the behaviors in a sequence to rewrite
NOTHING = "nothing"  # the reply to a sequence of which the scene leaves nothing
WHY, SAME, MOVED, JOINS = "why", "nothing changes", "moved", "joins"  # the words of a reason
MOST_CHANGES = 4  # that a reason names
PAIRS = 48  # (device, control) pairs a prompt names at most
EXAMPLES = 6  # habits, and transitions, a prompt shows

Pair = tuple[str, str]  # device id, control
Follows = Counter[tuple[Pair, Pair]]

ROLE = "You know how people live at home."
TASK = "Rewrite a sequence as the same people live it in the new scene: a letter keeps a behavior, the rest is written."
RULES = "Keep their habits. Use only these devices. Time goes forward. Leave out what the scene forbids."

_TIMED = re.compile(r"(({}) )?\d\d( |$)".format("|".join(DAY_NAMES)))  # a name that a reply would take for a time
_UNSAFE = re.compile(r"[^\w .+&'/()-]|_")  # whatever could end a name, a line, a part or a rule


def clean(text: str, limit: int = 40) -> str:
    """Return free text as a short plain name."""
    return " ".join(_UNSAFE.sub(" ", text).split())[:limit].strip() or "device"


@dataclass(frozen=True)
class Prompt:
    """One way to ask: `head` is the same for every home, `home` for every request of this home."""

    name: str
    head: str
    home: str
    requests: tuple[str, ...]
    grammar: str
    reasons: str = ""  # the grammar of a second line that gives the reason of a reply
    explained: tuple[int, ...] = ()  # the requests asked for it


@dataclass
class Replies:
    """What the model wrote: `texts` and their `reasons` by request index; the figures of the run."""

    file: str
    sha256: str = ""
    prompt: str = ""
    texts: dict[int, str] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    prompt_tokens: int = 0
    generated_tokens: int = 0
    seconds: float = 0.0

    def figures(self) -> dict[str, Any]:
        """Return the run's figures for a report."""
        speed = self.generated_tokens / self.seconds if self.seconds else 0.0
        return {
            "file": self.file,
            "sha256": self.sha256,
            "prompt": self.prompt,
            "prompt_tokens": self.prompt_tokens,
            "generated_tokens": self.generated_tokens,
            "seconds": round(self.seconds, 2),
            "tokens_per_second": round(speed, 1),
        }


@dataclass(frozen=True)
class Labels:
    """The words a prompt uses for (device id, control) pairs, each of them unique."""

    texts: Mapping[Pair, str]

    @classmethod
    def of(cls, pairs: Iterable[Pair], dictionary: Dictionary) -> "Labels":
        """Name the pairs by the devices' own names; equal names are numbered."""
        names: dict[str, str] = {}
        texts: dict[tuple[str, str], str] = {}
        for device, control in dict.fromkeys(pairs):
            if device not in names:
                described = dictionary.devices.get(device)
                name = clean(described.name if described else device)
                names[device] = _unused(f"device {name}" if _TIMED.match(name) else name, names.values())
            text = f"{names[device]}:{clean(control, 60)}"
            texts[device, control] = _unused(text, texts.values())
        return cls(texts)

    @cached_property
    def pairs(self) -> Mapping[str, Pair]:
        """The pairs by their text."""
        return {text: pair for pair, text in self.texts.items()}


def _unused(text: str, taken: Iterable[str]) -> str:
    used = set(taken)
    number, wanted = 2, text
    while text in used:
        text, number = f"{wanted} {number}", number + 1
    return text


def choose(dictionary: Dictionary, habits: Iterable[Sequence], limit: int = PAIRS) -> list[Pair]:
    """Return the pairs a prompt names for every scene: what the home uses most, then the rest, up to `limit`."""
    counts = Counter((step.device, step.control) for sequence in habits for step in sequence)
    used = [pair for pair, _ in counts.most_common()]
    chosen = set([*used, *(pair for pair in dictionary.controls if pair not in counts)][:limit])
    return [pair for pair in dict.fromkeys([*dictionary.controls, *used]) if pair in chosen]


def sequence_text(sequence: Sequence, labels: Labels, *, lettered: bool = False) -> str:
    """Write a sequence on one line; day and hour only where they change. `lettered`: each behavior has its letter."""
    parts: list[str] = []
    day = hour = -1
    for letter, step in zip(LETTERS, sequence, strict=False):
        when = ""
        if step.day != day:
            when = f"{DAY_NAMES[step.day]} {step.hour:02d} "
        elif step.hour != hour:
            when = f"{step.hour:02d} "
        day, hour = step.day, step.hour
        parts.append((f"{letter} " if lettered else "") + when + labels.texts[step.device, step.control])
    return "; ".join(parts)


def head() -> str:
    """Return the part of the prompt that is the same for every home."""
    return f"### role\n{ROLE}\n### task\n{TASK}\n### rules\n{RULES}\n"


def devices_text(pairs: Iterable[Pair], labels: Labels) -> str:
    """Write the dictionary, one device a line, each name after a space and each control after a mark.

    So a tokenizer cuts them as it cuts them in a sequence, and the model can copy.
    """
    return "### devices\n" + "".join(f"- {line}\n" for line in _device_lines(pairs, labels))


def _device_lines(pairs: Iterable[Pair], labels: Labels) -> list[str]:
    lines: dict[str, list[str]] = {}
    for pair in pairs:
        name, _, control = labels.texts[pair].partition(":")
        lines.setdefault(name, []).append(control)
    return [f"{name}:{'|'.join(controls)}" for name, controls in lines.items()]


def home_text(pairs: Iterable[Pair], examples: Iterable[Sequence], follows: Follows, labels: Labels) -> str:
    """Write what is the same for every scene of a home: its devices, its habits, and what follows on what."""
    told = [(one, other) for (one, other), _ in follows.most_common() if one != other]
    known = [pair for pair in told if pair[0] in labels.texts and pair[1] in labels.texts][:EXAMPLES]
    lines = ["### habits", *(sequence_text(each, labels) for each in examples)]
    lines += ["### then", *(f"{labels.texts[one]} > {labels.texts[other]}" for one, other in known)]
    return devices_text(pairs, labels) + "\n".join(lines) + "\n"


def request_text(sequence: Sequence, source: Scene, target: Scene, labels: Labels, joining: Iterable[Pair] = ()) -> str:
    """Write the request for one sequence: rewritten into the target scene, or newly written where none is given.

    `joining`: what a device can do that is to take part (one that the scene wakes, or a new one). The scene to write
    for is in capitals: other tokens than the scene left, so that they cannot be mistaken.
    """
    now = " ".join(word.upper() for word in said(target))
    asked = f"from {' '.join(said(source))} to {now}" if sequence else f"write {now}"
    told = "".join(f" with {line}" for line in _device_lines(joining, labels))
    gone = f" without {clean(target.removed_device)}" if target.removed_device else ""
    given = f"{sequence_text(sequence, labels, lettered=True)}\n" if sequence else ""
    return f"### scene\n{asked}{told}{gone}\n{given}### reply\n"


def reason_text(sequence: Sequence, reply: Sequence, target: Scene, labels: Labels) -> str:
    """Say in one line what a reply changed, and why: what is gone, what joins, whether the hours moved."""
    before, after = ({step.device: labels.texts[step.device, step.control].partition(":")[0] for step in each}
                     for each in (sequence, reply))  # fmt: skip
    changes = [f"no {name}" for device, name in before.items() if device not in after]
    changes += [f"{name} {JOINS}" for device, name in after.items() if device not in before]
    stays = {(step.device, step.control, step.hour) for step in sequence if step.device in after}
    moved = stays and not stays & {(step.device, step.control, step.hour) for step in reply}
    changes += [MOVED] if moved else []
    return f"{WHY} {', '.join(changes[:MOST_CHANGES]) or SAME}: {' '.join(said(target))}\n"


def said(scene: Scene) -> tuple[str, ...]:
    """Return the words for a scene; a new device has none, its name follows NEW."""
    words = (scene.season, scene.part, scene.occupancy, scene.mode)
    return tuple(filter(None, words)) or ("home",)
