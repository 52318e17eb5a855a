"""What is kept from one build to the next, where buildah's layers are this tool's own."""

import hashlib
from pathlib import Path

from container_images.builders import ROOT, Builder
from container_images.errors import run

FOLDERS = {
    "operator": "operator",
    "render": "images/render",
    "encode": "images/encode",
    "export": "images/export",
}
"""Where each image's Dockerfile is, and its own package but the exporter's."""
COMMON = (".dockerignore", "LICENSE", "pyproject.toml", "uv.lock", "contract")
FURTHER = {"export": ("export",)}
"""What only some are built from."""
"""What every image is built from, beside its own folder and what the packages say of themselves."""


def tidy(builder: Builder) -> None:
    """Remove what a killed build left and, after a change of the lock file or a Dockerfile, layers of no image."""
    if builder.storage is None:
        return
    run([builder.program, "rm", "--all"], builder.environment())
    recipes = [ROOT / "uv.lock", *(ROOT / folder / "Dockerfile" for folder in FOLDERS.values())]
    found = hashlib.sha256(b"".join(path.read_bytes() for path in recipes)).hexdigest()
    stamp = builder.storage / "recipes"
    if stamp.exists() and stamp.read_text() != found:
        run([builder.program, "rmi", "--prune"], builder.environment())
    stamp.write_text(found)


def is_built(builder: Builder, image: str, name: str, settings: list[str]) -> bool:
    """Whether the image that is there was built from just these files, with these settings.

    The builder would find out, too, but it reads gigabytes of layers for that.
    """
    stamp = _stamp(builder, name)
    return stamp is not None and stamp.exists() and stamp.read_text() == _made_of(builder, image, name, settings)


def record(builder: Builder, image: str, name: str, settings: list[str]) -> None:
    """Remember what an image was built from."""
    stamp = _stamp(builder, name)
    if stamp is not None:
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(_made_of(builder, image, name, settings))


def _stamp(builder: Builder, name: str) -> Path | None:
    return builder.storage / "built" / name.rpartition("/")[2] if builder.storage is not None else None


def _made_of(builder: Builder, image: str, name: str, settings: list[str]) -> str:
    """Return hashes of the image itself and of all that decides what is in it."""
    digest = hashlib.sha256("\0".join(settings).encode())
    packages = (path for folder in FOLDERS.values() if (path := ROOT / folder / "pyproject.toml").exists())
    parts = (*COMMON, FOLDERS[image], *FURTHER.get(image, ()))
    files = {*packages, *(file for part in parts for file in _files(ROOT / part))}
    for file in sorted(files):
        digest.update(f"{file.relative_to(ROOT)}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return f"{builder.identity(name)} {digest.hexdigest()}"


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
