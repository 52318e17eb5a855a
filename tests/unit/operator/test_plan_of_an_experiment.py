"""`clipfarm plan` names the experiment and how its clips belong together."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from clipfarm.cli.plan import plan
from helpers.runs import document

CASES = {
    "push": ({}, None),
    "drop": ({"name": "drop"}, "  experiment drop"),
    "twins": (
        {"twins": {"of": 2, "vary": ["mass", "hue"]}},
        "  experiment push; twins: groups of 2 clips that differ in mass, hue",
    ),
    "violations": (
        {"name": "occlude", "violations": {"kinds": ["vanish", "colour"], "at": {"min": 3, "max": 9}}},
        "  experiment occlude; groups of 4 clips, two of them impossible: vanish, colour",
    ),
}


def planned(tmp_path: Path, fields: dict, background: str = "cached") -> list[str]:
    run = document(8)
    run["spec"]["experiment"] |= fields
    run["spec"]["render"] = {"background": background}
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(run))
    ran = CliRunner().invoke(plan, [str(path)])
    assert ran.exit_code == 0, ran.output
    return ran.output.splitlines()


@pytest.mark.parametrize(("fields", "expected"), CASES.values(), ids=CASES)
def test_a_plan_names_an_experiment_that_is_not_plain_push(tmp_path: Path, fields: dict, expected: str | None):
    shown = [line for line in planned(tmp_path, fields) if "experiment" in line]
    assert shown == ([expected] if expected else [])


AROUND = {"cameraAzimuth": {"values": [0, 30, 60]}, "cameraDistance": {"values": [15, 18]}}
ANYWHERE = {"cameraAzimuth": {"min": 0, "max": 60}, "cameraDistance": {"values": [15, 18]}}
OWN = (
    "  backgrounds: one for each of 8 clips, because any value of cameraAzimuth may come; each takes as long as 17 full"
    " frames"
)
BACKGROUNDS = {
    "the usual look": ({}, "cached", None),
    "some looks": ({"factors": AROUND}, "cached", "  backgrounds: at most 6, one for each look, 4.8 MiB each"),
    "more than clips": (
        {"factors": AROUND | {"cameraElevation": {"values": [40, 45]}}},
        "cached",
        "  backgrounds: at most 8, one for each look, 4.8 MiB each",
    ),
    "any look": ({"factors": ANYWHERE}, "cached", OWN),
    "any look, short clips": (
        {"factors": ANYWHERE, "frames": 12},
        "cached",
        f"{OWN}; with 12 frames a clip, render.background: full is faster",
    ),
    "a view of each look": (
        {"factors": AROUND | {"lightAzimuth": {"values": [0, 90]}}, "views": [{"name": "side"}]},
        "cached",
        "  backgrounds: at most 10, one for each look, 4.8 MiB each",
    ),
    "any look of each view": (
        {"factors": {"lightAzimuth": {"min": 0, "max": 60}}, "views": [{"name": "side"}]},
        "cached",
        OWN.replace("8 clips", "8 clips and of their views").replace("cameraAzimuth", "lightAzimuth"),
    ),
    "any look, no background": ({"factors": ANYWHERE}, "full", None),
    "any ramp": (
        {"name": "ramp", "factors": {"angle": {"min": 10, "max": 20}}},
        "cached",
        OWN.replace("cameraAzimuth", "angle"),
    ),
}


@pytest.mark.parametrize(("fields", "background", "expected"), BACKGROUNDS.values(), ids=BACKGROUNDS)
def test_a_plan_says_how_many_backgrounds_there_are(tmp_path: Path, fields: dict, background: str, expected: str):
    shown = [line for line in planned(tmp_path, fields, background) if "backgrounds" in line]
    assert shown == ([expected] if expected else [])


def test_a_plan_says_how_many_backgrounds_are_kept_if_not_all_are(tmp_path: Path):
    fields = {"factors": AROUND, "resolution": 2304}
    [line] = [line for line in planned(tmp_path, fields) if "backgrounds" in line]
    assert line == "  backgrounds: at most 6, one for each look, 384.8 MiB each; the 5 used last are kept"


def test_a_plan_names_the_views(tmp_path: Path):
    side = {"name": "side", "camera": {"azimuth": 90}, "layers": ["rgb", "depth"]}
    shown = [line for line in planned(tmp_path, {"views": [side]}) if "view " in line]
    assert shown == ["  view side: from azimuth 90, elevation 45, 14 m away; layers rgb, depth"]
