"""sceneshift's edge agent: what runs in the home."""

__version__ = "0.1.0"
