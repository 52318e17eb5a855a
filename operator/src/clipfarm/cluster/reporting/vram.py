"""A cluster's GPUs for people, from the status of the runs: that is what a person's machine can reach."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clipfarm.cluster.api.times import read_time
from clipfarm.cluster.reporting.summary import FINISHED, gpus_not_listed
from clipfarm.decide.vram.encoders import SUFFIX
from clipfarm.units import format_clips, format_count, format_duration
from clipfarm_contract.objects import split_uuid


@dataclass(frozen=True, slots=True)
class GpuRow:
    """One GPU."""

    node: str
    gpu: str
    used: str
    total: str
    age: float | None
    """Seconds; None: the use is unknown."""
    closed: bool
    claims: str
    """Runs whose clips no reading surely shows yet, with the memory that these will take."""
    who: str
    problem: str
    """Why the use is unknown; empty where it is not."""


def gpu_rows(runs: Iterable[Mapping[str, Any]], now: float) -> list[GpuRow]:
    """Return the GPUs in the status of unfinished runs; that of a finished run is of another time.

    Args:
        runs: as the API server has them.
        now: seconds since 1970.
    """
    newest: dict[tuple[str, str, str], Mapping[str, Any]] = {}
    closed: set[tuple[str, str, str]] = set()
    for run in runs:
        status = run.get("status", {})
        if status.get("phase") in FINISHED:
            continue
        for entry in status.get("gpus", ()):
            key = (entry["node"], entry["gpu"], entry.get("uuid", ""))
            if key not in newest or entry.get("measuredAt", "") > newest[key].get("measuredAt", ""):
                newest[key] = entry
            if entry["gate"] == "Closed":
                closed.add(key)  # runs have marks of their own
    return [_row(newest[key], now, closed=key in closed) for key in sorted(newest)]


def not_listed(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return how many GPUs unfinished runs do not list, a line for each run that does not list all."""
    found = []
    for run in runs:
        status = run.get("status", {})
        if status.get("phase") not in FINISHED and (more := gpus_not_listed(status)):
            name = f"{run['metadata']['namespace']}/{run['metadata']['name']}"
            found.append(f"{name}: {more}; the operator's /metrics has every GPU")
    return found


def unknown(runs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return why unfinished runs know of no GPU, a line for each reason; see :func:`gpu_rows`."""
    found: dict[str, str] = {}
    for run in runs:
        status = run.get("status", {})
        if status.get("phase") in FINISHED:
            continue
        for condition in status.get("conditions", ()):
            if (condition["type"], condition["reason"]) == ("VRAMHeld", "VRAMUnknown"):
                found.setdefault(condition["message"], f"{run['metadata']['namespace']}/{run['metadata']['name']}")
    return [f"{run}: {message}" for message, run in found.items()]


def claims_text(claims: Iterable[tuple[str, int, str, float | None]]) -> str:
    """Return ``team/a 2 clips 9.4 GiB 12s, team/b 1 encoder 2.0 GiB``: run, clips, memory, and since when."""
    return ", ".join(
        f"{_who(run, clips)} {memory}" + ("" if age is None else f" {format_duration(age)}")
        for run, clips, memory, age in claims
    )


def _who(run: str, clips: int) -> str:
    if run.endswith(SUFFIX):
        return f"{run.removesuffix(SUFFIX)} {format_count(clips, 'encoder')}"
    return f"{run} {format_clips(clips)}"


def _row(entry: Mapping[str, Any], now: float, *, closed: bool) -> GpuRow:
    at, (_, instance) = read_time(entry.get("measuredAt")), split_uuid(entry.get("uuid", ""))
    return GpuRow(
        node=entry["node"],
        gpu=f"{entry['gpu']}/{instance}" if instance else entry["gpu"],
        used=entry["used"],
        total=entry.get("total", ""),
        age=None if at is None else max(0.0, now - at),
        closed=closed,
        claims=claims_text(
            (
                each["run"],
                each["clips"],
                each["memory"],
                None if (since := read_time(each.get("since"))) is None else max(0.0, now - since),
            )
            for each in entry.get("claims", ())
        ),
        who=entry.get("heldBy", ""),
        problem=entry["reading"] if at is None else "",
    )
