"""What a clip's bytes do not depend on."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from PIL import Image

from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.clip import ClipManifest, FileEntry
from clipfarm_contract.examining import damage
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.experiment import COMPOSITING, LAYERS, SHAPES
from clipfarm_contract.fields import dump
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.machine import Machine, processor
from helpers.local import clipfarm

from .conftest import EVERYTHING, SEED_OF_ALL, Supervisor

pytestmark = pytest.mark.blender


def hashes(clip):
    return {
        path.relative_to(clip.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(clip.folder.rglob("*"))
        if path.is_file()
    }


def test_a_block_shows_every_object_with_every_layer(everything):
    assert everything.code == ExitCode.OK, everything.lines
    shown = [json.loads(everything.run.clip(i).ground_truth.read_text())["object"]["shape"] for i in range(5)]
    assert sorted(shown) == sorted(SHAPES)
    for index in range(5):
        clip = everything.run.clip(index)
        assert damage(clip) == []
        assert {path.name for path in clip.folder.iterdir() if path.is_dir()} == {"actions_states", *LAYERS}
        assert all(clip.layer(name, frame).is_file() for name in LAYERS for frame in range(4))


def test_one_background_is_made_for_the_run(everything):
    assert len(list(everything.run.cache.glob("*.npz"))) == 1
    seconds = [everything.result(index).seconds["background"] for index in range(5)]
    assert max(seconds[1:]) < seconds[0]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_clip_made_alone_by_any_number_of_threads_has_the_bytes_of_the_one_in_a_block(everything, tmp_path, threads):
    alone = Supervisor(tmp_path)(index=3, threads=threads, experiment=EVERYTHING, seed=SEED_OF_ALL)
    assert alone.code == ExitCode.OK, alone.lines
    assert hashes(alone.run.clip(3)) == hashes(everything.run.clip(3))


# Another host name, and addresses that the kernel has not moved about.
ELSEWHERE = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere && exec setarch --addr-no-randomize "$@"', "sh"]
ANOTHER_ENVIRONMENT = {"LANG": "C", "LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo", "USER": "somebody", "PYTHONHASHSEED": "7"}


def test_a_clip_made_under_another_host_name_user_time_zone_and_folder_has_the_same_bytes(everything, tmp_path):
    if subprocess.run([*ELSEWHERE, "true"], check=False, capture_output=True).returncode:
        pytest.skip("another host name takes root")
    home = tmp_path / "a home with spaces"
    (temporary := home / "temporary").mkdir(parents=True)
    supervisor = Supervisor(tmp_path)
    command = [*ELSEWHERE, *supervisor.command(index=3, experiment=EVERYTHING, seed=SEED_OF_ALL)]
    moved = {"HOME": str(home), "TMPDIR": str(temporary), "PATH": os.environ["PATH"]} | ANOTHER_ENVIRONMENT
    done = subprocess.run(command, env=moved, cwd=home, check=False, capture_output=True, text=True)
    assert done.returncode == ExitCode.OK, done.stderr
    assert hashes(supervisor.run.clip(3)) == hashes(everything.run.clip(3))
    assert list(temporary.iterdir()) == []


# Each of them changes a frame, or ends Blender, if it gets there.
HOSTILE_ENVIRONMENT = {
    "BLENDER_SYSTEM_DATAFILES": "/nowhere",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
    "OCIO_OPTIMIZATION_FLAGS": "0",
    "OPENBLAS_CORETYPE": "Prescott",
}
ANOTHER_OCIO = """
ocio_profile_version: 1
roles: {default: raw, scene_linear: raw}
displays:
  sRGB:
    - !<View> {name: Standard, colorspace: raw}
colorspaces:
  - !<ColorSpace> {name: raw, family: raw, bitdepth: 32f, isdata: true, allocation: uniform}
