"""sceneshift's edge agent: what runs in the home. Nothing leaves it, so libraries may not report to their makers."""

import os

__version__ = "0.1.0"

# Said before any of them is loaded, and to every child. ONNX Runtime of 1.29 and later reports models and runs to
# Microsoft unless told not to; the other word is what many libraries have agreed on.
os.environ |= {"ORT_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
