"""Whatever is wrong with the command line is told in one line, with 64."""

import json
import os
import subprocess
import sys

import pytest

from helpers.experiments import TINY

REQUIRED = ["--seed", "0", "--index", "0"]


def run(tmp_path, *arguments, **environ):
    return subprocess.run(
        [sys.executable, "-m", "clipfarm_render", "--output", str(tmp_path / "out"), *arguments],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def without(field):
    return {name: value for name, value in TINY.items() if name != field}


@pytest.mark.parametrize(
    ("arguments", "experiment", "message"),
    [
        ([], TINY, "Missing option '--seed'."),
        (["--seed", "x", "--index", "0"], TINY, "'--seed': 'x' is not a valid integer"),
        (["--seed", "-1", "--index", "0"], TINY, "'--seed': -1 is not in the range x>=0"),
        ([*REQUIRED, "--count", "0"], TINY, "'--count': 0 is not in the range 1<=x<=100000"),
        ([*REQUIRED, "--timeout", "0"], TINY, "'--timeout': 0.0 is not in the range 0<x<="),
        ([*REQUIRED, "--timeout", "nan"], TINY, "'--timeout': 'nan' is not a number of seconds"),
        ([*REQUIRED, "--timeout", "inf"], TINY, "'--timeout': inf is not in the range 0<x<="),
        ([*REQUIRED, "--count", "1000000000000"], TINY, "'--count': 1000000000000 is not in the range 1<=x<=100000"),
        (["--seed", "0", "--index", "9" * 30], TINY, "is not in the range 0<=x<=9999999"),
        ([*REQUIRED, "--device", "tpu"], TINY, "'--device': 'tpu' is not one of 'cpu', 'gpu', 'cuda', 'optix'"),
        (["--seed", "0"], TINY, "expected either --index, or --clips with --block"),
        ([*REQUIRED, "--clips", "0-9", "--block", "0"], TINY, "expected either --index, or --clips with --block"),
        (["--seed", "0", "--clips", "0-9"], TINY, "expected either --index, or --clips with --block"),
        (["--seed", "0", "--clips", "a-9", "--block", "0"], TINY, '--clips: found "a-9", expected ranges such as'),
        (["--seed", "0", "--clips", "0-9", "--block", "10"], TINY, "--block: found 10, but --clips has no clips left"),
        (["--seed", "0", "--clips-from", "/no/such"], TINY, "--clips-from: /no/such cannot be read"),
        (["--seed", "0", "--clips", "1", "--clips-from", "x"], TINY, "expected either --clips or --clips-from"),
        ([*REQUIRED, "--beans"], TINY, "No such option '--beans'"),
        ([*REQUIRED, "--experiment", "/no/such/file"], TINY, "--experiment: /no/such/file cannot be read"),
        (REQUIRED, None, "experiment: found neither --experiment nor CLIPFARM_EXPERIMENT"),
        (REQUIRED, without("frames"), "experiment.frames: missing, expected a whole number"),
        (REQUIRED, TINY | {"beans": 1}, "experiment.beans: unknown field"),
        (REQUIRED, TINY | {"fps": "fast"}, 'experiment.fps: found "fast", expected a whole number'),
        (REQUIRED, TINY | {"layers": ["heat"]}, 'experiment.layers: found "heat", expected rgb, segmentation,'),
        (REQUIRED, TINY | {"assets": {"manifest": "/no/such"}}, "assets.manifest: /no/such cannot be read"),
        (["--seed", "0", "--index", "100"], TINY, "clip 100: no phase of the experiment holds it"),
        (["--seed", "0", "--index", "99", "--count", "2"], TINY, "clip 100: no phase of the experiment holds it"),
    ],
)
def test_a_usage_error_is_one_line_and_64(tmp_path, arguments, experiment, message):
    environ = {} if experiment is None else {"CLIPFARM_EXPERIMENT": json.dumps(experiment)}
    done = run(tmp_path, *arguments, **environ)
    assert done.returncode == 64
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_nonsense_in_a_thread_variable_is_a_usage_error(tmp_path):
    done = run(tmp_path, *REQUIRED, OMP_NUM_THREADS="many", CLIPFARM_EXPERIMENT=json.dumps(TINY))
    assert done.returncode == 64
    assert done.stderr == "clipfarm-render: OMP_NUM_THREADS: found 'many', expected a whole number from 1 to 1024\n"


def test_underscores_serve_as_dashes(tmp_path):
    done = run(tmp_path, *REQUIRED, "--termination_message", "x", "--exit_with_parent", "--help")
    assert done.returncode == 0
    assert "--termination-message" in done.stdout


def test_help_is_no_error(tmp_path):
    assert run(tmp_path, "--help").returncode == 0


@pytest.mark.parametrize("how", ["2>&-", ">&- 2>&- <&-", "2>/dev/full", "2>&1 | true"])
def test_a_clip_is_made_whatever_becomes_of_the_standard_streams(tmp_path, how):
    program = [sys.executable, "-m", "clipfarm_render", "--output", str(tmp_path / "out"), *REQUIRED, "--"]
    program += ["sh", "-c", 'echo said; echo "$CLIP_SEED" > "$CLIP_DIR/seed.txt"']
    environ = os.environ | {"CLIPFARM_EXPERIMENT": json.dumps(TINY)}
    done = subprocess.run(["sh", "-c", f'"$@" {how}', "sh", *program], env=environ, check=False, timeout=60)
    assert done.returncode == 0
    files = [path.name for path in (tmp_path / "out" / "clip_00000").iterdir()]
    assert sorted(files) == ["clip.json", "seed.txt"]
    assert len((tmp_path / "out" / "clip_00000" / "seed.txt").read_text().split()) == 1


def test_help_that_cannot_be_written_is_one_line(tmp_path):
    program = [sys.executable, "-m", "clipfarm_render", "--help"]
    done = subprocess.run(["sh", "-c", '"$@" >/dev/full', "sh", *program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "clipfarm-render: standard output: No space left on device\n")
