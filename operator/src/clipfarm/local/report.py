"""``report.json`` and ``report.md``: how a run went, for programs and for people."""

import json
import platform
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any

from clipfarm.decide.status import Failure
from clipfarm.local.executor import Ended
from clipfarm.local.features import wanted
from clipfarm.local.job import Job
from clipfarm.local.report_text import markdown
from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.clip import ClipManifest
from clipfarm_contract.cpus import available_cpus
from clipfarm_contract.encoder_progress import EncoderProgress
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.fields import ContractError
from clipfarm_contract.indexes import compress
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.machine import Machine, processor
from clipfarm_contract.result import ClipResult

MOST_RESULTS = 10_000
"""Clips whose results are read for a report."""
STAGES = ("import", "simulate", "background", "render", "save", "total")
PACKAGES = ("clipfarm", "kubric-nightly", "bpy", "pybullet", "numpy", "torch")


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a whole run will take, by the clips made so far."""

    clips: int
    render_seconds: float
    """Wall time of rendering with the run's workers."""
    encode_seconds: float | None
    """Wall time of encoding; None where nothing was encoded."""
    disk_bytes: float


def write_report(job: Job, ended: Ended, wall_seconds: float, *, complete_before: int) -> dict[str, Any]:
    """Write both files into the run's folder and return the JSON one's content."""
    report = _collect(job, ended, wall_seconds, complete_before)
    write_files(job.folder.root / "report", report)
    return report


