"""One address that is asked regularly, and how that went."""

from dataclasses import dataclass, field

from clipfarm.vram.lag import LagTracker

AGAIN_SECONDS, MOST_SECONDS = 1.0, 15.0
"""A source that fails is asked again after so long, then after twice that, and so on, up to the second."""


@dataclass
class Source:
    """One address, and how it went there."""

    url: str
    title: str
    """As people know it."""
    node: str = ""
    """The node that it reports; empty: its labels say."""
    problem: str = ""
    """What is wrong with its last answer, or why there was none."""
    failures: int = 0
    """In a row."""
    not_before: float = float("-inf")
    answered_at: float | None = None
    lag: LagTracker = field(default_factory=LagTracker)

    def failed(self, now: float, problem: str) -> None:
        """Take note that it reported nothing."""
        self.problem = problem
        self.not_before = now + min(AGAIN_SECONDS * 2**self.failures, MOST_SECONDS)
        self.failures = min(self.failures + 1, 10)

    def answered(self, now: float, problem: str) -> None:
        """Take note of an answer, and of what is wrong with it."""
        self.problem, self.failures, self.not_before, self.answered_at = problem, 0, float("-inf"), now
