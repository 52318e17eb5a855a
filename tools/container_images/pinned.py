"""The base image by its digest: which one its tag has now, by the registry, and the Dockerfiles that name it."""

import hashlib
import json
import re
import urllib.error
import urllib.parse
import urllib.request

from container_images.builders import ROOT
from container_images.errors import ImagesError
from container_images.layers import FOLDERS

REGISTRY = "https://registry-1.docker.io"
SECONDS = 30.0
MOST_BYTES = 4 * 1024 * 1024
"""What registries take as a manifest themselves."""
KINDS = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
LINE = re.compile(r"^ARG BASE_IMAGE=(?P<name>[^\s:@]+):(?P<tag>[^\s@]+)(?:@(?P<digest>sha256:[0-9a-f]{64}))?$", re.M)


def refresh(registry: str = REGISTRY) -> str:
    """Write the digest that the base image's tag has now into all Dockerfiles, and return the whole reference.

    Raises:
        ImagesError: the registry does not tell, or a Dockerfile names no base image.
    """
    files = [ROOT / folder / "Dockerfile" for folder in FOLDERS.values()]
    found = LINE.search(files[0].read_text())
    if found is None:
        raise ImagesError(f"{files[0]}: found no ARG BASE_IMAGE=NAME:TAG")
    name, tag = found["name"], found["tag"]
    reference = f"{name}:{tag}@{digest(name, tag, registry)}"
    for file in files:
        file.write_text(LINE.sub(f"ARG BASE_IMAGE={reference}", file.read_text(), count=1))
    return reference


def digest(name: str, tag: str, registry: str = REGISTRY) -> str:
    """Return the digest of what a tag names, of all its platforms together, checked against its content.

    Raises:
        ImagesError: the registry does not tell.
    """
    repository = name if "/" in name else f"library/{name}"
    url = f"{registry}/v2/{repository}/manifests/{tag}"
    try:
        try:
            content = _get(url, {"Accept": KINDS})
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
            token = _token(error.headers.get("WWW-Authenticate", ""), registry)
            content = _get(url, {"Accept": KINDS, "Authorization": f"Bearer {token}"})
    except (OSError, ValueError) as error:
        raise ImagesError(f"{url}: {error}") from None
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _token(challenge: str, registry: str) -> str:
    """Return the token that anybody gets who only reads."""
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = asked.pop("realm", "")
    # A registry on this machine, as in tests, may do without TLS; no other may.
    if not realm.startswith("https://" if registry.startswith("https://") else "http"):
        raise ValueError(f"found the challenge {challenge!r}, expected an https address")
    answer = json.loads(_get(f"{realm}?{urllib.parse.urlencode(asked)}", {}))
    return str(answer.get("token") or answer.get("access_token") or "")


def _get(url: str, headers: dict[str, str]) -> bytes:
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - https, or a registry that the caller names
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
        content: bytes = answer.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"found more than {MOST_BYTES} bytes, expected a manifest")
    return content
