"""A set of features in a line, with what it will take."""

from clipfarm.feature_cost import CPU_FLOP_PER_SECOND, cost, seconds_on_h200
from clipfarm.units import format_bytes, format_duration
from clipfarm_contract.cpus import available_cpus
from clipfarm_contract.feature_sets import FeatureSet


def features_line(each: FeatureSet, frames: int, clips: int | None) -> str:
    """Return what a set of features is, and what it will take; ``clips`` is None if their number is not known."""
    asked = each.extraction
    parts = [f"context {asked.context}"]
    parts += [f"{name} {value}" for name in ("stride", "window") if (value := getattr(asked, name)) is not None]
    parts += [f"layers {', '.join(map(str, asked.layers))}"] if asked.layers else []
    parts += ["mean of each time step"] if asked.pool == "space" else []
    line = f"  features {each.name}: {each.model}, {', '.join(parts)}"
    found = cost(each, frames)
    if found is None:
        return f"{line}; disk and time are known after the first clip"
    if clips is None:
        return f"{line}; {format_bytes(found.bytes)} a clip"
    cpus = available_cpus()
    on_cpus = clips * found.flop / CPU_FLOP_PER_SECOND / cpus
    return (
        f"{line}; {format_bytes(found.bytes)} a clip, {format_bytes(clips * found.bytes)} in all; encoding takes about"
        f" {format_duration(seconds_on_h200(found, frames, clips))} on an H200,"
        f" {format_duration(on_cpus)} on {cpus} CPUs of this machine"
    )
