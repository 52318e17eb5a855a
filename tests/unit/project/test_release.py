"""tools/release: a tag is published only if every version and the changelog agree, and the chart names its images."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.chart import ROOT

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what the tool reads."""
    found = [*ROOT.glob("pyproject.toml"), *ROOT.glob("*/pyproject.toml"), *ROOT.glob("images/*/pyproject.toml")]
    for path in [
        *found,
        *map(ROOT.joinpath, ("tools/release", "charts/clipfarm/Chart.yaml", "charts/clipfarm/values.yaml")),
    ]:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## Unreleased\n\n## 0.1.0 - 2026-12-01\n\n- All of it.\n\n## 0.0.9\n"
    )
    return tmp_path


def release(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, clone / "tools" / "release", *arguments], capture_output=True, text=True, check=False
    )


def test_a_tag_of_the_version_that_is_everywhere_passes(clone: Path):
    done = release(clone, "check", "v0.1.0")
    assert (done.returncode, done.stderr) == (0, "")


def test_each_place_with_another_version_is_named(clone: Path):
    done = release(clone, "check", "v0.2.0")
    assert done.returncode == 1
    places = {line.partition(":")[0] for line in done.stderr.splitlines()}
    assert places >= {"pyproject.toml", "operator/pyproject.toml", "images/render/pyproject.toml", "CHANGELOG.md"}
    assert "charts/clipfarm/Chart.yaml: found version 0.1.0, expected 0.2.0" in done.stderr


def test_the_notes_are_the_changelogs_section(clone: Path):
    assert release(clone, "notes", "v0.1.0").stdout == "- All of it.\n"
    assert release(clone, "notes", "v0.3.0").returncode == 1


def test_the_chart_names_each_image_by_its_digest(clone: Path):
    names = [f"ghcr.io/someone/clipfarm/clipfarm-{image}" for image in ("operator", "render", "encode")]
    (clone / "images.txt").write_text("".join(f"{name}@{DIGEST}\n" for name in names))
    assert release(clone, "chart", str(clone / "images.txt")).returncode == 0
    values = yaml.safe_load((clone / "charts/clipfarm/values.yaml").read_text())
    found = [values["image"], values["images"]["render"], values["images"]["encode"]]
    assert [(each["repository"], each["digest"]) for each in found] == [(name, DIGEST) for name in names]
    before = yaml.safe_load((ROOT / "charts/clipfarm/values.yaml").read_text())
    assert {key for key in values if values[key] != before[key]} == {"image", "images"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["check", "0.1.0"], "0.1.0: expected a tag such as v0.2.0"),
        (["notes", "latest"], "latest: expected a tag such as v0.2.0"),
        ([], "Steps of a release"),
    ],
)
def test_a_mistake_is_answered_with_exit_code_2(clone: Path, arguments: list[str], line: str):
    done = release(clone, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(line)


def test_an_image_without_a_digest_is_refused(clone: Path):
    (clone / "images.txt").write_text("ghcr.io/someone/clipfarm-render:0.1.0\n")
    assert release(clone, "chart", str(clone / "images.txt")).returncode == 2
