"""sceneshift's host side: simulate homes, train, evaluate, export. The hub never imports it."""
