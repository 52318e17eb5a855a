"""One clip, from its seed to its files.

What happens in it is told by its experiment's story (:mod:`clipfarm_render.experiments`). The supervisor runs this
module as a child process; its environment says what to make (:mod:`clipfarm_contract.environment`). With ``--wait FD``
it loads everything first, and the rest of its environment comes in a file, when a line on the standard input says so.
When that clip is done, it writes its exit code to the file descriptor, as one byte, and waits for the next line.
"""

import contextlib
import ctypes
import gc
import json
import os
import sys
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clipfarm_contract.environment import CLIP_MODULE, CLIP_REPORT, ThreadLimits, apply_thread_limits
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.experiments.scene import laws_json
from clipfarm_contract.fields import dump
from clipfarm_contract.layout import Clip
from clipfarm_render import own_experiment
from clipfarm_render.job import TASK, ClipError, Job, Report, preparing
from clipfarm_render.output import say
from clipfarm_render.vram.messages import means_out_of_vram

if TYPE_CHECKING:
    from clipfarm_render.scene.stage import Stage


def make_clip(job: Job, limits: ThreadLimits, scratch: Path, report: Report) -> None:
    """Make the files of one clip: draw, build, simulate, render, save, check."""
    scene = job.scene
    with report.stage("import"):
        # Imported here, so that the thread limits are in force and the seconds are counted.
        from clipfarm_render.picture import headless

        headless.import_blender()
        import numpy as np

        from clipfarm_render import conservation, experiments
        from clipfarm_render.experiments import staging
        from clipfarm_render.picture import background, frames, gpu_cache, layers, preview, studio
        from clipfarm_render.scene import ground_truth, look

        story = experiments.story_of(scene)

    with report.stage("simulate"):
        # One frame more than the clip has: the flow of the last one leads there.
        shown = staging.show(story, scene, job.phase, job.recipe.seed, job.recipe.index, scratch)
        built, beyond = shown.stage, shown.motion
        kernels = None if job.device == "cpu" else gpu_cache.use(job.cache)
        renderer = studio.renderer(built, scene, limits.blender, job.device, scratch)
        # The renderer follows the scene by now, so that the keyframes reach it.
        built.animate(beyond)
        renderer.follow(beyond.visible)
        moving = beyond.first(scene.frames)
        shown.close()

    if kernels is not None and not renderer.is_warm:
        with (
            report.stage("kernels"),
            job.shared_work(),
            kernels.first_use(renderer.device) as first,
            preparing(f"compiling kernels for {kernels.gpu}, once" if first else ""),
        ):
            renderer.warm_up()

    def show(seen: "Stage", wanted: tuple[str, ...], clip: Clip, *, shared: bool) -> None:
        """Write frames and layers as they are seen from one camera."""
        pictures: frames.Frames = frames.FullFrames(renderer)
        if scene.background == "cached":
            with report.stage("background"), job.shared_work():
                cache = job.cache if shared else None
                still = background.get(cache, renderer, scene.samples_per_pixel, renderer.device, scratch, seen)
            helpers = 0 if renderer.device == "cpu" else frames.HELPERS
            pictures = frames.CompositeFrames(renderer, seen, moving, still, scene.samples_per_pixel, helpers)
        with report.stage("render"):
            clip.rgb.mkdir(parents=True)
            frames.write_all(pictures, moving, clip)
            if wanted != ("rgb",):
                layers.write_all(renderer, seen, scratch, wanted, scene.frames, clip)

    show(built, scene.layers, job.clip, shared=scene.shares_backgrounds(job.phase))
    for view in scene.views:
        seen = look.from_view(built.look, view)
        renderer.look_from(seen.camera)
        shared = scene.shares_backgrounds(job.phase, view=True)
        show(replace(built, look=seen), view.layers, job.clip.view(view.name), shared=shared)
    report.seconds["cycles"] = renderer.seconds_in_cycles

    with report.stage("save"):
        job.clip.actions.parent.mkdir()
        truth = shown.truth(story, scene)
        np.save(job.clip.actions, truth.actions)
        np.save(job.clip.states, truth.states)
        drawn = {name: shown.values[name] for name in laws_json(scene, job.phase)}
        described = ground_truth.describe(job.recipe, job.seed, scene, built.camera, job.phase, drawn)
        job.clip.ground_truth.write_text(dump({**described, **truth.document}))
        if scene.preview:
            for clip in (job.clip, *(job.clip.view(view.name) for view in scene.views)):
                preview.write(clip, scene.frames, scene.fps)
        own = story.CHECKS if shown.is_ordinary else ()
        report.checks = conservation.check(job.clip, scene, own, shown.breaks)


