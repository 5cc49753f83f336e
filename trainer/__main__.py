"""python -m trainer ..., and the console script sceneshift-trainer."""

import os

from trainer.cli import app


def main() -> None:
    """Run the command line."""
    # Threads that spin while they wait make a busy machine ten times slower; read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    app()


if __name__ == "__main__":
    main()
