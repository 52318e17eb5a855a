"""Which program tools/images builds with: one that is there, and that can."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

COMMAND = Path(__file__).parents[3] / "tools" / "images"

DOCKER = """#!/bin/sh
case "$1" in
    info) exit {daemon} ;;
    buildx) exit {buildx} ;;
    version) echo {version} ;;
    build) echo "docker $DOCKER_BUILDKIT $*" ;;
esac
"""
OTHER = '#!/bin/sh\necho "{name} $*"\n'


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The only folder that programs are found in."""
    for name in ("bash", "sh", "sed", "git", "basename", "dirname"):
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    return tmp_path


def install(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def build(programs: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(programs), "HOME": os.environ["HOME"], **variables}
    command = [COMMAND, "--tag", "some", "operator"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("daemon", "buildx", "version", "works"),
    [
        (0, 0, "28.2.2", True),
        (0, 0, "20.10.24", True),
        # BuildKit was in docker itself.
        (0, 1, "20.10.24+dfsg1", True),
        (0, 1, "23.0.0", False),
        (0, 1, "28.2.2", False),
        (0, 1, "", False),
        (1, 0, "28.2.2", False),
        (1, 1, "20.10.24", False),
    ],
)
def test_a_docker_is_used_that_has_its_daemon_and_buildkit(
    programs: Path, daemon: int, buildx: int, version: str, works: bool
):
    install(programs / "docker", DOCKER.format(daemon=daemon, buildx=buildx, version=version))
    done = build(programs)
    if works:
        assert done.stdout.startswith("docker 1 build --file operator/Dockerfile --tag clipfarm-operator:some ")
    else:
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.strip().endswith("that works, expected one of them")


def test_what_is_there_is_used_in_the_order_docker_podman_buildah_unless_builder_says_otherwise(programs: Path):
    install(programs / "buildah", OTHER.format(name="buildah"))
    assert build(programs).stdout.startswith("buildah build --layers --file ")
    install(programs / "podman", OTHER.format(name="podman"))
    assert build(programs).stdout.startswith("podman build --file ")
    assert build(programs, BUILDER="buildah").stdout.startswith("buildah build --layers ")
    install(programs / "docker", DOCKER.format(daemon=0, buildx=0, version="28"))
    assert build(programs).stdout.startswith("docker 1 build ")


def test_another_builder_is_refused(programs: Path):
    done = build(programs, BUILDER="kaniko")
    assert (done.returncode, done.stderr.strip()) == (
        2,
        "images: BUILDER: found kaniko, expected docker, podman or buildah",
    )
