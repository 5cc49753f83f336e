"""A prompt and its grammars for tests of the language model, in the form the shipped model was trained on."""

import re
from dataclasses import replace

from edge.core.prompts import Prompt
from edge.generator import Limits

LIMITS = Limits(seconds=60, nice=0)
NAMES = ("Hall lamp", "Kettle", "Bath heater", "Desk fan")
ACTS = " | ".join(f'"{name}:state {value}"' for name in NAMES for value in ("ON", "OFF"))
WORDS = f"""day ::= "Mon" | "Tue" | "Sat"
hour ::= [01] [0-9]
act ::= {ACTS}
"""
GRAMMAR = f"""root ::= day " " hour " " act ("; " (hour " ")? act){{0,7}} "\\n"
{WORDS}"""
REASONS = """root ::= "because of " ("heat" | "cold" | "light") "\\n"
"""
_ACT = f"({'|'.join(NAMES)}):state (ON|OFF)"
REPLY = re.compile(rf"(Mon|Tue|Sat) [01]\d {_ACT}(; ([01]\d )?{_ACT}){{0,7}}")
HOME = "### devices\n" + "".join(f"- {name}:state ON|state OFF\n" for name in NAMES) + "### habits\n" + "".join(
    f"{day} 07 Hall lamp:state ON; Kettle:state ON; 21 Hall lamp:state OFF\n" for day in ("Mon", "Tue", "Sat")
)  # fmt: skip


def requests(count: int) -> tuple[str, ...]:
    return tuple(
        f"### scene\nfrom winter to SPRING\na {('Mon', 'Tue', 'Sat')[number % 3]} {number % 20:02d} "
        f"{NAMES[number % 4]}:state ON; b Hall lamp:state OFF\n### reply\n"
        for number in range(count)
    )


def prompt(count: int = 4, **changes: object) -> Prompt:
    told = Prompt("full", "### role\nYou know how people live at home.\n", HOME, requests(count), GRAMMAR)
    return replace(told, **changes)  # type: ignore[arg-type]
