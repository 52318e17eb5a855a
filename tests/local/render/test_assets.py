"""Objects from a Kubric asset manifest, with a bundle made here."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.experiments.scene import Assets
from clipfarm_contract.layers import THING
from clipfarm_render.picture.layers import LayerPass
from clipfarm_render.scene import arena, bodies
from clipfarm_render.scene.manifest import AssetError, AssetFiles
from helpers.experiments import TINY

from . import bundle
from .conftest import Supervisor
from .scenes import build, draw

pytestmark = pytest.mark.blender
SAMPLE = replace(draw("wedge"), size=1.4, mass=2.0)


@pytest.fixture
def manifest(tmp_path):
    return bundle.write(tmp_path / "assets")


def test_an_asset_is_scaled_to_its_size_and_its_mass_is_spread_as_its_urdf_says(manifest, tmp_path):
    body = bodies.make(SAMPLE, Assets(str(manifest)), AssetFiles(tmp_path))
    scale = 1.4 / 2
    assert np.ptp(body.bounds, axis=0) == pytest.approx((1.4, 0.7, 0.7))
    assert body.inertia == pytest.approx(np.array(bundle.MOMENTS) * 2.0 * scale**2)
    assert body.origin == pytest.approx(-np.array(bundle.CENTRE) * scale)
    assert body.described["asset"]["id"] == "wedge"
    assert body.described["asset"]["metadata"] == {"category": "wedge"}


def test_it_is_seen_where_it_is_simulated_and_brakes_by_its_friction(manifest, tmp_path):
    scene = build(tmp_path, "wedge", 64, frames=40, assets=Assets(str(manifest)), size=1.4, friction=0.7, mass=4.0)
    positions = scene.trajectory.positions
    speed = np.linalg.norm(np.diff(positions[:, :2], axis=0), axis=1) * 30
    sliding = slice(2, 2 + int(np.argmax(speed[2:] < 0.5)))
    way = np.linalg.norm(positions[sliding, :2] - positions[2, :2], axis=1)
    assert -2 * np.polyfit(np.arange(len(way)) / 30, way, 2)[0] / arena.GRAVITY == pytest.approx(0.7, rel=0.05)
    frame = 8
    seen = LayerPass(scene.renderer, scene.stage, tmp_path).render(frame)
    rows, columns = np.mgrid[:64, :64] + 0.5
    points = scene.camera.unproject(np.stack([columns, rows], -1), seen["depth"].astype(float))
    own = (points[seen["segmentation"] == THING] - positions[frame]) @ scene.rotation(frame) / 0.7 + bundle.CENTRE
    assert len(own) >= 15
    # On one of its visible faces: the two sides, the back, or the slope x / 2 + z = 1.
    faces = np.stack([np.abs(own[:, 1]) - 0.5, own[:, 0], (own[:, 0] / 2 + own[:, 2] - 1) / np.hypot(0.5, 1)])
    assert np.abs(faces).min(axis=0).max() < 0.01


def test_a_clip_of_an_asset_is_made_like_any_other(manifest, tmp_path):
    experiment = TINY | {"objects": ["wedge"], "assets": {"manifest": str(manifest)}, "background": "cached"}
    ended = Supervisor(tmp_path)(experiment=experiment)
    assert ended.code == ExitCode.OK, ended.lines
    thing = json.loads(ended.run.clip(0).ground_truth.read_text())["object"]
    assert (thing["shape"], thing["asset"]["id"]) == ("wedge", "wedge")


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (lambda folder: (folder / "wedge.tar.gz").unlink(), "wedge.tar.gz: No such file or directory"),
        (lambda folder: (folder / "wedge.tar.gz").write_bytes(b"no archive"), "not a gzip file"),
        (lambda folder: ((folder / "wedge.tar.gz").unlink(), os.mkfifo(folder / "wedge.tar.gz")),
         "wedge.tar.gz: not a regular file"),
        (lambda folder: ((folder / "wedge.tar.gz").unlink(), (folder / "wedge.tar.gz").symlink_to("/dev/zero")),
         "wedge.tar.gz: not a regular file"),
        (lambda folder: bundle.write(folder / "x", files=("mesh.obj", "data.json")).parent.joinpath("wedge.tar.gz")
            .replace(folder / "wedge.tar.gz"), "object.urdf: No such file or directory"),
        (lambda folder: bundle.write(folder / "x", urdf="<robot><link/></robot>").parent.joinpath("wedge.tar.gz")
            .replace(folder / "wedge.tar.gz"), "object.urdf: found no link with an inertial part"),
    ],
)  # fmt: skip
def test_an_asset_that_is_broken_fails_the_clip_in_one_line(manifest, tmp_path, harm, problem):
    harm(manifest.parent)
    with pytest.raises(AssetError) as raised:
        bodies.make(SAMPLE, Assets(str(manifest)), AssetFiles(tmp_path))
    assert str(raised.value) == f"asset wedge of {manifest}: {problem}"


def test_a_mesh_that_blender_cannot_read_fails_the_clip_in_one_line(manifest, tmp_path):
    text = manifest.read_text().replace("{asset_dir}/mesh.obj", "{asset_dir}/mesh.stl")
    manifest.write_text(text)
    ended = Supervisor(tmp_path)(experiment=TINY | {"objects": ["wedge"], "assets": {"manifest": str(manifest)}})
    assert ended.code == ExitCode.FAILED
    assert ended.result(0).reason == "asset wedge: found mesh.stl, expected an .obj, .glb or .gltf file"


def test_a_manifest_that_is_not_there_is_a_usage_error(tmp_path):
    ended = Supervisor(tmp_path)(experiment=TINY | {"objects": ["wedge"], "assets": {"manifest": "/no/such.json"}})
    assert ended.code == ExitCode.USAGE
    assert ended.lines == [
        "clipfarm-render: experiment.assets.manifest: /no/such.json cannot be read: No such file or directory"
    ]


GLTF = """
import sys
from clipfarm_render.picture import headless
headless.import_blender()
import bpy
bpy.ops.wm.read_factory_settings(use_empty=True)
assert not hasattr(bpy.types, "TOPBAR_MT_file_import")
headless.enable_gltf()
bpy.ops.mesh.primitive_cube_add(size=3)
bpy.ops.export_scene.gltf(filepath=sys.argv[1])
from types import SimpleNamespace
from clipfarm_render.picture import meshes
made = meshes.from_file(SimpleNamespace(render_filename=sys.argv[1], asset_id="box", render_import_kwargs={}))
print("box", *(round(side, 3) for side in made.dimensions))
"""


def test_gltf_is_read_though_blender_has_been_loaded_without_its_user_interface(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", GLTF, tmp_path / "box.glb"], check=False, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "box 3.0 3.0 3.0", done.stdout + done.stderr
