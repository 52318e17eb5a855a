"""What a person gets for a mistake: one line, exit code 2, and nothing done."""

from pathlib import Path

import pytest

from helpers.local import clipfarm

EXAMPLE = Path(__file__).parents[3] / "examples" / "run.yaml"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("end: 16999}         #", "end: -1}  #", "spec.clips.end: found -1, expected 0 or more"),
        ("fps: 30", "fps: 25", "spec.experiment.fps: found 25, expected a divisor of 240, the rate of the physics,"
         " such as 24"),
        ("start: 15000", "start: 15001", "spec.experiment.phases: no phase holds clip 15000, expected each clip in one"
         " phase"),
        ("min: 0.5, max: 0.9", "min: -1, max: 0.9", "spec.experiment.phases[0].friction.min: found -1, expected 0 or"
         " more"),
        ("resolution", "resolutoin", "spec.experiment.resolutoin: unknown field (did you mean resolution?)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["local", "plan"])
def test_a_run_that_makes_no_sense_is_answered_with_one_line(tmp_path, command, old, new, line):
    path = tmp_path / "run.yaml"
    assert old in EXAMPLE.read_text()
    path.write_text(EXAMPLE.read_text().replace(old, new, 1))
    ran = clipfarm(command, path, "--output", tmp_path / "out")
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"{path}: {line}\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--workers", "0"], "clipfarm local: Invalid value for '--workers': 0 is not in the range x>=1."),
        (["--start_job", "5", "--end_job", "3"], f"{EXAMPLE}: spec.clips.end: found 3, expected start (5) or more"),
        (["--end_job", "17000"], f"{EXAMPLE}: spec.experiment.phases: no phase holds clip 17000, expected each clip in"
         " one phase"),
        (["--colour"], "clipfarm local: No such option"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_answered_with_one_line(tmp_path, arguments, line):
    ran = clipfarm("local", EXAMPLE, "--output", tmp_path / "out", *arguments)
    assert ran.returncode == 2
    (found,) = ran.stderr.splitlines()
    assert found.startswith(line)
    assert not (tmp_path / "out").exists()


def test_weights_that_are_not_there_are_found_before_a_night_of_rendering(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(EXAMPLE.read_text().replace("source: random", "source: /models/vitl.pt"))
    ran = clipfarm("local", path, "--output", tmp_path / "out")
    assert (ran.returncode, ran.stderr) == (
        2,
        "spec.encode.weights.source: found '/models/vitl.pt', expected a file or folder that exists, random, or a path"
        " below /clips for a cluster\n",
    )


def test_dashes_and_underscores_are_the_same(tmp_path):
    one = clipfarm("plan", EXAMPLE, "--start_job", 3, "--no_gif", "--no_encode")
    other = clipfarm("plan", EXAMPLE, "--start-job", 3, "--no-gif", "--no-encode")
    assert one.stdout == other.stdout
    assert "encoder: none" in one.stdout


def test_the_plan_of_the_example_is_what_its_comments_say(tmp_path):
    ran = clipfarm("plan", EXAMPLE)
    assert ran.returncode == 0
    assert ran.stdout.splitlines()[:4] == [
        "run friction: 17000 clips (0-16999), seed 42",
        "  phase A1: 15000 clips (0-14999), friction 0.5-0.9, mass 0.5-3 kg",
        "  phase B: 1000 clips (15000-15999), friction 0.01-0.15, mass 1 kg",
        "  phase A2: 1000 clips (16000-16999), friction 0.5-0.9, mass 1 kg",
    ]


def test_a_plan_of_one_clip_says_so_in_the_singular():
    ran = clipfarm("plan", EXAMPLE, "--start-job", 15999, "--end-job", 15999)
    assert ran.stdout.splitlines()[:2] == [
        "run friction: 1 clip (15999), seed 42",
        "  phase B: 1 clip (15999), friction 0.01-0.15, mass 1 kg",
    ]
