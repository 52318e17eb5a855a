"""Runs and worlds for tests, with only what a test cares about spelt out."""

from typing import Any

from clipfarm.run import Run
from clipfarm.world import GpuId, Moment, Node, Reading, World

NODE = "here"
GPU0, GPU1 = GpuId(NODE, 0, "GPU-0"), GpuId(NODE, 1, "GPU-1")


def document(clips: int = 10, **spec: Any) -> dict[str, Any]:
    """Return a BenchmarkRun's document; ``spec`` fields come on top."""
    base: dict[str, Any] = {
        "clips": {"start": 0, "end": clips - 1},
        "experiment": {
            "phases": [
                {
                    "name": "A",
                    "clips": {"start": 0, "end": clips - 1},
                    "friction": {"min": 0.5, "max": 0.9},
                    "mass": {"min": 1, "max": 1},
                }
            ]
        },
        "encode": {"enabled": False},
    }
    return {
        "apiVersion": "clipfarm.dev/v1alpha1",
        "kind": "BenchmarkRun",
        "metadata": {"name": "test"},
        "spec": base | spec,
    }


def make_run(clips: int = 10, **spec: Any) -> Run:
    """Return a run whose pods make one clip each, if ``render`` does not say otherwise."""
    return Run.model_validate(document(clips, **spec | {"render": {"clipsPerPod": 1} | spec.get("render", {})}))


def make_world(
    run: Run, *, gpus: tuple[GpuId, ...] = (), cpus: int = 8, now: float = 1000.0, wall: float = 0.0, **fields: Any
) -> World:
    """Return a world in which nothing has happened yet; ``fields`` come on top."""
    total = len(run.spec.clips)
    base: dict[str, Any] = {
        "moment": Moment(now, wall),
        "nodes": (Node(NODE, cpus, gpus),),
        "total": total,
        "rendered": 0,
        "waiting": tuple(range(total)),
    }
    return World(**(base | fields))


def reading(gpu: GpuId, used: float, *, total: float = 10_000.0, at: float = 1000.0) -> Reading:
    """Return a reading in which the fraction ``used`` of the memory is in use."""
    return Reading(gpu, used * total, total, at)
