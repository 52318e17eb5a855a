"""Clipfarm's three images, built with buildah from a Debian of debootstrap's, and handed to a node's containerd.

All of it is kept outside the tree, by content: an image whose Dockerfile, lock file and sources have not changed is not
built again, and a layer that containerd has is not copied again.
"""

import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipfarm" / "images"
SOCKET = Path("/run/clipfarm-node/containerd.sock")
NEEDED = ("buildah", "debootstrap", "ctr")

RELEASE = "bookworm"
BASE_PACKAGES = "python3,python3-venv,ca-certificates"
CERTIFICATES = Path("/etc/ssl/certs")
"""Those that this machine trusts: it may reach the registries through something of its own."""
COMMON = (".dockerignore", "LICENSE", "pyproject.toml", "uv.lock", "images/contract")
SOURCES = {"operator": "operator", "render": "images/render", "encode": "images/encode"}
Object = dict[str, object]


class MissingError(Exception):
    """A program that images are built with is not installed."""


@dataclass(frozen=True)
class Image:
    """One of clipfarm's images."""

    name: str
    """operator, render or encode."""

    @cached_property
    def tag(self) -> str:
        """What the image is made of, as a hash."""
        digest = hashlib.sha256(f"{RELEASE} {BASE_PACKAGES}".encode())
        metadata = (path for folder in SOURCES.values() for path in (ROOT / folder).glob("pyproject.toml"))
        files = {*metadata, *(file for part in (*COMMON, SOURCES[self.name]) for file in _files(ROOT / part))}
        for file in sorted(files):
            digest.update(f"{file.relative_to(ROOT)}\0{file.stat().st_size}\0".encode() + file.read_bytes())
        return digest.hexdigest()[:16]

    @property
    def reference(self) -> str:
        """The name by which pods ask for it."""
        return f"localhost/clipfarm-{self.name}:{self.tag}"


def ensure(images: list[Image]) -> None:
    """Build what is not there yet, and import it; a second time this takes no time.

    Raises:
        MissingError: a program is missing.
    """
    absent = [image for image in images if image.reference not in imported()]
    if not absent:
        return
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        raise MissingError(f"{missing[0]} is missing: install the packages buildah, debootstrap and containerd")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _tidy()
        base = _base()
        for image in absent:
            _build(image, base)
            hand_over(image.reference)


def hand_over(reference: str) -> None:
    """Give containerd an image that buildah has."""
    copy = _folder(reference)
    _copy(reference, copy)
    have = set(ctr("content", "list", "--quiet").split())
    if any(digest not in have and _is_hollow(copy / digest[7:]) for digest, _ in _blobs(copy)):
        # containerd was emptied meanwhile.
        shutil.rmtree(copy)
        _copy(reference, copy)
    _import(copy, reference, have)
    for old in imported():
        if old.partition(":")[0] == reference.partition(":")[0] and old != reference:
            ctr("images", "remove", old)
    # What containerd has need not be here a second time. A hole of the same size has buildah leave it out next time.
    for digest, size in _blobs(copy):
        file = copy / digest[7:]
        os.truncate(file, 0)
        os.truncate(file, size)


def stored(reference: str) -> list[str]:
    """Hashes of what containerd keeps of the image that was handed over last."""
    return [digest.removeprefix("sha256:") for digest, _ in _blobs(_folder(reference))]


def buildah(*arguments: object, data: bytes | None = None) -> str:
    """Run buildah with storage of its own, and return what it prints."""
    CACHE.mkdir(parents=True, exist_ok=True)
    settings = CACHE / "storage.conf"
    settings.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{CACHE}/storage"\nrunroot = "/run/clipfarm-images"\n'
    )
    environment = os.environ | {
        "CONTAINERS_STORAGE_CONF": str(settings),
        # There is no container engine here that a build's steps could be isolated by, and they are our own.
        "BUILDAH_ISOLATION": "chroot",
        "BUILDER": shutil.which("buildah") or "",
    }
    return _run([*map(str, arguments)], environment, data)


def _tidy() -> None:
    """Remove what a killed build left and, where the lock file has changed, layers that nobody needs again."""
    buildah("buildah", "rm", "--all")
    recipes = hashlib.sha256((ROOT / "uv.lock").read_bytes())
    for folder in SOURCES.values():
        recipes.update((ROOT / folder / "Dockerfile").read_bytes())
    stamp = CACHE / "recipes"
    if stamp.exists() and stamp.read_text() != recipes.hexdigest():
        buildah("buildah", "rmi", "--prune")
    stamp.write_text(recipes.hexdigest())


