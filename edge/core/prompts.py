"""Scene, dictionary and examples to a prompt and a grammar; reply text to a sequence.

The prompt has the parts of IoTGen's Table I (role, task, requirements, dictionary, examples, scene), what
never changes for a home first, so that its evaluated state can be reused. The model rewrites one sequence
a reply. A device's name is free text from the network: it is data, and can neither end a line nor a rule.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass, field
from functools import cached_property
from posixpath import commonprefix
from typing import Any

from edge.core.dictionary import Dictionary
from edge.core.errors import MessageError
from edge.core.scenes import Scene, waking
from edge.core.sequences import LENGTH, Sequence, Step

DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
NEW = "NEW"  # stands before the name of a new device
NOTHING = "nothing"  # the reply to a sequence of which the scene leaves nothing
PAIRS = 48  # (device, control) pairs a prompt names at most
EXAMPLES = 6  # habits a prompt shows

ROLE = "You know how people live at home."
TASK = "Rewrite a sequence as the same people live it in the new scene."
RULES = "Keep their habits. Use only these devices. Time goes forward. Leave out what the scene forbids."

_UNSAFE = re.compile(r"[^\w .+&'/()-]|_")  # whatever could end a name, a line, a part or a rule
_REPORT = re.compile(r"notification|refresh")  # what a device or an app does by itself
_WHEN = re.compile(r"(?:(?:({}) )?(\d\d) )?(.+)".format("|".join(DAY_NAMES)))


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
    covering: tuple[str, ...] = ()  # grammars whose replies hold what the scene wakes, used in turn
    covered: tuple[int, ...] = ()  # the requests held to them
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

    texts: Mapping[tuple[str, str], str]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]], dictionary: Dictionary) -> "Labels":
        """Name the pairs by the devices' own names; equal names are numbered."""
        names: dict[str, str] = {}
        texts: dict[tuple[str, str], str] = {}
        for device, control in pairs:
            if device not in names:
                described = dictionary.devices.get(device)
                names[device] = _unused(clean(described.name if described else device), names.values())
            text = f"{names[device]}:{clean(control, 60)}"
            texts[device, control] = _unused(text, texts.values())
        return cls(texts)

    @cached_property
    def pairs(self) -> Mapping[str, tuple[str, str]]:
        """The pairs by their text."""
        return {text: pair for pair, text in self.texts.items()}


def _unused(text: str, taken: Iterable[str]) -> str:
    used = set(taken)
    number, wanted = 2, text
    while text in used:
        text, number = f"{wanted} {number}", number + 1
    return text


