"""Tokens a second of the shipped language model, with and without its grammar, in one run."""

import json
import statistics
from dataclasses import replace
from typing import Any

from edge import compose
from edge.core import prompts
from edge.core.dictionary import parse_dictionary
from edge.core.prompts import Labels, Prompt
from edge.core.scenes import Scene
from edge.core.sequences import split
from edge.demo.recorded import open_home
from edge.generator import Generator, Limits
from edge.slots import shipped


def llm(requests: int = 60, rounds: int = 3) -> dict[str, Any]:
    """Ask the demo's home, free and held to the grammar in turn; medians over rounds."""
    recorded = open_home(shipped("demo-home"), None)
    sequences = split(recorded.source, recorded.home.zone)
    assert recorded.home.dictionary is not None
    home = parse_dictionary(recorded.home.dictionary.read_text(encoding="utf-8"))
    source, target = Scene.parse(recorded.home.scene or "winter"), Scene.parse(recorded.scene)
    labels = Labels.of(prompts.choose(home, sequences, target, prompts.PAIRS), home)
    asked = tuple(prompts.request_text(each, source, target, labels) for each in sequences[:requests])
    told = prompts.devices_text(labels) + prompts.habits_text(sequences[: prompts.EXAMPLES], labels)
    prompt = Prompt("full", prompts.head(), told, asked, prompts.grammar(labels))
    file = compose.language_model()
    speeds: dict[str, list[float]] = {"free": [], "with_grammar": []}
    for seed in range(rounds):
        for name, held in (("free", False), ("with_grammar", True)):
            model = Generator(file, replace(Limits(), nice=0), grammar=held)
            speeds[name].append(float(model.generate([prompt], seed=seed).figures()["tokens_per_second"]))
    medians = {f"tokens_per_second_{name}": statistics.median(values) for name, values in speeds.items()}
    ratio = medians["tokens_per_second_with_grammar"] / medians["tokens_per_second_free"]
    return {"file": file.name, "bytes": file.stat().st_size, **medians, "grammar_ratio": round(ratio, 3)}


if __name__ == "__main__":
    print(json.dumps(llm(), indent=1))
