"""What probes have found: a table for the terminal, a plot, and a document for programs."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from rich.table import Table

from clipfarm.probe.fit import Score

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 60, 150, 40, 48
"""Margins of the plot, pixels; the right one holds the names of layers."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b5588c", "#8a6d00", "#3f8fc4", "#7a4fb3", "#6b7280")
LOWEST = -1.0
"""A score below it is drawn there: far below 0, a number says nothing any more."""
STYLE = (
    "polyline{fill:none;stroke-width:2.5}.shuffled{stroke:#8a929b;stroke-width:2;stroke-dasharray:5 4}"
    "text{font:13px system-ui,sans-serif;fill:#1b1f24}.quiet{fill:#5b6470}.line{stroke:#d5d9de}.paper{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#e6e9ec}.quiet{fill:#a0a8b2}.line{stroke:#363c43}.paper{fill:#14171a}}"
)


def table(scores: Sequence[Score], measure: str) -> Table:
    """Return a row for each time step and a column for each layer, with the mean of the controls in brackets."""
    layers = list(dict.fromkeys(score.layer for score in scores))
    shown = Table(box=None, pad_edge=False)
    shown.add_column("time step", justify="right")
    for layer in layers:
        shown.add_column(layer or measure, justify="right")
    found = {(score.layer, score.step): score for score in scores}
    for step in sorted({score.step for score in scores}):
        row = [found[layer, step] for layer in layers]
        shown.add_row(str(step), *(f"{_text(score.score)} ({_text(score.control)})" for score in row))
    return shown


def best(scores: Sequence[Score]) -> Score:
    """Return the best score; of equals, the first."""
    return max(scores, key=lambda score: score.score)


def document(scores: Sequence[Score], **about: Any) -> dict[str, Any]:
    """Return all scores with what they are of, as JSON."""
    return about | {"scores": [{name: _number(value) for name, value in asdict(score).items()} for score in scores]}


def plot(scores: Sequence[Score], title: str, measure: str) -> str:
    """Return an SVG picture: the score over time, a line for each layer, and the controls as a grey band."""
    layers = list(dict.fromkeys(score.layer for score in scores))
    steps = max(score.step for score in scores) + 1
    low = max(
        LOWEST, min(0.0, *(value for score in scores for value in (score.score, score.control) if value == value))
    )

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (step / max(1, steps - 1) if steps > 1 else 0.5)

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (min(max(value, low), 1.0) - low) / (1 - low))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"',
        f' aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text x="{LEFT}" y="22" style="font-weight:600">{escape(title)}</text>',
    ]
    for tick in (each / 4 for each in range(math.ceil(low * 4), 5)):
        parts.append(f'<path class="line" d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="quiet" x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    every = max(1, math.ceil(steps / 12))
    for step in range(0, steps, every):
        bottom = HEIGHT - BOTTOM + 18
        parts.append(f'<text class="quiet" x="{x(step):.1f}" y="{bottom}" text-anchor="middle">{step}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="quiet" x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">time step</text>')
    centre = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="quiet" x="16" y="{centre:.0f}" text-anchor="middle"'
        f' transform="rotate(-90 16 {centre:.0f})">{escape(measure)}</text>'
    )
    controls = _controls(scores, steps)
    if controls:
        points = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in controls)
        parts.append(
            f'<polyline fill="none" stroke="#8a929b" stroke-dasharray="5 4" stroke-width="2" points="{points}"/>'
        )
        parts.append(f'<text class="quiet" x="{WIDTH - RIGHT + 10}" y="{y(controls[-1][1]) + 4:.1f}">shuffled</text>')
    taken: list[float] = [y(controls[-1][1])] if controls else []
    for number, layer in enumerate(layers):
        colour, own = COLOURS[number % len(COLOURS)], [score for score in scores if score.layer == layer]
        points = " ".join(f"{x(score.step):.1f},{y(score.score):.1f}" for score in own)
        parts.append(f'<polyline stroke="{colour}" points="{points}"/>')
        parts += [f'<circle cx="{x(s.step):.1f}" cy="{y(s.score):.1f}" r="3.5" fill="{colour}"/>' for s in own]
        place = _free(y(own[-1].score), taken)
        name = f'<text x="{WIDTH - RIGHT + 10}" y="{place + 4:.1f}" style="fill:{colour}">'
        parts.append(f"{name}{escape(layer or 'probe')}</text>")
    return "\n".join([*parts, "</svg>\n"])


def _controls(scores: Sequence[Score], steps: int) -> list[tuple[int, float]]:
    """Return the mean of the controls of all layers at each time step; nothing without controls."""
    means = []
    for step in range(steps):
        values = [score.control for score in scores if score.step == step and not math.isnan(score.control)]
        if values:
            means.append((step, sum(values) / len(values)))
    return means


def _free(wanted: float, taken: list[float]) -> float:
    """Return a height for a label near the wanted one that no other label has."""
    step = 15.0
    for distance in range(20):
        for place in (wanted + distance * step / 2, wanted - distance * step / 2):
            if all(abs(place - other) >= step for other in taken):
                taken.append(place)
                return place
    return wanted


def _text(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
