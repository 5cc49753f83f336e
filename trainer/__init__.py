"""sceneshift's host side: simulate homes, train, evaluate, export. The hub never imports it."""

import os

import edge as edge  # before any library: it switches off what they would report

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
