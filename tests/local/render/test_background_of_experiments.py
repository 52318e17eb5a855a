"""Several bodies and things that stand still over a background that was rendered once, against full renders."""

import numpy as np
import pytest

from clipfarm_contract.experiment import SHAPES
from clipfarm_contract.experiments import EXPERIMENTS
from clipfarm_contract.experiments.laws import Choice, Uniform
from clipfarm_contract.experiments.scene import Phase, Scene
from clipfarm_render import experiments
from clipfarm_render.experiments import staging
from clipfarm_render.picture import background, view
from clipfarm_render.picture.boxes import Box
from clipfarm_render.picture.cycles import CyclesRenderer
from clipfarm_render.picture.frames import CompositeFrames

pytestmark = pytest.mark.blender
SIZE, SAMPLES = 64, 16
EVERYTHING = Box(0, 0, SIZE, SIZE)
FROM_ABOVE = {
    "cameraAzimuth": Uniform(-140, -140),
    "cameraElevation": Uniform(60, 60),
    "cameraDistance": Uniform(16, 16),
    "lightAzimuth": Uniform(100, 100),
    "lightIntensity": Uniform(1.5, 1.5),
    "floor": Choice(("planks",)),
}
CASES = {
    "two bodies near each other": ("collide", {}),
    "three on a ramp": ("ramp", {"bodies": Uniform(3, 3)}),
    "four on top of each other": ("stack", {"bodies": Uniform(4, 4)}),
    "from another side, on another floor, in another light": ("stack", {"bodies": Uniform(2, 2), **FROM_ABOVE}),
}


@pytest.fixture(scope="module", params=CASES)
def frames(request, tmp_path_factory):
    scratch, (name, laws) = tmp_path_factory.mktemp("scene"), CASES[request.param]
    scene = Scene(name, 2, 30, SIZE, SAMPLES, ("rgb",), SHAPES, preview=False)
    laws = {**EXPERIMENTS[name].defaults, "object": Choice(SHAPES), **laws}
    shown = staging.show(experiments.story(name), scene, Phase("any", laws), 4, 1, scratch)
    renderer = CyclesRenderer(shown.stage, SAMPLES, 2, "cpu", scratch)
    shown.stage.animate(shown.motion)
    renderer.follow(shown.motion.visible)
    shown.close()
    behind = background.get(None, renderer, SAMPLES, "cpu", scratch, shown.stage)
    renderer.go_to(0)
    converged = seen(renderer.render_box(EVERYTHING, SAMPLES * background.CLEAN))
    full = seen(renderer.render_box(EVERYTHING, SAMPLES))
    made = CompositeFrames(renderer, shown.stage, shown.motion, behind, SAMPLES)
    return made.region(0), seen(made.linear(0)), full, converged, seen(behind.clean)


def seen(picture):
    """As 8-bit steps, with fractions."""
    return view.seen(picture, depth=16).astype(float) / 257


def test_what_lies_outside_of_the_region_changes_by_less_than_half_a_step(frames):
    region, _, _, converged, clean = frames
    outside = ~region.weak.pixels
    assert outside.mean() > 0.1
    blocks = np.abs((converged - clean).reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))).max(axis=-1)
    assert blocks[outside.reshape(16, 4, 16, 4).all(axis=(1, 3))].max() < 0.5
    assert blocks.max() > 10, "inside of it, the objects do change the picture"


def test_a_frame_is_no_worse_than_a_full_render_and_the_same_in_expectation(frames):
    region, composite, full, converged, _ = frames
    assert ((composite - converged) ** 2).mean() <= ((full - converged) ** 2).mean()
    # Few pixels change where two small bodies lie, and a full render's own noise shifts their mean by more than a step.
    ours, plain = (np.abs((made - converged)[region.weak.pixels].mean(axis=0)).max() for made in (composite, full))
    assert ours < max(0.5, plain)
