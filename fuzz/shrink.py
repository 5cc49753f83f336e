"""A corpus kept small: of many inputs the few, and of these the short, that take every branch all of them take."""

import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType

from fuzz.targets import TARGETS, Case, keep

MOST = 24_000  # bytes of one target's corpus: those that take most stay
_WATCHED = (f"{Path(__file__).parent.parent / 'edge'}/",)
Arc = tuple[str, int, int]  # a file, and two lines run one after the other


def shrink(name: str, inputs: Iterable[bytes]) -> int:
    """Make the corpus of a target anew from inputs that do not fail; return how many it has."""
    target = TARGETS[name]
    case, beside = target.case(name), tuple(sys.modules[each].__file__ or "" for each in target.beside)
    taken: list[tuple[bytes, set[Arc]]] = []
    for data in sorted(set(inputs), key=lambda each: (len(each), each)):
        arcs = _taken(case, data, beside)
        if arcs and len(data) <= target.longest:
            taken.append((data, arcs))
    kept = _fewest(taken)
    if not kept:
        raise ValueError(f"no input of {name} takes a branch here, as where the parser is in a child: choose by hand")
    keep(name, kept)
    return len(kept)


def _fewest(taken: list[tuple[bytes, set[Arc]]]) -> list[bytes]:
    """Return, one by one, the input that takes most of what none before it took, a byte counted against it."""
    kept: list[bytes] = []
    missing = set[Arc]().union(*(arcs for _, arcs in taken))
    while missing:
        data, arcs = max(taken, key=lambda each: len(each[1] & missing) / (16 + len(each[0])))
        if sum(map(len, kept)) + len(data) > MOST:
            break
        kept.append(data)
        missing -= arcs
    return kept


def _taken(case: Case, data: bytes, beside: tuple[str, ...]) -> set[Arc]:
    """Return the arcs that an input takes; none where it fails."""
    arcs: set[Arc] = set()

    def entered(frame: FrameType, _event: str, _value: object) -> object:
        file = frame.f_code.co_filename
        if not file.startswith(_WATCHED) and file not in beside:
            return None
        last = -1

        def went(frame: FrameType, event: str, _value: object) -> object:
            nonlocal last
            if event == "line":
                arcs.add((file, last, frame.f_lineno))
                last = frame.f_lineno
            return went

        return went

    sys.settrace(entered)  # type: ignore[arg-type]
    try:
        case(data)
    except Exception:  # noqa: BLE001 - what fails has no place in a corpus
        return set()
    finally:
        sys.settrace(None)
    return arcs
