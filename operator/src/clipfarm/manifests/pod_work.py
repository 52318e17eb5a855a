"""How many clips a pod makes if the run does not say: enough that its start does not count."""

import math

from clipfarm.run import Run

POD_SECONDS = 180.0
"""A pod and Blender in it take 5 to 10 s to start."""
LEAST_PODS_ON_CPUS, LEAST_PODS_ON_GPUS = 64, 16
"""So many pods a Job has at least: its clips are to be spread over all nodes, and the last pods are to end together."""

# Measured (bench/RESULTS.md) at 256 x 256 pixels and 64 samples, with one thread or on an H200.
CPU_CLIP, GPU_CLIP = 1.6, 0.2
"""s a clip, whatever it shows: simulation, checks, saving."""
CPU_SAMPLE = {"cached": 0.15e-6, "full": 1.5e-6}
"""s a sample of a pixel: over a background that is there, few pixels are rendered anew."""
GPU_FRAME, GPU_SAMPLE = 0.012, 6e-9
"""s a frame, and a sample of a pixel."""


def clips_of_a_pod(run: Run, clips: int) -> int:
    """Return how many clips each pod of a Job makes one after the other.

    It depends only on what cannot be changed while the run is there. The values above are fixed for the same reason: an
    operator with others would deal out the clips of runs in progress anew.

    Args:
        run: whose clips.
        clips: how many the Job makes.
    """
    render = run.spec.render
    if render.clips_per_pod is not None:
        return render.clips_per_pod
    if render.command:
        return 1  # how long its clips take only its author knows
    least = LEAST_PODS_ON_CPUS if render.device == "cpu" else LEAST_PODS_ON_GPUS
    return max(1, min(math.ceil(POD_SECONDS / seconds_of_a_clip(run)), clips // least))


def seconds_of_a_clip(run: Run) -> float:
    """Return about how long a clip of clipfarm's own renderer takes."""
    experiment, render = run.spec.experiment, run.spec.render
    samples = experiment.frames * experiment.resolution**2 * experiment.samples_per_pixel
    if render.device == "cpu":
        return CPU_CLIP + samples * CPU_SAMPLE[render.background] / render.threads
    return GPU_CLIP + experiment.frames * GPU_FRAME + samples * GPU_SAMPLE
