"""How many clips a pod makes if the run does not say: enough that its start does not count."""

import math

from clipfarm.run import Run

POD_SECONDS = 180.0
"""How long a pod works, about. A pod and Blender in it take 5 to 10 s to start; a node that is lost costs this."""
PODS_PER_WORKER = 4
"""Pods that each worker makes, one after the other, at the least: so the last ones of a run end about together."""
CPU_WORKERS, GPU_WORKERS = 32, 8
"""Workers if their number is unknown: no node is there yet, or its GPUs have not been reported."""

# Measured (bench/RESULTS.md) at 256 x 256 pixels and 64 samples, with one thread or on an H200.
CPU_CLIP, GPU_CLIP = 1.6, 0.2
"""s a clip, whatever it shows: simulation, checks, saving."""
CPU_SAMPLE = {"cached": 0.15e-6, "full": 1.5e-6}
"""s a sample of a pixel: over a background that is there, few pixels are rendered anew."""
GPU_FRAME, GPU_SAMPLE = 0.012, 6e-9
"""s a frame, and a sample of a pixel."""


def clips_of_a_pod(run: Run, clips: int, workers: int | None = None) -> int:
    """Return how many clips each pod of a new Job makes one after the other.

    Args:
        run: whose clips.
        clips: how many the Job makes.
        workers: clips that may run at a time; None: unknown.
    """
    render = run.spec.render
    if render.clips_per_pod is not None:
        return render.clips_per_pod
    if render.command:
        return 1  # only its author knows how long its clips take
    workers = workers or run.spec.workers or (CPU_WORKERS if render.device == "cpu" else GPU_WORKERS)
    return max(1, min(math.ceil(POD_SECONDS / seconds_of_a_clip(run)), clips // (PODS_PER_WORKER * workers)))


def seconds_of_a_clip(run: Run) -> float:
    """Return about how long a clip of clipfarm's own renderer takes."""
    experiment, render = run.spec.scene, run.spec.render
    samples = experiment.frames * experiment.resolution**2 * experiment.samples_per_pixel
    if render.device == "cpu":
        return CPU_CLIP + samples * CPU_SAMPLE[render.background] / render.threads
    return GPU_CLIP + experiment.frames * GPU_FRAME + samples * GPU_SAMPLE
