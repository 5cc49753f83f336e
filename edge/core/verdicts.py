"""A score and what keeps quiet to a verdict; an alert as it is kept."""

from dataclasses import dataclass

from edge.core.explanations import Explanation

UNUSUAL = 1.0  # the score above which a behavior is unusual
SENT, FINE, WRONG = (
    "sent",
    "fine",
    "wrong",
)  # states of an alert that was told; else one of edge/core/quiet.py's reasons
TOLD = frozenset({SENT, FINE, WRONG})
FEEDBACK = (FINE, WRONG)  # what a person may say of an alert


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a behavior means. `score`: how many times its limit the oddest part of it is, None where it is not judged.

    `quiet`: why nobody is told though it is unusual, or why it was not judged; `explanation` and `sentence` stand where
    it is unusual.
    """

    score: float | None
    quiet: str = ""
    explanation: Explanation | None = None
    sentence: str = ""

    @property
    def unusual(self) -> bool:
        """Tell whether it is beyond the limits."""
        return self.score is not None and self.score > UNUSUAL

    @property
    def alert(self) -> bool:
        """Tell whether somebody is to be told."""
        return self.unusual and not self.quiet


@dataclass(frozen=True, slots=True)
class Alert:
    """An unusual behavior as it is kept; `behavior` is the store's row of it, None where that was forgotten.

    `state`: SENT, or what a person said of it since, or the reason it was not sent.
    """

    time: float
    behavior: int | None
    score: float
    threshold: float
    sentence: str
    state: str = SENT
    id: int = 0
    explanation: Explanation | None = None
