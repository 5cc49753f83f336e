"""Many homes compressed, here or on a cluster: each home a piece of work that carries its own files along."""

import json
from collections.abc import Sequence as Items
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.core.dictionary import DatasetNames
from edge.core.errors import MessageError, SettingsError
from trainer.cluster import Tell, Where, results
from trainer.sppc.compression import Asked, compress

DICTIONARY = "dictionary.json"


@dataclass(frozen=True)
class Compressed:
    """What became of one home: its file, how many sequences were kept of how many, tokens after and before."""

    file: Path
    kept: int
    of: int
    after: int
    before: int


def compress_homes(files: Items[Path], asked: Asked, out: Path, where: Where, tell: Tell) -> list[Compressed]:
    """Compress files of sequences; write each home's and its scores into a folder as they come.

    A home's dictionary.json stands beside its file, or in the folder above. Raises SettingsError, RetrainError.
    """
    names = [_named(file) for file in files]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SettingsError(f"two homes would both be written as {twice[0]}: compress them into two folders")
    asking = {key: value for key, value in asdict(asked).items() if key != "kept"}  # kept: by the cluster's own means
    items = [{**_texts(file), "asked": asking} for file in files]
    out.mkdir(parents=True, exist_ok=True)
    told: dict[int, Compressed] = {}
    for place, result in results(home, items, where, tell):
        scores, file = result["scores"], out / f"{names[place]}.jsonl"
        file.write_text(result["lines"], encoding="utf-8")
        file.with_suffix(".scores.json").write_text(json.dumps(scores) + "\n", encoding="utf-8")
        tokens = scores["tokens"]
        counts = len(scores["kept"]), len(scores["importance"])
        told[place] = Compressed(file, *counts, tokens["after"], tokens["before"])
    return [told[place] for place in range(len(files))]


def home(item: Any, tell: Tell) -> dict[str, Any]:
    """Compress one home; return the lines that were kept and the scores. Raises SettingsError, RetrainError."""
    try:
        names = DatasetNames.parse(item["dictionary"])
        lived = names.sequences(item["sequences"])
    except MessageError as error:
        raise SettingsError(f"{item['name']}: {error}") from error
    if not lived:
        raise SettingsError(f"{item['name']}: no sequence in it")
    asked = Asked(**item["asked"])
    found = compress(
        lived, names.dictionary(lived), asked, tell=lambda done, of: tell(f"{item['name']}, {asked.method}", done, of)
    )
    return {"lines": names.lines(lived[row] for row in found.kept), "scores": found.scores()}


def _texts(file: Path) -> dict[str, str]:
    """Read a home's two files; raises SettingsError naming the one that is missing."""
    beside = (file.parent / DICTIONARY, file.parent.parent / DICTIONARY)
    dictionary = next((path for path in beside if path.is_file()), None)
    if dictionary is None:
        raise SettingsError(f"{file}: neither beside it nor in the folder above is its {DICTIONARY}")
    try:
        texts = (dictionary.read_text(encoding="utf-8"), file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}") from error
    return {"name": _named(file), "dictionary": texts[0], "sequences": texts[1]}


def _named(file: Path) -> str:
    """Return what a home's file is written as: its folders' names, the last two, and its own."""
    return "-".join([*file.absolute().parts[-3:-1], file.stem])
