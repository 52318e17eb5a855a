"""A run as a user has it: installed with Helm, applied with kubectl; its volume holds the same bytes as a laptop."""

import json
from pathlib import Path

import pytest
import yaml

from clipfarm.run_file import read_objects
from clipfarm_contract.environment import RUN_EXPERIMENT
from helpers.cluster import Object
from helpers.exports import content
from helpers.local import clipfarm, wait_until
from helpers.node import CLAIM, RENDER, USER, Place, hashes

EXAMPLE = Path(__file__).parents[2] / "examples" / "demo.yaml"
MODULE = EXAMPLE.parent / "own-experiment" / "run.yaml"
CLIPS, OTHER = 6, 100
LIMIT = 400.0


def small_example() -> Object:
    """The demo's three phases, six clips, with small settings."""
    made = yaml.safe_load(EXAMPLE.read_text())
    spec = made["spec"]
    spec["clips"]["end"] = CLIPS - 1
    spec["experiment"]["phases"][-1]["clips"]["end"] = CLIPS - 1
    spec["experiment"] |= {"frames": 8, "resolution": 64, "samplesPerPixel": 4}
    spec |= {"workers": 2, "storage": {"claimName": CLAIM}}
    return made


def other_experiment() -> Object:
    """One clip of an experiment that comes with the run, with a number that no other run on the volume has."""
    (made,) = read_objects(MODULE)
    spec = made["spec"]
    spec["clips"] = {"start": OTHER, "end": OTHER}
    spec["experiment"]["phases"][0]["clips"] = {"start": OTHER, "end": OTHER}
    # Clips of one folder have one seed.
    spec |= {"seed": small_example()["spec"]["seed"], "workers": 1, "storage": {"claimName": CLAIM}}
    return made


@pytest.mark.blender
@pytest.mark.torch
@pytest.mark.timeout(900)
def test_six_clips_and_their_features_are_made_as_on_a_laptop_byte_for_byte(place: Place, tmp_path: Path):
    manifest = small_example()
    name = place.create(manifest)

    def halfway() -> str:
        shown = place.kubectl("get", "benchmarkruns").stdout
        header, row = (line.split() for line in shown.splitlines())
        done = dict(zip(header, row, strict=False))
        if "TOTAL" not in done:
            return ""  # the operator has not written a status yet
        assert done["TOTAL"] == str(CLIPS), shown
        return shown if 0 < int(done["RENDERED"]) < CLIPS else ""

    shown = wait_until(halfway, "kubectl get benchmarkruns to show a run on its way", LIMIT)
    # Beside the first one, so that it takes next to no time of its own.
    other = place.create(manifest_of_other := other_experiment())
    assert "Running" in shown
    status = place.runs.finished(name, LIMIT)
    assert (status["phase"], status["rendered"], status["encoded"]) == ("Succeeded", CLIPS, CLIPS), status

    (tmp_path / "run.yaml").write_text(yaml.safe_dump(manifest))
    done = clipfarm("local", tmp_path / "run.yaml", "--output", tmp_path / "local")
    assert not done.returncode, done.stderr
    assert place.runs.finished(other, LIMIT)["phase"] == "Succeeded"
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(manifest_of_other))
    done = clipfarm("local", tmp_path / "other.yaml", "--output", tmp_path / "other")
    assert not done.returncode, done.stderr
    made, expected = hashes(place.volume), hashes(tmp_path / "local") | hashes(tmp_path / "other")
    assert len([name for name in expected if name.endswith("feature_maps/vjepa2_tiny16.npy")]) == CLIPS
    assert made == expected

    verified = clipfarm("verify", place.volume)
    assert not verified.returncode, verified.stdout + verified.stderr
    _files_belong_to_the_group_and_others_read_them(place)
    _an_export_that_is_added_has_the_bytes_of_one_on_a_laptop(place, name, tmp_path)


def _an_export_that_is_added_has_the_bytes_of_one_on_a_laptop(place: Place, name: str, tmp_path: Path) -> None:
    asked = {"format": "webdataset", "license": "cc-by-4.0", "destination": "exports/demo"}
    place.runs.patch(name, export=asked)

    def ended() -> Object | None:
        found = place.runs.status(name).get("export", {})
        return found if found.get("phase") in ("Succeeded", "Failed") else None

    found = wait_until(ended, "the export", LIMIT)
    assert (found["phase"], found["clips"], found["leftOut"]) == ("Succeeded", CLIPS, 0), found
    title = ("--name", name, "--license", "cc-by-4.0", "--features", "all")
    done = clipfarm("export", tmp_path / "local", tmp_path / "export", "--format", "webdataset", *title)
    assert not done.returncode, done.stderr
    assert content(place.volume / "exports" / "demo") == content(tmp_path / "export")


def test_an_image_of_before_an_experiment_refuses_it_by_name(place: Place):
    """The renderer's own image, without the declaration."""
    experiment = {"name": "drop"}
    code = (
        "import os, sys; from clipfarm_contract.experiments import EXPERIMENTS; EXPERIMENTS.pop('drop');"
        f"os.environ['{RUN_EXPERIMENT}'] = {json.dumps(json.dumps(experiment))};"
        "from clipfarm_render.supervising.supervisor import main;"
        "sys.exit(main(['--output', '/clips', '--seed', '1', '--index', '0']))"
    )
    ended, said = place.once("older", RENDER, ["python", "-c", code])
    assert ended["phase"] == "Failed"
    assert ended["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 64
    assert said.splitlines()[-1] == (
        'clipfarm-render: experiment.name: found "drop", expected push, collide, ramp, occlude or stack'
    )


def _files_belong_to_the_group_and_others_read_them(place: Place) -> None:
    clip = place.volume / "clip_00000"
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (clip, *clip.rglob("*"))}
    assert owners == {(USER, USER)}
    stranger = 12345
    code = "import os; print(os.getuid(), len(open('/clips/clip_00000/clip.json').read()))"
    ended, said = place.once("reader", RENDER, ["python", "-c", code], user=stranger)
    assert (ended["phase"], said) == ("Succeeded", f"{stranger} {len((clip / 'clip.json').read_text())}")
