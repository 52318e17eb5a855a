"""The meshes and their mass, against an independent library and against formulas."""

import numpy as np
import pytest
import trimesh

from clipfarm_contract.experiment import SHAPES
from clipfarm_render.scene.bodies import extremes
from clipfarm_render.scene.shapes import shape

VOLUMES = {
    "cube": 1.0,
    "sphere": np.pi / 6,
    "cylinder": np.pi / 4 * 0.7,
    "cone": np.pi / 12 * 0.9,
    "torus": 2 * np.pi**2 * 0.33 * 0.17**2,
}


def solid(made):
    triangles = [(face[0], face[i], face[i + 1]) for face in made.faces for i in range(1, len(face) - 1)]
    return trimesh.Trimesh(made.vertices, triangles, process=False)


@pytest.fixture(params=SHAPES)
def made(request):
    return shape(request.param)


def test_a_mesh_is_closed_and_faces_outwards(made):
    mesh = solid(made)
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume == pytest.approx(VOLUMES[made.name], rel=5e-3)


def test_a_mesh_is_as_wide_as_its_size_and_no_higher(made):
    extents = np.ptp(made.vertices, axis=0)
    assert extents[:2] == pytest.approx((1, 1))
    assert extents[2] <= 1


def test_mass_is_spread_as_in_the_mesh(made):
    mesh = solid(made)
    assert mesh.center_mass == pytest.approx((0, 0, 0), abs=1e-9)
    assert mesh.moment_inertia / mesh.volume == pytest.approx(np.diag(made.inertia), rel=3e-3, abs=1e-9)


def test_normals_point_out_of_the_faces(made):
    mesh_normals, given = [], made.normals.tolist()
    for face in made.faces:
        corners = made.vertices[list(face)]
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        mesh_normals += [normal / np.linalg.norm(normal)] * len(face)
    assert np.linalg.norm(given, axis=1) == pytest.approx(1)
    # A facet of the tube spans 7.5 degrees, and its corners' normals lie half of that from its own.
    assert (np.array(given) * mesh_normals).sum(axis=1).min() > np.cos(np.radians(5))


def test_no_friction_up_to_1_tips_a_body_over_that_cannot_roll(made):
    assert made.rolls or made.bottom <= 0.5


def test_the_outline_that_is_kept_of_a_body_is_nearly_its_hull(made):
    kept = extremes(made.vertices)
    directions = np.random.default_rng(0).normal(size=(3, 2000))
    directions /= np.linalg.norm(directions, axis=0)
    assert ((made.vertices @ directions).max(axis=0) - (kept @ directions).max(axis=0)).max() < 0.005
    assert (np.ptp(kept, axis=0) == np.ptp(made.vertices, axis=0)).all()
