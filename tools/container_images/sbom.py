"""A bill of materials for each image, in CycloneDX's form: its Python packages, Python itself, and Debian's packages.

While an image is built, ``uv export`` writes the first part into it, from the lock file. The rest is read from the
image.
"""

import json
import uuid
from pathlib import Path
from typing import Any

from container_images.builders import Builder
from container_images.errors import ImagesError

FOLDER = Path("build") / "sbom"
"""Where they are written unless ``--sbom`` says otherwise, from the repository's root."""
READ = """
import json, pathlib, platform
print(json.dumps({
    "locked": json.loads(pathlib.Path("/opt/clipfarm/sbom.cdx.json").read_text()),
    "python": platform.python_version(),
    "system": platform.freedesktop_os_release(),
    "dpkg": pathlib.Path("/var/lib/dpkg/status").read_text(),
}))
"""
"""What runs in the image, with its own Python, and prints what the bill is made of."""


def write(builder: Builder, name: str, folder: Path) -> Path:
    """Write an image's bill of materials, and return the file.

    Raises:
        ImagesError: the image does not tell what is in it.
    """
    found = builder.python(name, READ)
    try:
        made = bill(name, builder.identity(name), json.loads(found))
    except (ValueError, KeyError, TypeError):
        raise ImagesError(f"{name} does not tell what is in it: found {found[:200]!r}, expected JSON") from None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.rpartition('/')[2].replace(':', '-')}.cdx.json"
    path.write_text(json.dumps(made, indent=2) + "\n")
    return path


def bill(name: str, identity: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return a bill of materials that says the same whenever it is made of the same image.

    Args:
        name: the image's, with its tag.
        identity: the hash of its configuration, ``sha256:...``.
        found: what ``READ`` prints.
    """
    locked, system = found["locked"], found["system"]
    repository, _, version = name.rpartition(":")
    own = locked["metadata"]["component"]
    image = {
        "type": "container",
        "bom-ref": name,
        "name": repository,
        "version": version,
        "properties": [{"name": "clipfarm:image:id", "value": identity}],
    }
    others = [_python(found["python"]), *_debian(found["dpkg"], system["ID"], system["VERSION_ID"])]
    return {
        "bomFormat": locked["bomFormat"],
        "specVersion": locked["specVersion"],
        "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, f'{name} {identity}')}",
        "metadata": {"tools": locked["metadata"]["tools"], "component": image},
        "components": [own, *locked["components"], *others],
        "dependencies": [
            {"ref": name, "dependsOn": [own["bom-ref"], *(each["bom-ref"] for each in others)]},
            *locked["dependencies"],
        ],
    }


def _python(version: str) -> dict[str, Any]:
    purl = f"pkg:generic/python@{version}"
    return {"type": "application", "bom-ref": purl, "name": "python", "version": version, "purl": purl}


def _debian(status: str, system: str, release: str) -> list[dict[str, Any]]:
    """Return Debian's packages that are installed, from the text of dpkg's file of their states."""
    made = []
    for paragraph in status.split("\n\n"):
        lines = (line.partition(": ") for line in paragraph.splitlines() if not line.startswith((" ", "\t")))
        fields = {key: value for key, _, value in lines}
        if not fields.get("Status", "").endswith(" installed"):
            continue
        name, version, architecture = fields["Package"], fields["Version"], fields["Architecture"]
        # Of the characters in names and versions of Debian's, a package URL takes all but this one as they are.
        found = f"{name}@{version}".replace("+", "%2B")
        purl = f"pkg:deb/{system}/{found}?arch={architecture}&distro={system}-{release}"
        made.append({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl})
    return made
