"""A run on this machine as the page shows it, from the status of its last tick."""

from typing import Any

from clipfarm.decide.status import Status
from clipfarm.local.report import grouped
from clipfarm.units import format_bytes, format_duration
from clipfarm.world import WatermarkState
from clipfarm_contract.indexes import compress
from clipfarm_contract.result import MIB


def run_now(name: str, status: Status, now: float, *, encodes: bool) -> dict[str, Any]:
    """Return a run's progress, what is held and why, its GPUs, and its failures.

    Args:
        name: of the run.
        status: of its last tick.
        now: on the clock of that tick's readings, seconds.
        encodes: whether the run encodes its clips.
    """
    return {
        "name": name,
        "phase": status.phase,
        "finished": status.finished,
        "message": status.stuck,
        "total": status.total,
        "rendered": status.rendered,
        "encoded": status.encoded if encodes else None,
        "failed": len(status.failures),
        "running": status.running,
        "workers": status.workers,
        "retrying": status.retrying,
        "clipsPerHour": status.clips_per_hour,
        "eta": format_duration(status.eta_seconds) if status.eta_seconds is not None else "",
        "held": [
            {
                "reason": str(held.hold.reason),
                "clips": compress(held.indexes),
                "count": len(held.indexes),
                "message": held.hold.message,
            }
            for held in status.held
        ],
        "gpus": [_gpu(state, now) for state in status.watermarks],
        "moreGpus": "",
        "failures": grouped(status.failures),
    }


def _gpu(state: WatermarkState, now: float) -> dict[str, Any]:
    reading = state.reading
    return {
        "name": str(state.gpu),
        "used": reading.used_fraction if reading else None,
        "total": format_bytes(reading.total_mib * MIB) if reading else "",
        "note": f"measured {format_duration(max(0.0, now - reading.at))} ago" if reading else state.problem,
        "closed": state.closed,
    }