def _remove_older(image: Image) -> None:
    names = buildah("buildah", "images", "--format", "{{.Name}}:{{.Tag}}").split()
    older = [name for name in names if name.startswith(f"localhost/clipfarm-{image.name}:") and name != image.reference]
    if older:
        buildah("buildah", "rmi", *older)


def _build(image: Image, base: str) -> None:
    uv = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv"
    uv.mkdir(parents=True, exist_ok=True)
    options = [
        "--volume",
        f"{CERTIFICATES}:{CERTIFICATES}:ro",
        "--volume",
        f"{uv}:/uv",
        "--build-arg",
        "UV_CACHE_DIR=/uv",
    ]
    print(f"images: building {image.reference}", flush=True)
    buildah(ROOT / "tools" / "images", "--tag", image.tag, "--base", base, image.name, "--", "--quiet", *options)
    _remove_older(image)


def _base() -> str:
    """Return a Debian with Python, of the release that the Dockerfiles' own base image has."""
    name = f"localhost/clipfarm-base:{hashlib.sha256(f'{RELEASE} {BASE_PACKAGES}'.encode()).hexdigest()[:16]}"
    if name in buildah("buildah", "images", "--format", "{{.Name}}:{{.Tag}}").split():
        return name
    print(f"images: making {name} with debootstrap", flush=True)
    folder = CACHE / "debian"
    shutil.rmtree(folder, ignore_errors=True)
    _run(["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", RELEASE, str(folder)], dict(os.environ))
    for leftover in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(folder / leftover)
        (folder / leftover / "partial").mkdir(parents=True)
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY . /\nCMD ["python3"]\n')
    (folder / ".dockerignore").write_text("Dockerfile\n.dockerignore\n")
    buildah("buildah", "build", "--quiet", "--tag", name, folder)
    shutil.rmtree(folder)
    return name


def _folder(reference: str) -> Path:
    return CACHE / "copies" / reference.rpartition("/")[2].partition(":")[0]


def _copy(reference: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    buildah("buildah", "push", "--quiet", "--disable-compression", reference, f"dir:{folder}")


def _import(copy: Path, reference: str, have: set[str]) -> None:
    """Stream an OCI archive to containerd, without the blobs that it has."""
    manifest = (copy / "manifest.json").read_bytes()
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    entry = {
        "mediaType": json.loads(manifest)["mediaType"],
        "digest": digest,
        "size": len(manifest),
        "annotations": {"io.containerd.image.name": reference},
    }
    small = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(),
        f"blobs/sha256/{digest[7:]}": manifest,
    }
    command = [*_CTR, "images", "import", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        with tarfile.open(fileobj=process.stdin, mode="w|") as archive:
            for name, content in small.items():
                archive.addfile(_member(name, len(content)), io.BytesIO(content))
            for blob, size in _blobs(copy):
                if blob not in have:
                    with (copy / blob[7:]).open("rb") as file:
                        archive.addfile(_member(f"blobs/sha256/{blob[7:]}", size), file)
        _, errors = process.communicate()
    assert not process.returncode, errors.decode()


def _blobs(copy: Path) -> list[tuple[str, int]]:
    manifest = json.loads((copy / "manifest.json").read_text())
    return [(blob["digest"], blob["size"]) for blob in (manifest["config"], *manifest["layers"])]


def _is_hollow(file: Path) -> bool:
    status = file.stat()
    return status.st_blocks == 0 and status.st_size > 0


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]


_CTR = ("ctr", "--address", str(SOCKET), "--namespace", "k8s.io")


def imported() -> list[str]:
    """Names of containerd's images; each has its hash as a second one."""
    return ctr("images", "list", "--quiet").split()


def ctr(*arguments: str, data: bytes | None = None) -> str:
    """Run a command of containerd's client, and return what it prints."""
    return _run([*_CTR, *arguments], dict(os.environ), data)


def _run(command: list[str], environment: dict[str, str], data: bytes | None = None) -> str:
    done = subprocess.run(command, input=data, env=environment, capture_output=True, check=False)
    assert not done.returncode, f"{' '.join(command)}: {done.stderr.decode(errors='replace')[-3000:]}"
    return done.stdout.decode()
