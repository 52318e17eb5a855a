"""Each layer against geometry that is known without Blender, through the files that a clip has."""

import numpy as np
import pytest

from clipfarm_contract import layers as files
from clipfarm_contract.experiment import LAYERS, SHAPES
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layers import FLOOR, THING, WALL
from clipfarm_contract.layout import Clip
from clipfarm_render.picture import layers as rendering
from clipfarm_render.scene import arena

from .scenes import build

pytestmark = pytest.mark.blender
SIZE, FRAMES = 64, 4
FRAME = 2
"""The first in which the object has moved."""


class Seen:
    """The layers of one object's clip, read back by the contract's readers."""

    def __init__(self, scene, folder):
        self.scene = scene
        clip = Clip(folder)
        rendering.write_all(scene.renderer, scene.stage, folder, LAYERS, FRAMES, clip)
        self.clip = clip
        rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
        self.pixels = np.stack([columns, rows], axis=-1)

    def layer(self, name, frame=FRAME):
        read = files.read(self.clip.layer(name, frame))
        return np.asarray(read.values).reshape(read.shape)

    def points(self, frame=FRAME):
        return self.scene.camera.unproject(self.pixels, self.layer("depth", frame).astype(float))

    def on_the_object(self, frame=FRAME):
        """Points of the world that are seen of the object, and the same in the object's own axes."""
        points = self.points(frame)[self.layer("segmentation", frame) == THING]
        return points, (points - self.scene.trajectory.positions[frame]) @ self.scene.rotation(frame)


