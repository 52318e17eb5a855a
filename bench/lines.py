"""Output of benchmarks: one JSON object a line on standard output, and words on standard error."""

import json
import statistics
import sys
from typing import Any


def print_line(name: str, samples: list[float], goal: float | None, **more: Any) -> None:
    """Print the median of samples, of which fewer is better, with half of the distance between their extremes."""
    line = {
        "name": name,
        "value": round(statistics.median(samples), 3),
        "goal": goal,
        "better": "lower",
        "spread": round((max(samples) - min(samples)) / 2, 3),
        "samples": [round(sample, 3) for sample in samples],
    }
    print(json.dumps(line | more), flush=True)


def say(line: str) -> None:
    """Print words for people."""
    print(line, file=sys.stderr, flush=True)