"""


def test_a_clip_made_without_a_home_and_with_variables_that_blender_obeys_has_the_same_bytes(everything, tmp_path):
    datafiles = tmp_path / "datafiles"
    (datafiles / "colormanagement").mkdir(parents=True)
    config = datafiles / "colormanagement" / "config.ocio"
    config.write_text(ANOTHER_OCIO)
    environ = {"PATH": os.environ["PATH"], "OCIO": str(config), "BLENDER_USER_DATAFILES": str(datafiles)}
    supervisor = Supervisor(tmp_path)
    command = supervisor.command(index=3, experiment=EVERYTHING, seed=SEED_OF_ALL)
    done = subprocess.run(command, env=environ | HOSTILE_ENVIRONMENT, check=False, capture_output=True, text=True)
    assert done.returncode == ExitCode.OK, done.stderr
    assert hashes(supervisor.run.clip(3)) == hashes(everything.run.clip(3))


def test_a_clip_made_by_blender_with_its_user_interface_has_the_same_files(everything, tmp_path):
    whole = "import bpy, sys; from clipfarm_render import clip; sys.exit(clip.main())"
    ended = Supervisor(tmp_path)(sys.executable, "-c", whole, index=3, experiment=EVERYTHING, seed=SEED_OF_ALL)
    assert ended.code == ExitCode.OK, ended.lines
    ours, theirs = hashes(everything.run.clip(3)), hashes(ended.run.clip(3))
    assert ours.pop("clip.json") != theirs.pop("clip.json"), "it names its renderer"
    assert ours == theirs


@pytest.mark.parametrize("record", ["clip.json", "ground_truth.json"])
def test_a_clip_is_reproduced_from_one_of_its_records_alone(everything, tmp_path, record):
    kept = RunFolder(tmp_path / "kept").clip(1)
    kept.folder.mkdir(parents=True)
    original = everything.run.clip(1)
    (kept.folder / record).write_bytes((original.folder / record).read_bytes())
    ran = clipfarm("clip", tmp_path / "kept", 1, "--output", tmp_path / "again")
    assert hashes(RunFolder(tmp_path / "again").clip(1)) == hashes(original), ran.stdout + ran.stderr
    if record == "clip.json":
        assert (ran.returncode, ran.stdout.splitlines()[0]) == (0, "clip 1, made again: every byte is the same")


def test_a_clip_that_another_processor_made_is_equal_within_a_bound_that_is_named(everything, tmp_path):
    run, made = RunFolder(tmp_path), everything.result(1)
    clip = run.clip(1)
    shutil.copytree(everything.run.clip(1).folder, clip.folder)
    with Image.open(clip.frame(2)) as picture:
        left, top = picture.getpixel((0, 0)), (0, 0)
        picture.putpixel(top, (left[0] ^ 1, *left[1:]))
        picture.save(clip.frame(2))
    manifest = ClipManifest.read(clip.manifest)
    files = dict(manifest.files) | {"rgb/frame_00002.png": FileEntry.of(clip.frame(2))}
    clip.manifest.write_text(dump(replace(manifest, files=files).to_json()))
    assert made.machine == Machine(processor())
    write_atomically(run.result(1), dump(replace(made, machine=Machine("another processor")).to_json()))
    ran = clipfarm("verify", tmp_path, "--rerender", 1)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    count, machines, clip, layer = ran.stdout.splitlines()
    assert count.startswith("checked 1 clip and 0 feature files: "), count
    assert machines == f"made on another processor, and again on {processor()}"
    assert clip == "clip 1, made again: equal within the bound of another processor"
    assert layer.startswith("  rgb: 1 of "), layer
    assert layer.endswith("by at most 1 of 255"), layer


def test_layers_and_the_way_of_rendering_belong_to_the_recipe(everything, tmp_path):
    for change, told in (
        ({"background": "full"}, 'made with experiment.background "cached" instead of "full"'),
        ({"layers": ["rgb"]}, "made with experiment.layers"),
    ):
        supervisor = Supervisor(tmp_path)
        supervisor.run = everything.run
        before = hashes(everything.run.clip(0))
        ended = supervisor(experiment=EVERYTHING | change, seed=SEED_OF_ALL)
        assert ended.code == ExitCode.FAILED
        assert any(told in line for line in ended.lines)
        assert hashes(everything.run.clip(0)) == before


def test_a_clip_of_an_earlier_version_is_named_so_and_not_made_again(everything, tmp_path):
    shutil.copytree(everything.run.clip(0).folder, (clip := RunFolder(tmp_path).clip(0)).folder)
    document = json.loads(clip.manifest.read_text())
    assert document["recipe"].pop("compositing") == COMPOSITING
    clip.manifest.write_text(json.dumps(document))
    assert damage(clip) == []
    again = clipfarm("clip", tmp_path, 0)
    assert again.returncode == 1
    assert "found a clip of another version of clipfarm (compositing 1), expected 2" in again.stdout + again.stderr
    ended = Supervisor(tmp_path)
    ended.run = RunFolder(tmp_path)
    made = ended(experiment=EVERYTHING, seed=SEED_OF_ALL)
    assert made.code == ExitCode.FAILED
    assert "made with an earlier version of clipfarm (compositing 1 instead of 2)" in made.result(0).reason
