"""The grammars a reply is held to: it can only name the home's devices, controls and times (GBNF, llama.cpp)."""

from collections.abc import Iterable
from itertools import product
from posixpath import commonprefix

from edge.core.prompts import DAY_NAMES, JOINS, LETTERS, MOST_CHANGES, MOVED, NOTHING, SAME, WHY, Labels, said
from edge.core.scenes import Scene
from edge.core.sequences import LENGTH

MOST_WRITTEN = 4  # behaviors a reply writes out: a device used, not a loop


def grammar(labels: Labels, slots: int = 24) -> str:
    """Return the grammar of a reply; `slots`: how many times of day the home tells apart (24 or 8).

    Letters only go forward, and at most MOST_WRITTEN behaviors are written out: in rule `s32` three letters are behind
    and two behaviors written, `m32` ends or goes on there.
    """
    hours = _either(f"{slot * 24 // slots:02d}" for slot in range(slots))
    rules = [f'root ::= "{NOTHING}\\n" | day " " hour " " act m01 | (day " " hour " ")? ({_kept(0, 0)})']
    for behind, joined in product(range(LENGTH + 1), range(MOST_WRITTEN + 1)):
        ways = [_kept(behind, joined)] if behind < LENGTH else []
        ways += [f"act m{behind}{joined + 1}"] if joined < MOST_WRITTEN else []
        at = f"{behind}{joined}"
        rules += (
            [f"s{at} ::= when ({' | '.join(ways)})", f'm{at} ::= "\\n" | "; " s{at}'] if ways else [f'm{at} ::= "\\n"']
        )
    rules += ['when ::= (day " " hour " " | hour " ")?', f"day ::= {_either(DAY_NAMES)}", f"hour ::= {hours}"]
    return "\n".join([*rules, f"act ::= {_either(labels.texts.values())}"]) + "\n"


def _kept(behind: int, joined: int) -> str:
    return " | ".join(f'"{LETTERS[place]}" m{place + 1}{joined}' for place in range(behind, LENGTH))


def reasons(labels: Labels, target: Scene) -> str:
    """Return the grammar of the line that says what a reply changed, and why."""
    names = _either(text.partition(":")[0] for text in labels.texts.values())
    scene = _escaped(" ".join(said(target)))
    return (
        f'root ::= "{WHY} " ("{SAME}" | change (", " change){{0,{MOST_CHANGES - 1}}}) ": {scene}\\n"\n'
        f'change ::= "no " name | name " {JOINS}" | "{MOVED}"\nname ::= {names}\n'
    )


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