def load() -> None:
    """Load everything that a clip needs."""
    # What goes wrong here goes wrong again where it is the clip's reason.
    with contextlib.suppress(Exception):
        from clipfarm_render.picture import headless

        headless.import_blender()
        from PIL import Image

        from clipfarm_render import experiments
        from clipfarm_render.picture import background, frames, layers, preview, studio  # noqa: F401
        from clipfarm_render.scene import ground_truth  # noqa: F401

        experiments.story("push")

        Image.preinit()  # which files it knows


def wait_for_task() -> Path | None:
    """Wait for the rest of the environment; return the file that it came in, or None where no task comes."""
    if not sys.stdin.readline():
        return None
    task = Path(os.environ[CLIP_REPORT]).with_name(TASK)
    os.environ.update(json.loads(task.read_text()))
    return task


def main() -> int:
    """Make the clip that the environment asks for, or one after the other; return the exit code."""
    try:
        limits = apply_thread_limits(default=2)
        if "--wait" not in sys.argv[1:]:
            return make_one(limits, Report())[0]
        answers = int(sys.argv[sys.argv.index("--wait") + 1])
        load()
        loaded, code = time.time(), ExitCode.FAILED
        while task := wait_for_task():
            # For how long the clip waited for the loading: not at all where that was done before the clip's turn came.
            report = Report({"import": max(0.0, loaded - task.stat().st_mtime)})
            code, may_go_on = make_one(limits, report)
            if not may_go_on:
                return code
            flush()
            os.write(answers, bytes([code]))
            gc.collect()  # the scene of that clip, in which everything holds everything
    except ValueError as error:
        say(f"clipfarm-render: {error}")
        return ExitCode.USAGE
    return code


def make_one(limits: ThreadLimits, report: Report) -> tuple[ExitCode, bool]:
    """Make one clip, and write its report.

    Returns:
        The exit code, and whether this process may make another clip: not after an unforeseen failure.

    Raises:
        ContractError: the environment lacks something, or holds nonsense.
    """
    if os.environ.get(CLIP_MODULE):  # which imports parts of clipfarm that would load all of Blender otherwise
        with report.stage("import"):
            from clipfarm_render.picture import headless

            headless.import_blender()
    job, code, may_go_on = Job.from_environment(), ExitCode.FAILED, False
    try:
        with tempfile.TemporaryDirectory(prefix="clipfarm-") as scratch:
            make_clip(job, limits, Path(scratch), report)
        code, may_go_on = ExitCode.OK, True
    except MemoryError:
        report.reason = "host memory ran out"
    except ClipError as error:
        report.reason, may_go_on = str(error), True
    except Exception as error:  # noqa: BLE001 - the process ends here, and this is how its reason gets out
        traceback.print_exc()
        report.reason = own_experiment.in_module(error) + own_experiment.in_one_line(error)
        if means_out_of_vram(str(error)):
            code = ExitCode.OUT_OF_VRAM
    report.write(job.report)
    return code, may_go_on


def flush() -> None:
    """Write out what Python and Blender have printed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # its reader has gone
            stream.flush()
    ctypes.CDLL(None).fflush(None)


def end(code: int) -> None:
    """End this process at once: Blender would give back all that it holds piece by piece, which takes a while."""
    flush()
    os._exit(code)


if __name__ == "__main__":
    end(main())
