"""`python -m fuzz.report KEPT FILE`: cases, seconds and edges by target, of all that ran with `--keep KEPT`.

What the file says of defects stays: they are told by hand, when each was mended.
"""

import json
import platform
import sys
from pathlib import Path
from typing import Any

RENAMED = {"models": "documents"}  # counted under another name once


def report(kept: Path, path: Path) -> int:
    """Write the figures anew; return the cases of all targets."""
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    targets: dict[str, dict[str, Any]] = {}
    for name, count in json.loads((kept / "counts.json").read_text(encoding="utf-8")).items():
        each = targets.setdefault(RENAMED.get(name, name), {"cases": 0, "seconds": 0.0, "edges": 0})
        each["cases"] += count["cases"]
        each["seconds"] = round(each["seconds"] + count["seconds"], 1)
        each["edges"] = max(each["edges"], count["edges"])
    cases = sum(each["cases"] for each in targets.values())
    figures = {
        "command": "python -m fuzz all --seconds 100 --keep KEPT (again and again); python -m fuzz.report KEPT FILE",
        "python": platform.python_version(),
        "cases": cases,
        "targets": dict(sorted(targets.items())),
    }
    path.write_text(json.dumps({**told, **figures}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return cases


if __name__ == "__main__":
    print(f"{report(Path(sys.argv[1]), Path(sys.argv[2]))} cases")
