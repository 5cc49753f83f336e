"""python -m trainer ..., and the console script sceneshift-trainer."""

from trainer.cli import app


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
