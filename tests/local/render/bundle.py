"""A tiny bundle of assets: a wedge whose centre of mass is not in the middle, as Kubric's manifests have it."""

import json
import tarfile
from pathlib import Path

# A right prism over the triangle (0, 0), (2, 0), (0, 1) in x and z, 1 deep: volume 1, centre at a third of its sides.
VERTICES = [(x, y, z) for y in (-0.5, 0.5) for x, z in ((0, 0), (2, 0), (0, 1))]
FACES = [(1, 2, 3), (6, 5, 4), (1, 4, 5, 2), (2, 5, 6, 3), (3, 6, 4, 1)]
CENTRE = (2 / 3, 0.0, 1 / 3)
# Moments for 1 kg: of a triangle with legs a and b, a^2 / 18 and b^2 / 18; of depth d, d^2 / 12.
MOMENTS = (1 / 18 + 1 / 12, 4 / 18 + 1 / 18, 4 / 18 + 1 / 12)

URDF = """<robot name="wedge"><link name="base">
  <inertial><origin xyz="{centre}"/><mass value="{mass}"/>
    <inertia ixx="{ixx}" ixy="0" ixz="0" iyy="{iyy}" iyz="0" izz="{izz}"/></inertial>
  <collision><geometry><mesh filename="mesh.obj"/></geometry></collision>
</link></robot>"""


def write(folder: Path, *, files=("object.urdf", "mesh.obj", "data.json"), urdf: str = URDF) -> Path:
    """Write manifest and archive; return the manifest's path."""
    source = folder / "wedge"
    source.mkdir(parents=True)
    lines = [f"v {x} {y} {z}" for x, y, z in VERTICES] + [f"f {' '.join(map(str, face))}" for face in FACES]
    (source / "mesh.obj").write_text("\n".join(lines) + "\n")
    mass = 3.0
    ixx, iyy, izz = (moment * mass for moment in MOMENTS)
    centre = " ".join(map(str, CENTRE))
    (source / "object.urdf").write_text(urdf.format(centre=centre, mass=mass, ixx=ixx, iyy=iyy, izz=izz))
    (source / "data.json").write_text("{}")
    with tarfile.open(folder / "wedge.tar.gz", "w:gz") as archive:
        for name in files:
            archive.add(source / name, name)
    kwargs = {
        "bounds": [[0, -0.5, 0], [2, 0.5, 1]],
        "mass": mass,
        "simulation_filename": "{asset_dir}/object.urdf",
        "render_filename": "{asset_dir}/mesh.obj",
        "render_import_kwargs": {"axis_forward": "Y", "axis_up": "Z"},
    }
    entry = {"asset_type": "FileBasedObject", "kwargs": kwargs, "metadata": {"category": "wedge"}}
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({"name": "tiny", "assets": {"wedge": entry}}))
    return manifest
