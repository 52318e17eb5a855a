"""The programs that build images, one function for what differs between them."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from container_images.errors import ImagesError, UsageError, is_there, run, show

ROOT = Path(__file__).resolve().parents[2]
CACHES = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
CACHE = CACHES / "clipfarm" / "images"
KINDS = ("docker", "podman", "buildah")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Builder:
    """One of docker, podman and buildah."""

    program: str
    """Its name, or its path."""
    storage: Path | None = None
    """Where buildah keeps its layers; None for the place that it and others share by default."""

    @property
    def kind(self) -> str:
        """Docker, podman or buildah."""
        return Path(self.program).name

    def build(self, name: str, dockerfile: Path, arguments: dict[str, str], options: list[str]) -> None:
        """Build one image from the repository's root; ``options`` are the builder's own."""
        command = [self.program, "build", *(["--layers"] if self.kind == "buildah" else []), *options]
        given = [part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")]
        show([*command, "--file", dockerfile, "--tag", name, *given, *self._shared(), "."], self.environment(), ROOT)

    def identity(self, name: str) -> str:
        """Return an image's ID, ``sha256:...``; empty where there is no image of this name."""
        command = ["inspect", "--type", "image", "--format", "{{.FromImageID}}"]
        if self.kind != "buildah":
            command = ["image", "inspect", "--format", "{{.Id}}"]
        done = subprocess.run(
            [self.program, *command, name], env=self.environment(), capture_output=True, text=True, check=False
        )
        found = done.stdout.strip().removeprefix("sha256:")
        return f"sha256:{found}" if done.returncode == 0 and found else ""

    def python(self, name: str, script: str) -> str:
        """Run a script with an image's own Python, without a network, and return what it prints."""
        if self.kind != "buildah":
            options = ["--rm", "--network", "none", "--entrypoint", "python3.11"]
            return run([self.program, "run", *options, name, "-c", script])
        container = run([self.program, "from", "--pull-never", name], self.environment()).strip()
        try:
            return run([self.program, "run", container, "--", "python3.11", "-c", script], self.environment())
        finally:
            run([self.program, "rm", container], self.environment())

    def add_base(self, folder: Path, name: str) -> None:
        """Make an image of a folder that holds a whole system with Python."""
        if self.kind == "buildah":
            container = run([self.program, "from", "scratch"], self.environment()).strip()
            run([self.program, "add", "--quiet", container, folder, "/"], self.environment())
            run([self.program, "config", "--cmd", "python3", container], self.environment())
            run([self.program, "commit", "--quiet", "--rm", container, name], self.environment())
            return
        command = [self.program, "import", "--change", 'CMD ["python3"]', "-", name]
        with (
            subprocess.Popen(["tar", "--create", "--directory", folder, "."], stdout=subprocess.PIPE) as archive,
            subprocess.Popen(command, stdin=archive.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as made,
        ):
            assert archive.stdout is not None
            # The builder alone has the other end now: should it end early, tar does, too.
            archive.stdout.close()
            _, errors = made.communicate()
        if made.returncode:
            said = errors.decode(errors="replace").strip()[-2000:]
            raise ImagesError(f"{self.program} import ended with {made.returncode}: {said}")
        if archive.returncode:
            # The builder took what came for the whole, and the next command would take it for the base.
            run([self.program, "rmi", name], self.environment())
            raise ImagesError(f"tar ended with {archive.returncode} while it read {folder}")

    def save(self, name: str, file: Path) -> None:
        """Write one image into an archive as ``docker save`` does."""
        if self.kind == "buildah":
            run([self.program, "push", "--quiet", name, f"docker-archive:{file}:{name}"], self.environment())
        else:
            run([self.program, "save", "--output", file, name])

    def stream(self, name: str) -> "subprocess.Popen[bytes]":
        """Start to write such an archive to a pipe."""
        command = [self.program, "save", name]
        if self.kind == "buildah":
            command = [self.program, "push", "--quiet", name, f"docker-archive:/dev/stdout:{name}"]
        return subprocess.Popen(command, env=self.environment(), stdout=subprocess.PIPE)

    def environment(self) -> dict[str, str]:
        """What the program needs to know of how it is used here."""
        if self.kind == "docker":
            return os.environ | {"DOCKER_BUILDKIT": "1"}
        if self.kind == "podman":
            return dict(os.environ)
        # The steps are our own, and chroot works where buildah's own isolation lacks rights, as inside a container.
        made = {"BUILDAH_ISOLATION": os.environ.get("BUILDAH_ISOLATION", "chroot")}
        if self.storage is not None:
            self.storage.mkdir(parents=True, exist_ok=True)
            settings = self.storage / "storage.conf"
            paths = f'graphroot = "{self.storage}/storage"\nrunroot = "/run/clipfarm-images"\n'
            settings.write_text(f'[storage]\ndriver = "overlay"\n{paths}')
            made["CONTAINERS_STORAGE_CONF"] = str(settings)
            # Cache mounts are kept there, and would be left in /var/tmp.
            temporary = self.storage / "tmp"
            temporary.mkdir(exist_ok=True)
            made["TMPDIR"] = str(temporary)
        return os.environ | made

    def _shared(self) -> list[str]:
        """What the steps share with this machine: the certificates that it trusts, and what uv has downloaded."""
        # Debian's own file: elsewhere it is missing, or a link to something that an image does not have. BuildKit, with
        # which docker builds, can share neither.
        if self.kind == "docker" or not CERTIFICATES.is_file() or CERTIFICATES.is_symlink():
            return []
        downloads = CACHES / "uv"
        downloads.mkdir(parents=True, exist_ok=True)
        folder = CERTIFICATES.parent
        return ["--volume", f"{folder}:{folder}:ro", "--volume", f"{downloads}:/uv", "--build-arg", "UV_CACHE_DIR=/uv"]


def choose(named: str | None, storage: Path | None) -> Builder:
    """Return the builder that BUILDER names, or the first one that works here.

    Raises:
        UsageError: there is none.
    """
    program = named or next(filter(_works, KINDS), None)
    if program is None:
        raise UsageError(
            "found no docker (with its daemon and buildx), podman or buildah that works, expected one of them"
        )
    if Path(program).name not in KINDS:
        raise UsageError(f"BUILDER: found {program}, expected docker, podman or buildah")
    if not is_there(program):
        raise UsageError(f"BUILDER: found {program}, which is not there or cannot be run; install it, or name another")
    return Builder(program, storage if Path(program).name == "buildah" else None)


def _works(program: str) -> bool:
    # A docker command alone builds nothing: it needs its daemon, and BuildKit for the cache mounts of the Dockerfiles,
    # which is in buildx, and before version 23 in docker itself.
    if not is_there(program):
        return False
    return program != "docker" or (_succeeds("info") and (_succeeds("buildx", "version") or _is_before_23()))


def _succeeds(*arguments: str) -> bool:
    return subprocess.run(["docker", *arguments], capture_output=True, check=False).returncode == 0


def _is_before_23() -> bool:
    done = subprocess.run(
        ["docker", "version", "--format", "{{.Client.Version}}"], capture_output=True, text=True, check=False
    )
    major = done.stdout.strip().partition(".")[0]
    return done.returncode == 0 and major.isdecimal() and int(major) < 23
