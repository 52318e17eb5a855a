"""Which program tools/images builds with, and what it asks of the cluster that it loads into."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(__file__).parents[3] / "tools" / "images"

DOCKER = """#!/bin/sh
case "$1" in
    info) exit {daemon} ;;
    buildx) exit {buildx} ;;
    version) echo {version} ;;
    build) echo "docker $DOCKER_BUILDKIT $*" ;;
    save) echo "$4 by docker" >"$3" ;;
    run) printf '%s\n' '{inside}' ;;
esac
"""
INSIDE = {
    "locked": {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "metadata": {"tools": [{"name": "uv"}], "component": {"bom-ref": "clipfarm-1@0.1.0", "name": "clipfarm"}},
        "components": [{"bom-ref": "click-2@8.5.1", "name": "click"}],
        "dependencies": [{"ref": "clipfarm-1@0.1.0", "dependsOn": ["click-2@8.5.1"]}, {"ref": "click-2@8.5.1"}],
    },
    "python": "3.11.16",
    "system": {"ID": "debian", "VERSION_ID": "12"},
    "dpkg": """Package: libstdc++6
Status: install ok installed
Architecture: amd64
Version: 12.2.0-14+deb12u1
Description: GNU Standard C++ Library v3
 Package: of no package

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: tar
Status: hold ok installed
Architecture: amd64
Version: 1:1.34
""",
}
"""What is printed in an image whose bill of materials is asked for."""
OTHER = """#!/bin/sh
case "$1" in
    inspect | image) echo 0123 ;;
    run) printf '%s\n' '{inside}' ;;
    *) echo "{name} $*" ;;
esac
"""
KIND = """#!/bin/sh
case "$1 $2" in
    "get clusters") echo kind; echo other ;;
    "load image-archive") echo "kind loads $(/bin/cat "$3") into $5"; echo "$3" >>"$ARCHIVES" ;;
