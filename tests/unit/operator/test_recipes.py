"""A run's recipes: run files of before keep theirs to the byte, and the new form of such a run has the same."""

import hashlib

import pytest

from clipfarm.run import Run
from clipfarm.run_file import read_run
from clipfarm_contract.fields import dump
from helpers.chart import ROOT
from helpers.runs import document

# Made with clipfarm 0.1, before a run could name factors: the beginning of the SHA-256 of the experiment, and for the
# first and the last clip of the recipe in clip.json and of the two forms in which it is handed on.
OF_BEFORE = {
    "run": (
        "4bbff0fedac6bb29",
        ("6e3cb588eb68edff", "296742f465d35b59", "b68cad0c6031c660"),
        ("4a88d00ab5a0057c", "4d3c5e3bbd5a6a7f", "91f68ae42cf7386f"),
    ),
    "demo": (
        "915f868d269ed92c",
        ("0d0e44749a8a97ce", "a615a8b300e229b9", "de49f87e22409322"),
        ("4578197a7df77dc4", "90cd37289c129fdb", "24732e180acf7368"),
    ),
    "gpu": (
        "8c7e1aba98f5eccd",
        ("8c3edfdf238aa363", "f66b62ed3cb095b8", "765c3a701c402bf9"),
        ("e7007de753de9e87", "f66b62ed3cb095b8", "bc971450eced7f6a"),
    ),
    "own-renderer/run": (
        "c3ca33df5be8c416",
        ("bf70af570336eeab", "18cc944f5745fb1c", "63231439016932df"),
        ("a26dee685c1e3f93", "18cc944f5745fb1c", "e554951bdf7ec2ef"),
    ),
}


def digests(run: Run) -> tuple[object, ...]:
    spec = run.spec
    recipes = [
        spec.contract().recipe(spec.seed, clip, own_renderer=bool(spec.render.command))
        for clip in (spec.clips.start, spec.clips.end)
    ]
    texts = [(dump(each.to_json()), each.experiment_json(), each.run_experiment_json()) for each in recipes]
    return (digest(spec.experiment_json()), *(tuple(map(digest, each)) for each in texts))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", OF_BEFORE)
def test_the_recipes_of_run_files_of_before_keep_every_byte(name):
    assert digests(read_run(ROOT / "examples" / f"{name}.yaml")) == OF_BEFORE[name]


def test_the_same_run_with_factors_has_the_same_recipes():
    short = document(
        10,
        experiment={
            "impulse": {"min": 3, "max": 4, "atFrame": 2},
            "phases": [
                {
                    "name": "A",
                    "clips": {"start": 0, "end": 9},
                    "friction": {"min": 0.1, "max": 0.2},
                    "mass": {"min": 1, "max": 1},
                }
            ],
        },
    )
    factors = {"friction": {"min": 0.1, "max": 0.2}, "mass": {"value": 1}}
    long = document(
        10,
        experiment={
            "factors": {"impulse": {"min": 3, "max": 4}, "atFrame": {"value": 2}},
            "phases": [{"name": "A", "clips": {"start": 0, "end": 9}, "factors": factors}],
        },
    )
    assert digests(Run.model_validate(short)) == digests(Run.model_validate(long))
