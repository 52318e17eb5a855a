"""tools/release: a tag is published only if every version and the changelog agree, and the chart names its images."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from helpers.chart import ROOT

DIGEST = "sha256:" + "0123456789abcdef" * 4
NAMES = [f"ghcr.io/someone/clipfarm/clipfarm-{image}" for image in ("operator", "render", "encode", "export")]
TAGGED = [
    "charts/clipfarm/values.yaml", "docs/install.md", "examples/own-renderer/README.md",
    "operator/Dockerfile", "images/render/Dockerfile", "images/encode/Dockerfile",
    "images/export/Dockerfile",
]  # fmt: skip


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what the tool reads."""
    found = [*ROOT.glob("pyproject.toml"), *ROOT.glob("*/pyproject.toml"), *ROOT.glob("images/*/pyproject.toml")]
    for path in [
        *found,
        *map(ROOT.joinpath, ("tools/release", "charts/clipfarm/Chart.yaml", "uv.lock", *TAGGED)),
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


def set_version(clone: Path, version: str, locked: str) -> None:
    """Write a version everywhere, and into the lock file as uv writes it."""
    for path in clone.rglob("*"):
        if path.is_file() and path.name not in ("release", "uv.lock"):
            path.write_text(path.read_text().replace("0.1.0", version))
    lock = clone / "uv.lock"
    lock.write_text(
        re.sub(r'^(name = "clipfarm.*"\nversion) = "0.1.0"$', rf'\1 = "{locked}"', lock.read_text(), flags=re.M)
    )


@pytest.mark.parametrize(("version", "locked"), [("0.2.0", "0.2.0"), ("0.2.0-rc.1", "0.2.0rc1")])
def test_a_version_that_is_set_everywhere_passes(clone: Path, version: str, locked: str):
    set_version(clone, version, locked)
    done = release(clone, "check", f"v{version}")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_lock_file_with_the_former_version_is_named_for_each_package(clone: Path):
    set_version(clone, "0.2.0", "0.1.0")
    done = release(clone, "check", "v0.2.0")
    assert done.returncode == 1
    names = ("-workspace", "-contract", "", "-simulation", "-test-helpers", "-encode", "-render", "-export")
    lines = {f"uv.lock: found clipfarm{name} 0.1.0, expected 0.2.0; run uv lock" for name in names}
    assert set(done.stderr.splitlines()) == lines


@pytest.mark.parametrize("name", TAGGED)
def test_a_tag_of_the_former_version_is_named_with_its_line(clone: Path, name: str):
    before = (clone / name).read_text()
    set_version(clone, "0.2.0", "0.2.0")
    (clone / name).write_text(before)
    done = release(clone, "check", "v0.2.0")
    assert done.returncode == 1
    lines = [number for number, line in enumerate(before.splitlines(), start=1) if "0.1.0" in line]
    assert lines
    expected = [f"{name}:{number}: found tag 0.1.0, expected 0.2.0" for number in lines]
    assert sorted(set(done.stderr.splitlines())) == sorted(expected)


def test_the_notes_are_the_changelogs_section(clone: Path):
    assert release(clone, "notes", "v0.1.0").stdout == "- All of it.\n"
    assert release(clone, "notes", "v0.3.0").returncode == 1


def test_the_chart_names_each_image_by_its_digest(clone: Path):
    (clone / "images.txt").write_text("".join(f"{name}@{DIGEST}\n" for name in NAMES))
    assert release(clone, "chart", str(clone / "images.txt")).returncode == 0
    values = yaml.safe_load((clone / "charts/clipfarm/values.yaml").read_text())
    found = [values["image"], *(values["images"][name] for name in ("render", "encode", "export"))]
    assert [(each["repository"], each["digest"]) for each in found] == [(name, DIGEST) for name in NAMES]
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


@pytest.mark.parametrize(
    ("references", "line"),
    [
        (
            [f"{NAMES[0]}:0.1.0", *NAMES[1:]],
            "found clipfarm-encode, clipfarm-export, clipfarm-operator:0.1.0, clipfarm-render, expected",
        ),
        ([f"{NAMES[0]}@sha256:12", *(f"{name}@{DIGEST}" for name in NAMES[1:])], f"{NAMES[0]}@sha256:12: expected"),
        (NAMES, f"{NAMES[0]}: expected REPOSITORY@sha256:DIGEST"),
        ([f"{name}@{DIGEST}" for name in NAMES[:2]], "found clipfarm-operator, clipfarm-render, expected each once: "),
        ([f"{NAMES[0]}@{DIGEST}"] * 3, "found clipfarm-operator, clipfarm-operator, clipfarm-operator, expected"),
        (
            [],
            "found no image, expected each once: clipfarm-encode, clipfarm-export, clipfarm-operator, clipfarm-render",
        ),
        (
            [f"{name.removeprefix('ghcr.io/')}@{DIGEST}" for name in NAMES],
            f"someone/clipfarm/clipfarm-operator@{DIGEST}: found no registry",
        ),
        ([f"{name.rpartition('/')[2]}@{DIGEST}" for name in NAMES], f"clipfarm-operator@{DIGEST}: found no registry"),
    ],
)
def test_references_that_the_chart_cannot_name_are_refused(clone: Path, references: list[str], line: str):
    (clone / "images.txt").write_text("\n".join(references))
    values = clone / "charts/clipfarm/values.yaml"
    before = values.read_text()
    done = release(clone, "chart", str(clone / "images.txt"))
    assert done.returncode == 2
    assert done.stderr.startswith(line)
    assert values.read_text() == before
