"""The command: what is built, from which base, and where it goes."""

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from container_images import base, layers, pinned, sbom
from container_images.builders import CACHE, ROOT, Builder, choose
from container_images.errors import ImagesError, is_there, say
from container_images.targets import Node, Target, target

IMAGES = tuple(layers.FOLDERS)
ALL_KERNELS = ("sm_90", "sm_100", "sm_120")
"""H100 and H200; B200; RTX 50 and RTX PRO Blackwell."""
DESCRIPTION = """\
Builds clipfarm's container images with docker, podman or buildah, whichever is there (BUILDER names another), and
loads them into a cluster that has no registry.
"""
EXAMPLES = """\
tools/images                                    four images, to push to a registry
tools/images --base debootstrap --load node     nothing from Docker Hub; into tools/cluster's node
tools/images --load kind                        into a cluster of kind's
tools/images --kernels sm_90                    the renderer has kernels for H100 and H200
tools/images encode -- --no-cache               one image; what follows -- is for the builder
tools/images --pin                              builds nothing; pins the base image by its digest of today
"""


def main() -> int:
    """Run the command; 2 where the caller has to change something, 1 where a step failed."""
    arguments, options = _arguments()
    try:
        _run(arguments, options)
    except ImagesError as failure:
        say(str(failure))
        return failure.status
    except OSError as failure:  # a cache that cannot be written, a disk that is full
        say(f"{failure.filename}: {failure.strerror}" if failure.filename else str(failure))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(
        "tools/images",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        usage="%(prog)s [--tag TAG] [--base IMAGE] [--kernels NAMES] [--load CLUSTER] [--sbom FOLDER]"
        " [operator|render|encode|export ...] [-- OPTION ...]",
        formatter_class=argparse.RawTextHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--tag", help="in place of the version")
    parser.add_argument(
        "--base",
        metavar="IMAGE",
        help="base image, in place of Docker Hub's python:3.11-slim-bookworm, which is pinned by its digest;\n"
        "debootstrap: a minimal Debian that is made here from Debian's packages (root)",
    )
    parser.add_argument(
        "--kernels",
        metavar="NAMES",
        type=_architectures,
        help="GPUs newer than Blender's kernels (sm_89) that the render image supports, as sm_90,sm_100,sm_120;\n"
        "all: these three. Nine minutes of one core each, once for each version of Blender",
    )
    parser.add_argument(
        "--load", metavar="CLUSTER", help="node (tools/cluster's), k3s (of this machine), kind, or kind:NAME"
    )
    parser.add_argument(
        "--sbom", metavar="FOLDER", type=Path, help="where the images' bills of materials are written; build/sbom"
    )
    parser.add_argument(
        "--pin", action="store_true", help="pin the base image in the Dockerfiles by its digest of now, and end"
    )
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="operator, render, encode or export; all by default")
    given = sys.argv[1:]
    own = given[: given.index("--")] if "--" in given else given
    found = parser.parse_args(own)
    if unknown := [name for name in found.images if name not in IMAGES]:
        parser.error(f"found {unknown[0]!r}, expected operator, render, encode or export")
    return found, given[len(own) + 1 :]


def _architectures(text: str) -> str:
    """Return names of architectures as the Dockerfile takes them."""
    names = ALL_KERNELS if text == "all" else text.split(",")
    for name in names:
        if not re.fullmatch(r"sm_\d{2,3}", name):
            raise argparse.ArgumentTypeError(f"found {name!r}, expected names such as sm_90,sm_120, or all")
    return " ".join(names)


def _run(arguments: argparse.Namespace, options: list[str]) -> None:
    if arguments.pin:
        say(f"the images are built on {pinned.refresh()}")
        return
    into = target(arguments.load) if arguments.load is not None else None
    named, storage = os.environ.get("BUILDER"), None
    if isinstance(into, Node):
        # Images for the node lie beside all else of it, in one folder that can be removed; only buildah can do that.
        named, storage = named or ("buildah" if is_there("buildah") else None), CACHE
    builder = choose(named, storage)
    if arguments.base == "debootstrap":
        base.check()
    if into is not None:
        into.check()
    version = _version()
    names = {
        image: f"docker.io/library/clipfarm-{image}:{arguments.tag or version}" for image in arguments.images or IMAGES
    }
    say(_announcement(builder, names, into))
    begun = time.monotonic()
    with _alone(builder):
        layers.tidy(builder)
        given = {"VERSION": version, "REVISION": _revision()}
        if arguments.base is not None:
            given["BASE_IMAGE"] = base.ensure(builder) if arguments.base == "debootstrap" else arguments.base
        for image, name in names.items():
            # A commit that changes nothing of an image is no reason to build it.
            own = {"KERNELS": arguments.kernels} if image == "render" and arguments.kernels else {}
            settings = [version, given.get("BASE_IMAGE", ""), *own.values()]
            if not options and layers.is_built(builder, image, name, settings):
                say(f"{name} is built")
            else:
                say(f"building {name}")
                builder.build(name, Path(layers.FOLDERS[image]) / "Dockerfile", given | own, options)
                layers.record(builder, image, name, settings + options)
            say(f"{name} has {sbom.write(builder, name, arguments.sbom or ROOT / sbom.FOLDER)}")
            if into is not None:
                say(f"loading {name} into {into.title}")
                if not into.load(builder, name):
                    say(f"{name} is there")
    say(f"done in {_minutes(time.monotonic() - begun)}")


def _announcement(builder: Builder, names: Iterable[str], into: Target | None) -> str:
    where = f", and loading into {into.title}" if into is not None else ""
    # Measured with buildah, all images; the encoder's is three quarters of it.
    space = "12 GB of disk, and 19 GB while it builds" if into is None else "24 GB of disk, half of it on the node"
    return (
        f"building {', '.join(names)} with {builder.kind}{where}; the first time all of them take about 10 minutes on"
        f" two cores and {space}"
    )


@contextmanager
def _alone(builder: Builder) -> Iterator[None]:
    """Let one command at a time change layers that only this tool uses."""
    if builder.storage is None:
        yield
        return
    builder.storage.mkdir(parents=True, exist_ok=True)
    with (builder.storage / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another command is building; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _version() -> str:
    found = re.search(r'^version = "(.*)"', (ROOT / "operator" / "pyproject.toml").read_text(), re.M)
    assert found, "operator/pyproject.toml names a version"
    return found[1]


def _revision() -> str:
    """Return the commit that is checked out; nothing where this is no clone."""
    if shutil.which("git") is None:
        return ""
    done = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
