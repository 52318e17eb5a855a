"""What stands still, rendered once for each look of a run.

Floor, walls, fixtures, lights and camera are the same in every frame of a clip, and most often in many clips. One noise
pattern serves all frames. So the scene without the objects is rendered once at many samples, and of each frame only
the region that the objects change. There the frame is what is rendered, minus the same pixels without the objects at
the same samples, plus the clean background: the noise of what has hardly changed is in both, and falls out (a control
variate, in the words of Monte Carlo integration). In expectation that is the full render.
"""

import contextlib
import hashlib
import io
import json
import os
import platform
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from clipfarm_contract import regular
from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.experiments import looks
from clipfarm_render.locks import alone
from clipfarm_render.picture import cycles, exr, materials, view
from clipfarm_render.picture.boxes import Box
from clipfarm_render.picture.cycles import CyclesRenderer, Picture
from clipfarm_render.picture.region import Surroundings
from clipfarm_render.scene import arena, camera, look, stage
from clipfarm_render.scene.fixtures import Fixture
from clipfarm_render.scene.look import Look
from clipfarm_render.scene.stage import Stage

CLEAN = 16
"""How many times a frame's samples the background gets: its noise is a quarter of a frame's. It costs as much as
16 whole frames, once for a run."""
WEAK = 32
"""By how many times fewer samples are enough where an object only changes the indirect light: what is left of noise
there is smoothed (:mod:`clipfarm_render.picture.smooth`). 2 samples, smoothed, are nearer to a converged picture than
8 that are not."""


@dataclass(frozen=True, eq=False)
class Background:
    """The scene without the objects."""

    clean: Picture
    """At ``CLEAN`` times the samples."""
    strong: Picture
    """At a frame's own samples, with the noise that a frame has."""
    weak: Picture
    """At a ``WEAK``th of them."""
    surroundings: Surroundings