def choose(
    dictionary: Dictionary, habits: Iterable[Sequence], scene: Scene, limit: int = PAIRS
) -> list[tuple[str, str]]:
    """Return the pairs a prompt names: what the scene wakes, what the home uses most, then the rest, up to `limit`."""
    counts = Counter((step.device, step.control) for sequence in habits for step in sequence)
    waiting = [pair for pair in woken(dictionary, scene) if pair not in counts]
    fresh = sorted(waiting, key=lambda pair: not switches(pair))[: limit // 3]
    used = [pair for pair, _ in counts.most_common()]
    rest = [pair for pair in dictionary.controls if pair not in counts and pair not in fresh]
    chosen = set([*fresh, *used, *rest][:limit])
    return [pair for pair in dict.fromkeys([*dictionary.controls, *used]) if pair in chosen]


def woken(dictionary: Dictionary, scene: Scene) -> list[tuple[str, str]]:
    """Return what people do with the devices a scene wakes in this home, a new device's among them."""
    awake = waking(scene)

    def wakes(device: str) -> bool:
        described = dictionary.devices.get(device)
        named = described is not None and scene.new_device in {described.id, described.name}
        return named or dictionary.kind(device) in awake

    return [pair for pair in dictionary.controls if wakes(pair[0]) and not _REPORT.search(pair[1].lower())]


def switches(pair: tuple[str, str]) -> bool:
    """Tell whether a control turns its device on or off: what wakes a device, before anything is set on it."""
    return pair[1].lower().endswith((" on", " off"))


def sequence_text(sequence: Sequence, labels: Labels) -> str:
    """Write a sequence on one line; day and hour only where they change."""
    if not sequence:
        return NOTHING
    parts: list[str] = []
    day = hour = -1
    for step in sequence:
        when = ""
        if step.day != day:
            when = f"{DAY_NAMES[step.day]} {step.hour:02d} "
        elif step.hour != hour:
            when = f"{step.hour:02d} "
        day, hour = step.day, step.hour
        parts.append(when + labels.texts[step.device, step.control])
    return "; ".join(parts)


def read_reply(text: str, labels: Labels) -> Sequence:
    """Read one reply line; raises MessageError with the reason it is no sequence of this home."""
    line = text.strip()
    if line == NOTHING:
        return ()
    steps: list[Step] = []
    day = hour = -1
    for part in line.split("; "):
        match = _WHEN.fullmatch(part)
        pair = labels.pairs.get(match[3]) if match else None
        if match is None or pair is None:
            raise MessageError("not in the dictionary")
        day = DAY_NAMES.index(match[1]) if match[1] else day
        hour = int(match[2]) if match[2] else hour
        if day < 0 or not 0 <= hour < 24:
            raise MessageError("no time")
        steps.append(Step(day, hour, *pair))
    if len(steps) > LENGTH:
        raise MessageError("too long")
    return tuple(steps)


def head() -> str:
    """Return the part of the prompt that is the same for every home."""
    return f"### role\n{ROLE}\n### task\n{TASK}\n### rules\n{RULES}\n"


def devices_text(labels: Labels) -> str:
    """Write the dictionary, one device a line, each name after a space and each control after a mark.

    So a tokenizer cuts them as it cuts them in a sequence, and the model can copy.
    """
    lines: dict[str, list[str]] = {}
    for text in labels.texts.values():
        name, _, control = text.partition(":")
        lines.setdefault(name, []).append(control)
    return "### devices\n" + "".join(f"- {name}:{'|'.join(controls)}\n" for name, controls in lines.items())


def habits_text(examples: Items[Sequence], labels: Labels) -> str:
    """Write the home's own sequences, the most telling first."""
    return "### habits\n" + "".join(f"{sequence_text(each, labels)}\n" for each in examples)


def request_text(sequence: Sequence, source: Scene, target: Scene, labels: Labels) -> str:
    """Write the request for one rewritten sequence.

    The scene to write for is in capitals: other tokens than the scene left, so that they cannot be mistaken.
    """
    told = " ".join(said(source)), " ".join(word.upper() for word in said(target))
    new = f" {NEW} {clean(target.new_device)}" if target.new_device else ""
    return f"### scene\nfrom {told[0]} to {told[1]}{new}\n{sequence_text(sequence, labels)}\n### reply\n"


def said(scene: Scene) -> tuple[str, ...]:
    """Return the words for a scene; a new device has none, its name follows NEW."""
    words = (scene.season, scene.part, scene.occupancy, scene.mode)
    return tuple(filter(None, words)) or ("home",)


def grammar(labels: Labels, slots: int = 24, held: Items[Iterable[tuple[str, str]]] = ()) -> str:
    """Return a GBNF grammar: a reply can only name the home's devices, controls and times.

    `slots`: how many times of day the home tells apart (24 or 8). A reply holds one pair of each group in
    `held` (two at most), one right after the other: the model decides which, where in the sequence and when.
    """
    hours = _either(f"{slot * 24 // slots:02d}" for slot in range(slots))
    words = f"day ::= {_either(DAY_NAMES)}\nhour ::= {hours}\nact ::= {_either(labels.texts.values())}\n"
    when = '(day " " hour " " | hour " ")?'
    rules = f"next ::= {when} act\n{words}"
    if not held:
        begin = f'root ::= "{NOTHING}\\n" | day " " hour " " act ("; " next){{0,{LENGTH - 1}}} "\\n"\n'
        return begin + rules
    for number, group in enumerate(held):
        rules += f"held{number} ::= {_either(labels.texts[pair] for pair in group)}\n"
    then = "".join(f' "; " {when} held{number}' for number in range(1, len(held)))
    half = LENGTH // 2 - 1
    early = half + 1 - len(held)
    first = f'(held0 | act ("; " next){{0,{early}}} "; " {when} held0){then}'
    return f'root ::= day " " hour " " {first} ("; " next){{0,{half}}} "\\n"\n{rules}'


def _either(texts: Iterable[str]) -> str:
    """Return a rule for one of the texts, beginnings shared: llama.cpp follows every alternative at each token."""
    groups: dict[str, list[str]] = {}
    for text in dict.fromkeys(texts):
        groups.setdefault(text[:1], []).append(text)
    ends = bool(groups.pop("", []))
    parts: list[str] = []
    for group in groups.values():
        shared = commonprefix(group)
        rests = [text[len(shared) :] for text in group]
        parts.append(f'"{_escaped(shared)}"' + (f" {_either(rests)}" if len(rests) > 1 else ""))
    return f"({' | '.join(parts)})" + ("?" if ends else "")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
