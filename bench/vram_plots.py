"""Plots of the simulation of GPU memory."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from PIL import Image, ImageDraw, ImageFont

from clipfarm_simulation.simulate import Result

POLICIES = {
    "none": ("no gate", "#d1495b"),
    "first": ("first system's rule", "#edae49"),
    "clipfarm": ("clipfarm", "#00798c"),
    "oracle": ("oracle", "#666666"),
}
SECONDS = 3600
HIGH, LOW = 0.85, 0.70
Results = Mapping[str, Result]


def draw(folder: Path, by_seed: Sequence[Mapping[str, Results]]) -> None:
    """Draw one GPU over time, and all scenarios beside each other."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("neighbours", "encoder"):
        if name in by_seed[0]:
            over_time(by_seed[0][name], f'One GPU of 24 GiB in the scenario "{name}", the first hour').save(
                folder / f"vram-{name}.png"
            )
    scenarios(by_seed).save(folder / "vram-scenarios.png")


def over_time(results: Results, title: str) -> Image.Image:
    """Return what is in use of one GPU, of others and in all, under each policy."""
    shown = [name for name in ("none", "clipfarm", "oracle") if name in results]
    left, width, height, gap = 150, 1150, 190, 60
    image = Image.new("RGB", (left + width + 40, 70 + len(shown) * (height + gap)), "white")
    page, font = ImageDraw.Draw(image), ImageFont.load_default(18)
    page.text((left, 16), title, "black", ImageFont.load_default(22))
    for row, name in enumerate(shown):
        label, colour = POLICIES[name]
        trace, top = results[name].trace, 80 + row * (height + gap)
        seconds = min(SECONDS, len(trace.used))

        def at(second: float, part: float, top: int = top) -> tuple[float, float]:
            return left + second / SECONDS * width, top + height * (1 - part)

        others = [at(second, trace.others[second] / trace.size) for second in range(seconds)]
        page.polygon([*others, at(seconds, 0), at(0, 0)], fill="#e4d5b7")
        page.line([at(second, trace.used[second] / trace.size) for second in range(seconds)], colour, 2)
        for part, text in ((1.0, "100 %"), (HIGH, "85 %"), (LOW, "70 %"), (0.0, "0")):
            page.line([at(0, part), at(SECONDS, part)], "#444444" if part in (0.0, 1.0) else "#bbbbbb")
            page.text((left - 8, at(0, part)[1]), text, "#444444", ImageFont.load_default(13), anchor="rm")
        for second in trace.lost:
            if second < SECONDS:
                x, y = at(second, 1.0)
                page.line((x, y - 10, x, y), "#d1495b", 2)
        page.text((10, top + 60), label, colour, font)
        lost = sum(second < SECONDS for second in trace.lost)
        page.text((10, top + 85), f"{lost} ran out" if lost else "none ran out", "#444444", font)
    for minute in range(0, 61, 10):
        x = left + minute / 60 * width
        page.text((x, image.height - gap + 20), f"{minute} min", "#444444", ImageFont.load_default(14), anchor="mm")
    legend = "line: in use; sand: of that, others'; red marks: a clip ran out of memory"
    page.text((left, image.height - 26), legend, "#444444", ImageFont.load_default(16))
    return image


def scenarios(by_seed: Sequence[Mapping[str, Results]]) -> Image.Image:
    """Return, for each scenario, what part of all clips ran out of memory, and clips an hour beside the oracle's."""
    names = list(by_seed[0])
    left, bar, row = 150, 9, 52
    image = Image.new("RGB", (1340, 110 + row * len(names) + 40), "white")
    page, font, small = ImageDraw.Draw(image), ImageFont.load_default(17), ImageFont.load_default(13)
    page.text((left, 14), "Attempts that ran out of memory, each 100 clips", "black", font)
    page.text((left + 620, 14), "Clips completed an hour, of the oracle's", "black", font)
    for number, (label, colour) in enumerate(POLICIES.values()):
        page.rectangle((left + number * 190, 48, left + number * 190 + 12, 60), colour)
        page.text((left + number * 190 + 18, 46), label, colour, small)
    for index, name in enumerate(names):
        top = 84 + index * row
        page.text((10, top + 8), name, "black", font)
        for number, (policy, (_, colour)) in enumerate(POLICIES.items()):
            runs = [found[name] for found in by_seed]
            lost = mean(100 * run[policy].out_of_memory / run[policy].clips for run in runs)
            speed = mean(run[policy].per_hour / run["oracle"].per_hour for run in runs)
            y = top + number * (bar + 1)
            for x, scale, value, text in (
                (left, 2.3, lost, f"{lost:.2f}" if lost < 10 else f"{lost:.0f}"),
                (left + 620, 380, speed, f"{speed:.2f}"),
            ):
                page.rectangle((x, y, x + max(1, value * scale), y + bar - 1), colour)
                page.text(
                    (x + value * scale + 6, y + bar / 2), text, "#444444", ImageFont.load_default(11), anchor="lm"
                )
    page.line((left + 620 + 380, 80, left + 620 + 380, image.height - 40), "#bbbbbb")
    page.text((left, image.height - 28), _note(by_seed), "#444444", small)
    return image


def _note(by_seed: Sequence[Mapping[str, Results]]) -> str:
    seeds = "1 seed" if len(by_seed) == 1 else f"means of {len(by_seed)} seeds"
    return f"{seeds}; who loses clips at once is done sooner with the others: speed alone says little of the first two"