@pytest.fixture(scope="module", params=SHAPES)
def seen(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return Seen(build(folder, request.param, SIZE, frames=FRAMES), folder)


def test_shapes_and_types_are_those_of_the_documentation(seen):
    found = {name: np.load(seen.clip.layer(name, 0)) for name in LAYERS[2:]}
    assert {name: (values.shape[2:], values.dtype.name) for name, values in found.items()} == {
        "flow": ((2,), "float32"),
        "depth": ((), "float32"),
        "normal": ((3,), "float16"),
        "object_coordinates": ((3,), "float16"),
    }
    assert all(values.shape[:2] == (SIZE, SIZE) for values in found.values())
    assert np.isfinite(seen.layer("depth")).all()


def test_depth_puts_the_floor_at_height_0_and_the_object_on_its_surface(seen):
    floor = seen.points()[seen.layer("segmentation") == FLOOR]
    assert len(floor) > 1000
    assert np.abs(floor[:, 2]).max() < 1e-3
    _, own = seen.on_the_object()
    size, around = seen.scene.sample.size, np.linalg.norm(own[:, :2], axis=1)
    distance = {
        "cube": lambda: np.abs(own).max(axis=1) - size / 2,
        "sphere": lambda: np.linalg.norm(own, axis=1) - size / 2,
        "cylinder": lambda: np.maximum(around - size / 2, np.abs(own[:, 2]) - 0.35 * size),
        "cone": lambda: (around / 0.5 + (own[:, 2] - 0.675 * size) / 0.9) * 0.9 * 0.5 / np.hypot(0.9, 0.5),
        "torus": lambda: np.hypot(around - 0.33 * size, own[:, 2]) - 0.17 * size,
    }[seen.scene.sample.shape]()
    # Facets lie up to 0.05 % of the width inside the true surface.
    assert np.abs(distance).max() < 2e-3 * size


def test_segmentation_tells_object_floor_and_walls(seen):
    points, found = seen.points(), seen.layer("segmentation")
    assert (found == THING).sum() > 20
    walls = points[found == WALL]
    assert len(walls) > 100
    assert (np.abs(walls[:, :2]).max(axis=1) > arena.HALF_SIZE - 1e-3).all()
    assert walls[:, 2].max() < arena.WALL_HEIGHT + 1e-3
    points, own = seen.on_the_object()
    low, high = seen.scene.stage.bodies[0].bounds
    assert (own > low - 2e-3).all()
    assert (own < high + 2e-3).all()


def test_flow_leads_to_where_the_point_is_seen_in_the_next_frame(seen):
    for frame in range(FRAMES):
        points, own = seen.on_the_object(frame)
        after = own @ seen.scene.rotation(frame + 1).T + seen.scene.trajectory.positions[frame + 1]
        expected = seen.scene.camera.project(after) - seen.scene.camera.project(points)
        thing = seen.layer("segmentation", frame) == THING
        flow = seen.layer("flow", frame)
        assert flow[thing] == pytest.approx(expected, abs=2e-3)
        assert np.abs(flow[~thing]).max() == 0
        assert (np.abs(expected).max() > 0.5) == (frame > 0), (
            "it moves from the frame of the push on, the last included"
        )


def test_normals_point_out_of_the_surface_in_the_axes_of_the_world(seen):
    normal, found = seen.layer("normal"), seen.layer("segmentation")
    assert np.linalg.norm(normal, axis=-1) == pytest.approx(1, abs=2e-3)
    assert normal[found == FLOOR] == pytest.approx(np.array([[0, 0, 1.0]] * (found == FLOOR).sum()), abs=1e-3)
    _, own = seen.on_the_object()
    turned = normal[found == THING] @ seen.scene.rotation(FRAME)
    if seen.scene.sample.shape == "cube":
        expected = np.where(np.abs(own) == np.abs(own).max(axis=1, keepdims=True), np.sign(own), 0)
    elif seen.scene.sample.shape == "sphere":
        expected = own / np.linalg.norm(own, axis=1, keepdims=True)
    elif seen.scene.sample.shape == "torus":
        ring = own * (1, 1, 0) / np.linalg.norm(own[:, :2], axis=1, keepdims=True) * 0.33 * seen.scene.sample.size
        expected = (own - ring) / np.linalg.norm(own - ring, axis=1, keepdims=True)
    else:
        top = np.abs(turned[:, 2]) > 0.99
        slope = 0 if seen.scene.sample.shape == "cylinder" else 0.5 / 0.9
        side = np.concatenate(
            [own[:, :2] / np.linalg.norm(own[:, :2], axis=1, keepdims=True), own[:, :1] * 0 + slope], 1
        )
        expected = np.where(top[:, None], (0, 0, 1), side / np.linalg.norm(side, axis=1, keepdims=True))
    # Near the tip of the cone a facet of 3.75 degrees has one normal.
    assert np.abs(turned - expected).max() < 0.035


def test_object_coordinates_run_from_0_to_1_through_the_objects_box_and_are_0_elsewhere(seen):
    found, thing = seen.layer("object_coordinates"), seen.layer("segmentation") == THING
    _, own = seen.on_the_object()
    low, high = seen.scene.stage.bodies[0].bounds
    assert found[thing] == pytest.approx((own - low) / (high - low), abs=2e-3)
    assert not found[~thing].any()


def test_a_reader_gives_single_pixels_too(seen):
    depth = files.read(seen.clip.layer("depth", 0))
    assert depth.at(10, 20) == (pytest.approx(float(seen.layer("depth", 0)[20, 10])),)
    with pytest.raises(IndexError, match=r"pixel \(64, 0\): expected less than \(64, 64\)"):
        depth.at(64, 0)


@pytest.mark.parametrize("name", LAYERS[1:])
def test_a_file_that_is_damaged_is_refused_in_one_line(seen, name, tmp_path):
    whole = seen.clip.layer(name, 0)
    for i, damaged in enumerate((b"", whole.read_bytes()[:-9], b"x" + whole.read_bytes()[1:])):
        path = tmp_path / f"{i}{whole.suffix}"
        path.write_bytes(damaged)
        with pytest.raises(ContractError, match=rf"{path.name}: not a layer \(.+\)$"):
            files.read(path)
