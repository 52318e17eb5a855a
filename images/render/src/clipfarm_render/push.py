"""The push experiment: one clip, from its seed to its files.

An object lies on a floor with walls, rests, and gets a push. Run by the supervisor as a child process; what it has
to make stands in its environment (:mod:`clipfarm_contract.environment`). With ``--wait`` it loads everything first,
and the rest of its environment comes in a file, when a line on the standard input says so.
"""

import contextlib
import ctypes
import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from clipfarm_contract.environment import CLIP_REPORT, ThreadLimits, apply_thread_limits
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.fields import dump
from clipfarm_render.job import TASK, ClipError, Job, Report
from clipfarm_render.output import say
from clipfarm_render.vram_messages import means_out_of_vram


def make_clip(job: Job, limits: ThreadLimits, scratch: Path, report: Report) -> None:
    """Make the files of one clip: sample, build, simulate, render, save, check."""
    scene, phase = job.recipe.scene, job.recipe.phase
    with report.stage("import"):
        # Imported here, so that the thread limits are in force and the seconds are counted.
        from clipfarm_render import headless

        headless.import_blender()
        import numpy as np

        from clipfarm_render import background, bodies, checks, frames, ground_truth, layers, physics, preview, stage
        from clipfarm_render.camera import Camera
        from clipfarm_render.cycles import CyclesRenderer
        from clipfarm_render.manifest import AssetFiles
        from clipfarm_render.sample import draw

    with report.stage("simulate"):
        sample = draw(job.seed, phase, scene.impulse, scene.objects)
        camera = Camera(scene.resolution)
        body = bodies.make(sample, scene.assets, AssetFiles(scratch))
        built = stage.build(body, camera, scene.frames, scene.fps)
        world = physics.simulator(built.scene, scratch)
        renderer = CyclesRenderer(built, sample, scene.samples_per_pixel, limits.blender, job.device, scratch)
        # The renderer follows the scene by now, so that the keyframes reach it. One frame more than the clip has:
        # the flow of the last one leads there.
        beyond = physics.simulate(world, body, sample.push, scene.frames + 1, scene.fps)
        built.animate(beyond)
        trajectory = beyond.first(scene.frames)

    pictures: frames.Frames = frames.FullFrames(renderer)
    if scene.background == "cached":
        with report.stage("background"), job.shared_work():
            still = background.get(job.cache, renderer, scene.samples_per_pixel, job.device, scratch)
        pictures = frames.CompositeFrames(renderer, built, sample, trajectory, still, scene.samples_per_pixel)

    with report.stage("render"):
        job.clip.rgb.mkdir()
        frames.write_all(pictures, trajectory, job.clip)
        if scene.layers != ("rgb",):
            layers.write_all(renderer, built, scratch, scene.layers, scene.frames, job.clip)
    report.seconds["cycles"] = renderer.seconds_in_cycles

    with report.stage("save"):
        job.clip.actions.parent.mkdir()
        np.save(job.clip.actions, ground_truth.actions(sample, scene.frames))
        np.save(job.clip.states, ground_truth.states(trajectory))
        truth = ground_truth.describe(job.recipe, job.seed, sample, body, camera, trajectory)
        job.clip.ground_truth.write_text(dump(truth))
        if scene.preview:
            preview.write(job.clip, scene.frames, scene.fps)
        report.checks = checks.check(job.clip, scene)


def wait_for_task() -> float | None:
    """Load everything, and wait for the rest of the environment.

    Returns:
        For how many seconds the clip waited for the loading: none where it was done before the clip's turn came. None
        where no task comes.
    """
    # What goes wrong here goes wrong again where it is the clip's reason.
    with contextlib.suppress(Exception):
        from clipfarm_render import headless

        headless.import_blender()
        from PIL import Image

        from clipfarm_render import background, checks, frames, ground_truth, layers, preview  # noqa: F401

        Image.preinit()  # which files it knows
    loaded = time.time()
    if not sys.stdin.readline():
        return None
    task = Path(os.environ[CLIP_REPORT]).with_name(TASK)
    os.environ.update(json.loads(task.read_text()))
    return max(0.0, loaded - task.stat().st_mtime)


def main() -> int:
    """Make the clip that the environment asks for; return the exit code."""
    report = Report()
    try:
        limits = apply_thread_limits(default=2)
        if "--wait" in sys.argv[1:]:
            loading = wait_for_task()
            if loading is None:
                return ExitCode.FAILED
            report.seconds["import"] = loading
        job = Job.from_environment()
    except ValueError as error:
        say(f"clipfarm-render: {error}")
        return ExitCode.USAGE
    code = ExitCode.FAILED
    try:
        with tempfile.TemporaryDirectory(prefix="clipfarm-") as scratch:
            make_clip(job, limits, Path(scratch), report)
        code = ExitCode.OK
    except MemoryError:
        report.reason = "host memory ran out"
    except ClipError as error:
        report.reason = str(error)
    except Exception as error:  # noqa: BLE001 - the process ends here, and this is how its reason gets out
        traceback.print_exc()
        report.reason = " ".join(f"{type(error).__name__}: {error}".split())
        if means_out_of_vram(str(error)):
            code = ExitCode.OUT_OF_VRAM
    report.write(job.report)
    return code


def end(code: int) -> None:
    """End this process at once: Blender would give back all that it holds piece by piece, which takes a while."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # whoever read it has gone
            stream.flush()
    ctypes.CDLL(None).fflush(None)  # what Blender has printed
    os._exit(code)


if __name__ == "__main__":
    end(main())
