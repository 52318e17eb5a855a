"""Runs, pods and clips as the operator sees them, for Prometheus."""

from collections.abc import Collection

from prometheus_client import Gauge

from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.world import POD_STATES

RUNS = Gauge("clipfarm_runs", "Runs by phase", ["phase"])
PODS = Gauge("clipfarm_pods", "Renderers' and encoders' pods, by their role and state", ["role", "state"])
CLIPS = Gauge("clipfarm_clips", "Clips of the runs that are there, by state", ["state"])
CLIP_STATES = ("total", "rendered", "encoded", "failed", "retried")
EXPORTS = Gauge("clipfarm_exports", "Exports of runs by phase", ["phase"])
HELD = Gauge("clipfarm_clips_held", "Clips that could run and are held, by reason", ["reason"])


def count(runs: Collection[Tracked]) -> None:
    """Set the numbers of all runs."""
    RUNS.clear()
    HELD.clear()
    EXPORTS.clear()
    for tracked in runs:
        RUNS.labels(tracked.status.get("phase", "Pending")).inc()
        if "export" in tracked.status:
            EXPORTS.labels(tracked.status["export"]["phase"]).inc()
        for reason, clips in tracked.held.items():
            HELD.labels(reason).inc(clips)
    for pod_state in POD_STATES:
        PODS.labels("render", pod_state).set(sum(tracked.memory.pods[pod_state] for tracked in runs))
        encoders = [each for tracked in runs for each in tracked.memory.encoders.values()]
        PODS.labels("encode", pod_state).set(sum(each.state == pod_state for each in encoders))
    for state in CLIP_STATES:
        CLIPS.labels(state).set(sum(tracked.status.get(state, 0) for tracked in runs))


def clear() -> None:
    """Remove the numbers: none are no news, where zeros would be a change, and raise alerts."""
    for gauge in (RUNS, EXPORTS, HELD, CLIPS, PODS):
        gauge.clear()