def write_files(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report as JSON and as Markdown; ``path`` has no suffix."""
    write_atomically(path.with_name(f"{path.name}.json"), json.dumps(report, indent=2) + "\n")
    write_atomically(path.with_name(f"{path.name}.md"), markdown(report))


def forecast(job: Job, workers: int) -> Forecast | None:
    """Return what all clips of the run take, by the job's own; None before one is complete."""
    results = results_of(job.folder, job.clips)
    sizes = [_clip_bytes(job, clip) for clip in job.clips]
    sizes = [size for size in sizes if size]
    if not results or not sizes:
        return None
    clips = len(job.run.spec.to_render)
    made = job.run.spec.declared()
    # A background is made once for all clips with its look; those that need it first wait for it.
    shared = all(made.scene.shares_backgrounds(entry.phase) for entry in made.phases)
    seconds = statistics.fmean(
        result.seconds.get("total", 0.0) - (result.seconds.get("background", 0.0) if shared else 0.0)
        for result in results
    )
    per_second = (_encode_summary(job) or {}).get("clips_per_second")
    return Forecast(
        clips,
        render_seconds=seconds * clips / workers,
        encode_seconds=clips / per_second if per_second else None,
        disk_bytes=statistics.fmean(sizes) * clips,
    )


def grouped(failures: Iterable[Failure]) -> list[dict[str, str]]:
    """Return failures with the same reason as one entry, its clips as compressed ranges."""
    groups: dict[tuple[str, str], list[int]] = {}
    for failure in failures:
        groups.setdefault((failure.stage, failure.reason), []).append(failure.clip)
    return [{"clips": compress(clips), "stage": stage, "reason": reason} for (stage, reason), clips in groups.items()]


def _collect(job: Job, ended: Ended, wall_seconds: float, complete_before: int) -> dict[str, Any]:
    status = ended.status
    made = status.rendered - complete_before
    return {
        "run": job.run.name,
        "state": "stopped" if ended.stopped_by else "finished",
        "phase": status.phase,
        "clips": {
            "total": status.total,
            "rendered": status.rendered,
            "completeBefore": complete_before,
            "encoded": status.encoded,
            "failed": len(status.failures),
        },
        "failures": grouped(status.failures),
        "stuck": status.stuck,
        "workers": status.workers,
        "threads": job.run.spec.render.threads,
        "wallSeconds": round(wall_seconds, 1),
        "clipsPerHour": round(made / wall_seconds * 3600, 1) if made else None,
        **costs(results_of(job.folder, sample(ended.complete))),
        "encode": _encode_summary(job),
        "versions": {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "machine": {
            "host": platform.node(),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "processor": processor(),
            "cpus": available_cpus(),
            "gpus": [str(state.gpu) for state in status.watermarks],
        },
    }


def costs(results: Sequence[ClipResult]) -> dict[str, Any]:
    """Return what clips took of time and memory."""
    return {
        "secondsPerClip": {
            stage: _summary([r.seconds[stage] for r in results if stage in r.seconds]) for stage in STAGES
        },
        "cpuSecondsPerClip": _summary([result.cpu_seconds for result in results]),
        "peakRssMiB": max((result.peak_rss_mib for result in results), default=None),
        "madeOn": made_on(results),
    }


def made_on(results: Iterable[ClipResult]) -> list[dict[str, Any]]:
    """Return the kinds of machines that clips were made on, those of most clips first."""
    clips: dict[Machine, list[int]] = {}
    for result in results:
        if result.machine is not None:
            clips.setdefault(result.machine, []).append(result.index)
    most_first = sorted(clips.items(), key=lambda item: (-len(item[1]), str(item[0])))
    return [machine.to_json() | {"clips": compress(sorted(of))} for machine, of in most_first]


def sample(clips: Collection[int]) -> list[int]:
    """Return a sample of the clips: with millions, a person who stops the run would wait for a minute."""
    return list(islice(clips, 0, None, max(1, len(clips) // MOST_RESULTS)))


def results_of(folder: RunFolder, clips: Iterable[int]) -> list[ClipResult]:
    """Return what the supervisors reported of complete clips, also those of earlier calls."""
    results = []
    for clip in clips:
        try:
            result = ClipResult.read(folder.result(clip))
        except (OSError, ContractError):
            continue
        if result.exit_code is ExitCode.OK:
            results.append(result)
    return results


def _clip_bytes(job: Job, clip: int) -> int:
    """Return the size of a complete clip with its features; 0 where it is not complete."""
    place = job.folder.clip(clip)
    try:
        manifest = ClipManifest.read(place.manifest)
    except (OSError, ContractError):
        return 0
    paths = [each.path(place) for each in wanted(job.run.spec.encode)] if job.run.spec.encode.enabled else []
    features = sum(path.stat().st_size for path in paths if path.exists())
    return sum(entry.size for entry in manifest.files.values()) + features


def _summary(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {
        name: round(value, 3)
        for name, value in (("min", min(values)), ("median", statistics.median(values)), ("max", max(values)))
    }


def _encode_summary(job: Job) -> dict[str, Any] | None:
    if not job.run.spec.encode.enabled:
        return None  # a log that is there is of an earlier call
    paths = (job.folder.encode_log(number) for number in range(job.run.spec.encode.replicas))
    return summary_of([log for path in paths if (log := encode_log(path))])


def summary_of(logs: Sequence[EncoderProgress]) -> dict[str, Any] | None:
    """Return one summary of encoders that were at work at the same time; None if there were none."""
    if not logs:
        return None
    first = logs[0]
    summary = {"model": first.model, "weights": first.weights, "device": first.device, "dtype": first.dtype}
    # Encoders work at the same time: what they do adds up, the time that passes does not.
    seconds = {stage: round(sum(log.seconds.get(stage, 0.0) for log in logs), 3) for stage in first.seconds}
    if "total" in seconds:
        seconds["total"] = max(log.seconds.get("total", 0.0) for log in logs)
    per_second = round(sum(log.clips_per_second or 0.0 for log in logs), 3)
    return summary | {
        "encoders": len(logs),
        "seconds": seconds,
        "clips_per_second": per_second,
        "features": _sets(logs),
    }


def _sets(logs: Sequence[EncoderProgress]) -> list[dict[str, Any]]:
    """Return each feature set with its clips: the encoder that counts most has looked last."""
    found: dict[str, dict[str, Any]] = {}
    for log in logs:
        for each in log.sets:
            known = found.get(each.name)
            if known is None or each.done >= known["encoded"]:
                counts = {"encoded": each.done, "failed": each.failed}
                found[each.name] = {"name": each.name, "model": each.model, "context": each.context} | counts
    return list(found.values())


def encode_log(path: Path) -> EncoderProgress | None:
    """Return the summary that an encoder keeps; None if there is none that can be read."""
    try:
        return EncoderProgress.read(path)
    except (OSError, ContractError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
