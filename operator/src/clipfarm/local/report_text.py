"""``report.md``: the content of ``report.json`` for people."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from clipfarm.units import format_bytes, format_count, format_duration
from clipfarm_contract.machine import Machine


def markdown(report: Mapping[str, Any]) -> str:
    """Return the report for people, as Markdown."""
    clips = report["clips"]
    before = f" ({clips['completeBefore']} before this call)" if clips["completeBefore"] is not None else ""
    took = format_duration(report["wallSeconds"]) if report["wallSeconds"] is not None else "not known,"
    workers = format_count(report["workers"], "worker") if report["workers"] is not None else "workers"
    lines = [
        f"# Run {report['run']}: {report['phase']}"
        + (" (stopped before its end)" if report["state"] == "stopped" else ""),
        "",
        *(
            [
                f"- clips: {clips['total']} of videos, {clips['encoded']} encoded, {clips['failed']} failed",
                f"- time: {took.rstrip(',')}",
            ]
            if clips["rendered"] is None
            else [
                f"- clips: {clips['rendered']} of {clips['total']} rendered{before}"
                f", {clips['encoded']} encoded, {clips['failed']} failed",
                f"- time: {took} with {workers} of {format_count(report['threads'], 'thread')},"
                f" {report['clipsPerHour'] or 'no'} clips an hour",
            ]
        ),
        _where(report),
    ]
    if report["versions"] or clips["rendered"] is not None:
        lines.append(
            "- versions: " + ", ".join(f"{name} {found}" for name, found in report["versions"].items() if found)
        )
    if report["peakRssMiB"] is not None:
        lines.append(f"- largest renderer: {format_bytes(report['peakRssMiB'] * 2**20)} of memory")
    lines += _made_on(report["madeOn"])
    if report["stuck"]:
        lines.append(f"- to be fixed: {report['stuck']}")
    if clips["rendered"] is not None:
        lines += ["", "## Seconds a clip", "", "| stage | min | median | max |", "| --- | --- | --- | --- |"]
    for stage, summary in [*report["secondsPerClip"].items(), ("CPU, all stages", report["cpuSecondsPerClip"])]:
        if summary:
            lines.append(f"| {stage} | {summary['min']:.2f} | {summary['median']:.2f} | {summary['max']:.2f} |")
    encode = report["encode"]
    if encode:
        lines += [
            "",
            "## Encoder",
            "",
            f"- {encode['encoders']} x {encode['model']} on {encode['device']},"
            f" weights: {json.dumps(encode['weights'])}",
        ]
        lines += [f"- seconds: {json.dumps(encode['seconds'])}; {encode['clips_per_second']} clips/s"]
        lines += [
            f"- features {each['name']} ({each['context']}, {each['model']}): {each['encoded']} clips,"
            f" {each['failed']} failed"
            for each in encode.get("features", ())
        ]
    lines += _videos(report.get("videos"))
    lines += ["", "## Failed clips", ""]
    lines += [f"- {entry['stage']}, clips {entry['clips']}: {entry['reason']}" for entry in report["failures"]] or [
        "none"
    ]
    return "\n".join(lines) + "\n"


def _videos(videos: Mapping[str, Any] | None) -> list[str]:
    """Return what became of somebody else's videos."""
    if videos is None:
        return []
    lines = ["", "## Videos", "", f"- {videos['found']} found, {videos['passedOver']} of them passed over"]
    lines += [f"- {each['video']}: {each['reason']}" for each in videos["reasons"]]
    more = videos["passedOver"] - len(videos["reasons"])
    return [*lines, f"- and {more} more"] if more > 0 else lines


def _made_on(kinds: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what clips were made on if it was more than one kind of machine: their bytes may differ."""
    if len(kinds) < 2:
        return []
    told = [f"  - {Machine.parse(kind, 'madeOn')}: clips {kind['clips']}" for kind in kinds]
    return ["- made on several kinds of machines, so made again on another kind clips differ in a few pixels:", *told]


def _where(report: Mapping[str, Any]) -> str:
    if report.get("cluster"):
        return f"- cluster: namespace {report['cluster']['namespace']}"
    machine = report["machine"]
    return (
        f"- machine: {machine['host']}, {machine['processor']}, {format_count(machine['cpus'], 'CPU')},"
        f" {format_count(len(machine['gpus']), 'GPU')} watched, {machine['system']}"
    )
