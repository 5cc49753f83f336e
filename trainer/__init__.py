"""sceneshift's host side: simulate homes, train, evaluate, export. The hub never imports it."""

import edge as edge  # before any library: it switches off what they would report