esac
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The only folder that programs are found in."""
    (tmp_path / "python3").symlink_to(Path(sys.executable).resolve())
    return tmp_path


def docker(**how: object) -> str:
    return DOCKER.format(inside=json.dumps(INSIDE), **how)


def other(name: str) -> str:
    return OTHER.format(inside=json.dumps(INSIDE), name=name)


def install(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def build(programs: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(programs), "HOME": str(programs), **variables}
    command = [COMMAND, "--tag", "some", "--sbom", programs / "sbom", *options, "operator"]
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
    install(programs / "docker", docker(daemon=daemon, buildx=buildx, version=version))
    done = build(programs)
    if works:
        assert done.stdout.startswith(
            "docker 1 build --file operator/Dockerfile --tag docker.io/library/clipfarm-operator:some "
        )
    else:
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.strip().endswith("that works, expected one of them")


def test_what_is_there_is_used_in_the_order_docker_podman_buildah_unless_builder_says_otherwise(programs: Path):
    install(programs / "buildah", other("buildah"))
    assert build(programs).stdout.startswith("buildah build --layers --file ")
    install(programs / "podman", other("podman"))
    assert build(programs).stdout.startswith("podman build --file ")
    assert build(programs, BUILDER="buildah").stdout.startswith("buildah build --layers ")
    install(programs / "docker", docker(daemon=0, buildx=0, version="28"))
    assert build(programs).stdout.startswith("docker 1 build ")


@pytest.mark.parametrize("builder", ["podman", "buildah"])
def test_an_image_has_a_bill_of_the_packages_that_were_locked_of_python_and_of_debian(programs: Path, builder: str):
    install(programs / builder, other(builder))
    done = build(programs)
    file = programs / "sbom" / "clipfarm-operator-some.cdx.json"
    assert f"images: docker.io/library/clipfarm-operator:some has {file}\n" in done.stderr
    made = json.loads(file.read_text())
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.5")
    image = made["metadata"]["component"]
    assert (image["type"], image["name"], image["version"]) == (
        "container",
        "docker.io/library/clipfarm-operator",
        "some",
    )
    assert image["properties"] == [{"name": "clipfarm:image:id", "value": "sha256:0123"}]
    assert [each.get("purl", each["name"]) for each in made["components"]] == [
        "clipfarm",
        "click",
        "pkg:generic/python@3.11.16",
        "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12",
        "pkg:deb/debian/tar@1:1.34?arch=amd64&distro=debian-12",
    ]
    known = {each["bom-ref"] for each in [image, *made["components"]]}
    assert {each["ref"] for each in made["dependencies"]} <= known
    assert all(set(each.get("dependsOn", ())) <= known for each in made["dependencies"])
    build(programs)
    assert json.loads(file.read_text()) == made, "of the same image it is the same"


def test_an_image_that_does_not_tell_what_is_in_it_is_said_in_one_line(programs: Path):
    install(programs / "podman", OTHER.format(inside="nothing", name="podman"))
    done = build(programs)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("does not tell what is in it: found 'nothing\\n', expected JSON")


def test_another_builder_is_refused(programs: Path):
    done = build(programs, BUILDER="kaniko")
    assert (done.returncode, done.stderr.strip()) == (
        2,
        "images: BUILDER: found kaniko, expected docker, podman or buildah",
    )


def test_the_cost_is_said_before_the_first_step(programs: Path):
    install(programs / "podman", other("podman"))
    done = build(programs)
    first, *_ = done.stderr.splitlines()
    assert first.startswith("images: building operator with podman")
    assert " GB of disk" in first
    assert " minutes " in first


@pytest.mark.parametrize(("named", "cluster"), [("kind", "kind"), ("kind:other", "other")])
def test_kind_is_given_an_archive_with_the_name_that_pods_ask_for_and_nothing_of_it_is_left(
    programs: Path, named: str, cluster: str
):
    install(programs / "docker", docker(daemon=0, buildx=0, version="28.2.2"))
    install(programs / "kind", KIND)
    done = build(programs, "--load", named, ARCHIVES=str(programs / "archives"))
    assert not done.returncode, done.stderr
    assert f"kind loads docker.io/library/clipfarm-operator:some by docker into {cluster}" in done.stdout
    archive = Path((programs / "archives").read_text().strip())
    assert archive.is_relative_to(programs / ".cache" / "clipfarm" / "images")
    assert not archive.parent.exists()


@pytest.mark.parametrize(
    ("named", "line"),
    [
        ("kind:third", "--load kind: found kind other, expected third; create it: kind create cluster --name third"),
        ("k3s", "--load k3s: k3s is not on the PATH, expected it on this machine"),
        ("nodes", "--load: found 'nodes', expected node, k3s, kind, or kind:NAME"),
        ("kind:", "--load: found 'kind:', expected node, k3s, kind, or kind:NAME"),
    ],
)  # fmt: skip
def test_a_cluster_that_is_not_there_is_found_before_an_image_is_built(programs: Path, named: str, line: str):
    install(programs / "docker", docker(daemon=0, buildx=0, version="28.2.2"))
    install(programs / "kind", KIND)
    done = build(programs, "--load", named)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"images: {line}\n")


@pytest.mark.parametrize(
    ("named", "passed"), [("sm_90", "KERNELS=sm_90 "), ("sm_90,sm_120", "KERNELS=sm_90 sm_120 "),
                          ("all", "KERNELS=sm_90 sm_100 sm_120 ")],
)  # fmt: skip
def test_kernels_are_compiled_for_the_render_image_alone(programs: Path, named: str, passed: str):
    install(programs / "docker", docker(daemon=0, buildx=0, version="28.2.2"))
    done = build(programs, "--kernels", named, "render")
    assert done.returncode == 0, done.stderr
    render, operator = [line for line in done.stdout.splitlines() if " build " in line]
    assert f"--build-arg {passed}" in f"{render} "
    assert "KERNELS" not in operator


def test_images_are_built_without_kernels_unless_they_are_asked_for(programs: Path):
    install(programs / "docker", docker(daemon=0, buildx=0, version="28.2.2"))
    assert "KERNELS" not in build(programs, "render").stdout


@pytest.mark.parametrize("named", ["", "90", "sm_9x", "sm_90, sm_120", "everything"])
def test_kernels_for_no_architecture_are_refused(programs: Path, named: str):
    done = build(programs, "--kernels", named)
    assert done.returncode == 2
    assert "expected names such as sm_90,sm_120, or all" in done.stderr


@pytest.mark.parametrize("named", ["podman", "/nowhere/docker"])
def test_a_builder_that_is_named_and_not_there_is_said_in_one_line(programs: Path, named: str):
    done = build(programs, BUILDER=named)
    expected = f"images: BUILDER: found {named}, which is not there or cannot be run; install it, or name another\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


def test_a_program_of_another_machine_is_said_in_one_line(programs: Path):
    install(programs / "podman", "no program")
    done = build(programs)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "images: podman: cannot be run: Exec format error"


def test_a_cache_that_cannot_be_written_is_said_in_one_line(programs: Path):
    script = """
import sys; from pathlib import Path; from container_images import builders, cli
def run(*_): builders.Builder("buildah", Path("cache/images")).environment()
cli._run = run
sys.argv = ["tools/images"]
sys.exit(cli.main())
"""
    (programs / "cache").touch()
    environment = {"PATH": str(programs), "PYTHONPATH": str(COMMAND.parent)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=programs, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "images: cache/images: Not a directory\n")


@pytest.mark.parametrize(
    ("tar", "import_", "said", "removed"),
    [
        (0, 0, "", ""),
        (0, 3, "images: docker import ended with 3: no space\n", ""),
        (2, 0, "images: tar ended with 2 while it read folder\n", "base\n"),
    ],
)
def test_a_base_is_imported_whole_or_not_at_all(programs: Path, tar: int, import_: int, said: str, removed: str):
    install(programs / "tar", f"#!/bin/sh\necho archive\nexit {tar}\n")
    install(
        programs / "docker",
        f"""#!/bin/sh
case "$1" in
    import) /bin/cat >/dev/null; [ {import_} = 0 ] || echo "no space" >&2; exit {import_} ;;
    rmi) echo "$2" >>"$HOME/removed" ;;
esac
""",
    )
    script = """
import sys; from pathlib import Path; from container_images import builders, errors
try: builders.Builder("docker").add_base(Path("folder"), "base")
except errors.ImagesError as error: errors.say(str(error))
"""
    environment = {"PATH": str(programs), "HOME": str(programs), "PYTHONPATH": str(COMMAND.parent)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, said)
    gone = programs / "removed"
    assert (gone.read_text() if gone.exists() else "") == removed