def weak_samples(samples: int) -> int:
    """Return the samples of a pixel where an object only changes the indirect light."""
    return min(samples, max(2, samples // WEAK))


def get(
    folder: Path | None,
    renderer: CyclesRenderer,
    samples: int,
    device: str,
    scratch: Path,
    built: Stage,
) -> Background:
    """Return the background, from the run's folder where it lies there; made and left there where it does not.

    Of several processes that miss it at once, one makes it and the others wait. All would make the same bytes, so
    where a folder cannot be locked, or not be written, nothing but time is lost.

    Args:
        folder: where backgrounds are kept; None keeps none.
        renderer: of a clip of the run, whose objects are left out.
        samples: of a frame.
        device: what it is rendered on.
        scratch: a folder for files in between.
        built: the clip's stage, as the renderer shows it; another look or other fixtures have another background.
    """
    view.load()
    if folder is None:
        return _make(renderer, samples, scratch)
    path = folder / f"{key(built.look, samples, device, built.fixtures)}.npz"
    found = _read(path)
    if found is None:
        with alone(path.with_suffix(".lock")):
            found = _read(path)
            if found is None:
                found = _make(renderer, samples, scratch)
                _keep(found, path)
                make_room(folder, looks.MOST_KEPT_BYTES, path)
    return found


def key(seen: Look, samples: int, device: str, fixtures: Sequence[Fixture] = ()) -> str:
    """Return the hash of all that a background depends on: settings, versions, and the code that makes it."""
    code = [
        Path(__file__),
        *(Path(str(module.__file__)) for module in (arena, camera, cycles, look, materials, stage, view)),
    ]
    depends: Mapping[str, Any] = {
        "look": repr(seen),
        "samples": [samples, weak_samples(samples), samples * CLEAN],
        "device": device,
        "fixtures": [fixture.look for fixture in fixtures],
        "machine": platform.machine(),
        "bpy": bpy.app.version_string,
        "code": [hashlib.sha256(path.read_bytes()).hexdigest() for path in code],
    }
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:16]


def _make(renderer: CyclesRenderer, samples: int, scratch: Path) -> Background:
    size = renderer.blender_scene.render.resolution_x
    everything = Box(0, 0, size, size)
    with renderer.without_bodies():
        clean = renderer.render_box(everything, samples * CLEAN)
        strong = renderer.render_box(everything, samples)
        weak = renderer.render_box(everything, weak_samples(samples))
        depth, normal, reflectance = _geometry(renderer, scratch / "geometry.exr")
    return Background(clean, strong, weak, Surroundings(depth, normal, reflectance, half_step(clean)))


def half_step(linear: Picture) -> Picture:
    """Return how much more linear light, by channel, makes half a step of the 8-bit picture."""
    brighter = 1.02
    seen = [view.seen(picture, depth=16).astype(np.float32) / 257 for picture in (linear, linear * brighter)]
    steps = np.maximum(seen[1] - seen[0], 1e-3)
    half: Picture = (0.5 * (brighter - 1) * linear / steps).astype(np.float32)
    return half


def _geometry(renderer: CyclesRenderer, path: Path) -> tuple[Picture, Picture, Picture]:
    """Return depth (height, width), normals and diffuse reflectance (height, width, 3) of what is seen."""
    scene = renderer.blender_scene.copy()
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_normal = layer.use_pass_diffuse_color = True
    scene.cycles.samples = 16
    scene.render.use_border = False
    scene.render.filepath = str(path)
    settings = scene.render.image_settings
    settings.file_format, settings.color_depth, settings.exr_codec = "OPEN_EXR_MULTILAYER", "32", "NONE"
    try:
        renderer.call_cycles(scene)
        passes = [("Depth", "Z"), ("Normal", "XYZ"), ("DiffCol", "RGB")]
        depth, normal, reflectance = (
            exr.read(path, [f"{layer.name}.{name}.{channel}" for channel in channels]) for name, channels in passes
        )
    finally:
        bpy.data.scenes.remove(scene)
    return depth[..., 0], normal, reflectance


def _keep(background: Background, path: Path) -> None:
    arrays = {"clean": background.clean, "strong": background.strong, "weak": background.weak}
    arrays |= {field.name: getattr(background.surroundings, field.name) for field in fields(Surroundings)}
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    try:
        write_atomically(path, packed.getvalue())
    except OSError as error:
        # It has been made, and serves this clip. The next one makes it again.
        print(f"the background is not kept: {path}: {error.strerror}", flush=True)  # noqa: T201


def _read(path: Path) -> Background | None:
    try:
        status = path.stat()
        found = _load(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return None
    with contextlib.suppress(OSError):  # then it goes sooner
        os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))  # whatever the file system notes of reading
    return found


def make_room(folder: Path, most: int, but: Path) -> None:
    """Remove backgrounds that were not used for the longest time until those that are left take at most so many bytes.

    A process that reads one meanwhile has it, or makes it again.

    Args:
        folder: where they are kept.
        most: bytes.
        but: the one that stays in any case.
    """
    with contextlib.suppress(OSError):
        files = [(path, path.stat()) for path in folder.glob("*.npz") if path != but]
        total = but.stat().st_size + sum(status.st_size for _, status in files)
        for path, status in sorted(files, key=lambda each: each[1].st_atime_ns):
            if total <= most:
                return
            path.unlink(missing_ok=True)
            path.with_suffix(".lock").unlink(missing_ok=True)
            total -= status.st_size


@lru_cache(maxsize=1)
def _load(path: Path, _changed: int, _size: int) -> Background | None:
    """Read a background; once for all clips of a process, as long as the file stays as it is."""
    try:
        with regular.opened(path, path.name) as file, np.load(file) as found:
            arrays: dict[str, npt.NDArray[np.float32]] = dict(found)
        surroundings = Surroundings(**{field.name: arrays.pop(field.name) for field in fields(Surroundings)})
        return Background(**arrays, surroundings=surroundings)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None  # not there, or damaged: it is made
