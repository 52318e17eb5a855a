"""``README.md`` of an export: the card that hubs show, and that tells `datasets` which file is what."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import yaml

from clipfarm_export import croissant
from clipfarm_export.job import Job
from clipfarm_export.truth import text as json_text


class Format(Protocol):
    """What a format says of itself on the card."""

    def configs(self, job: Job) -> list[dict[str, Any]]:
        """Return the configurations for `datasets`; none if it does not read this format."""

    def loading(self, job: Job) -> str:
        """Return an example in Python."""


_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_VIDEO = {
    "lossless": "H.264 in RGB without loss: decoded, they are exactly what was rendered. `pixels_sha256` of a row is"
    " the SHA-256 of these RGB values. Browsers cannot play it; `previews/` has some clips that they can.",
    "h264": "H.264 (CRF 18), which browsers play. They are not lossless: `pixels_sha256` of a row is that of the"
    " rendered frames before.",
    "png": "the rendered PNGs, unchanged. `pixels_sha256` of a row is the SHA-256 of their RGB values.",
}


def text(job: Job, form: Format, report: Mapping[str, Any], sizes: Mapping[str, int], left_out: Collection[str]) -> str:
    """Return the card.

    Args:
        job: the export.
        form: its format.
        report: the content of ``export.json``.
        sizes: bytes of each file.
        left_out: names of the clips that looked complete and are not in the export.
    """
    counts = {split: sum(clip.name not in left_out for clip in clips) for split, clips in job.survey.splits.items()}
    configs = [_there(config, counts) for config in form.configs(job)]
    front = yaml.safe_dump(_front(job, report, configs), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + "\n\n".join(_sections(job, form, report, sizes, counts)) + "\n"


def _there(config: dict[str, Any], counts: Mapping[str, int]) -> dict[str, Any]:
    """Return a configuration without splits that no clip is left of, which readers do not take."""
    files = config["data_files"]
    return (
        config if isinstance(files, str) else config | {"data_files": [each for each in files if counts[each["split"]]]}
    )


def _front(job: Job, report: Mapping[str, Any], configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    tags = ["physics", "simulation", "world-models", "clipfarm"]
    count = report["clips"]
    front: dict[str, Any] = {
        "license": job.options.license,
        "pretty_name": job.options.name,
        "size_categories": [next((name for most, name in _SIZES if count < most), "n>1M")],
        "task_categories": ["video-classification"],
        "tags": [*tags, "LeRobot"] if job.options.format == "lerobot" else tags,
    }
    return front | ({"configs": configs} if configs else {})


def _sections(
    job: Job, form: Format, report: Mapping[str, Any], sizes: Mapping[str, int], counts: Mapping[str, int]
) -> list[str]:
    options = job.options
    found = [f"# {options.name}", croissant.description(job, report), "## Splits", _splits(job, counts)]
    found += [
        "## Load it",
        f"```python\n{form.loading(job)}\n```",
        "## What is in it",
        _VIDEO_LINE + _VIDEO[options.video],
        _files(sizes),
    ]
    if options.features:
        sets = "\n".join(f"- `{name}`" for name in options.features)
        found += ["## Features", _FEATURES, sets]
    found += ["## How it was made", _how(report)]
    if report["leftOut"]:
        found += [
            "## What is not in it",
            f"`export.json` lists {len(report['leftOut'])} entries that were left out, with the reason of each.",
        ]
    return found


_VIDEO_LINE = "The frames are "
_FEATURES = (
    "`features/NAME/index.json` says which file holds which tensor; a tensor has the name of its clip. Its values are"
    " those of the run, byte for byte."
)


def _splits(job: Job, counts: Mapping[str, int]) -> str:
    rows = ["| split | phase | clips | ranges |", "| --- | --- | --- | --- |"]
    for split, clips in job.survey.splits.items():
        phase = job.survey.phases[clips[0].phase]
        name = clips[0].phase.replace("|", "\\|")
        rows.append(f"| `{split}` | {name} | {counts[split]} | {_of_phase(phase)} |")
    return "\n".join(rows)


def _of_phase(phase: Mapping[str, Any]) -> str:
    """Return what a phase asks for, in words: its laws, and as JSON what has no words here."""
    asked = {name: value for name, value in phase.items() if name not in ("name", "factors")}
    asked |= phase.get("factors") or {}
    return ", ".join(_law(name, value) for name, value in asked.items()).replace("|", "\\|")


def _law(name: str, value: Any) -> str:
    match value:
        case {"min": low, "max": high, **rest} if not rest:
            return f"{name} {low:g}" if low == high else f"{name} {low:g} to {high:g}"
        case {"log": {"min": low, "max": high}, **rest} if not rest:
            return f"{name} {low:g} to {high:g} (logarithmic)"
        case {"values": [*found]} | {"names": [*found]} if found:
            words = [each if isinstance(each, str) else f"{each:g}" for each in found]
            return f"{name} {' or '.join(words)}"
        case str():
            return f"{name} {value}"
        case _:
            return f"{name} {json_text(value)}"


def _files(sizes: Mapping[str, int]) -> str:
    folders: dict[str, list[int]] = {}
    for name, size in sizes.items():
        folders.setdefault(name.rpartition("/")[0], []).append(size)
    rows = [f"| `{folder}/` | {len(of)} | {sum(of) / 2**20:.1f} MiB |" for folder, of in sorted(folders.items())]
    return "\n".join(["| folder | files | size |", "| --- | --- | --- |", *rows])


def _how(report: Mapping[str, Any]) -> str:
    return (
        f"clipfarm {report['versions']['clipfarm']} simulated and rendered each clip from the seed"
        f" {report['run']['seed']} and the clip's number. The column `recipe` has all that a clip was made from, and"
        " `metadata/provenance.parquet` the hash of each of its original files: `clipfarm clip PATH NUMBER` makes one"
        " again and compares it. `sha256sum --check SHA256SUMS` or `clipfarm verify PATH` checks the files of this data"
        " set."
    )
