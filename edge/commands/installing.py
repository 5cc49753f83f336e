"""The command that installs models. It imports what it needs when it runs."""

import time
from pathlib import Path
from typing import Annotated

import typer

from edge.commands.terminal import SettingsFile, say

app = typer.Typer()


@app.command()
def install(
    bundle: Annotated[Path, typer.Argument(help="file of `sceneshift-trainer bundle`")],
    settings: SettingsFile,
    trust: Annotated[Path | None, typer.Option(help="public key to trust this once, beside model.trusted_keys")] = None,
    allow_older: Annotated[bool, typer.Option("--allow-older", help="also models older than those in use")] = False,
) -> None:
    """Verify a signed bundle of models and use it from the agent's next start on; touches nothing where it is wrong."""
    from edge.catalog import Models  # noqa: PLC0415
    from edge.install import install as put  # noqa: PLC0415
    from edge.settings import load  # noqa: PLC0415
    from edge.trust import trusted  # noqa: PLC0415

    loaded = load(settings)
    keys = trusted(loaded.model.trusted_keys, trust)
    found = put(bundle, Models.beside(loaded.data.directory), keys, time.time(), allow_older=allow_older)
    for model in found:
        what = "installed" if model.fresh else "is here already, and whole"
        before = f", {model.before} before it" if model.before not in {0, model.version} else ""
        say(f"{model.name} {model.version} {what}{before}")
    own = {"detector": loaded.model.directory, "behavior-lm": loaded.llm.file}
    for name in {model.name for model in found if own[model.name] is not None}:
        key = "model.directory" if name == "detector" else "llm.file"
        say(f"{key} is set, so {name} is not used: remove that key from {settings}")
    say("used from the agent's next start on; what was learned stays, and is learned anew on it beside that")
