"""The part of a run that names the encoder's weights."""

from pathlib import PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from clipfarm.cel import Rule
from clipfarm.model import Argument, Commit, Model, Sha256

_IS_ADDRESS = "self.source.startsWith('https://') || self.source.startsWith('http://')"
"""As :attr:`Weights.is_address`."""
_NEEDS_HASH = "missing, expected the SHA-256 of the file at the address"
_NO_COMMIT = "expected only beside an id on Hugging Face"


def is_address(source: str) -> bool:
    """Return whether weights are on a web server."""
    return source.startswith(("https://", "http://"))


def source_name(source: str) -> str:
    """Return what features' sidecars call the source of weights: the last part of it."""
    return PurePosixPath(urlsplit(source).path if is_address(source) else source).name


class Weights(Model):
    """Where the encoder's weights come from."""

    source: Annotated[Argument, Field(min_length=1)]
    """A file of the original release or its https address, a folder in Hugging Face's layout, an id on Hugging Face,
    or ``random``: features without meaning."""
    key: Literal["target_encoder", "encoder"] = "target_encoder"
    """Which of the two encoders in a file of the original release."""
    sha256: Sha256 | None = None
    """SHA-256 that the weights must have; required if the source is an address."""
    revision: Commit | None = None
    """Commit on Hugging Face, if the source is an id there."""

    rules = (
        Rule(
            lambda weights: f"sha256: {_NEEDS_HASH}" if weights.is_address and weights.sha256 is None else None,
            cel=f"!({_IS_ADDRESS}) || has(self.sha256)",
            message=_NEEDS_HASH,
            field=".sha256",
        ),
        Rule(
            lambda weights: f"revision: {_NO_COMMIT}" if weights.is_address and weights.revision is not None else None,
            cel=f"!({_IS_ADDRESS}) || !has(self.revision)",
            message=_NO_COMMIT,
            field=".revision",
        ),
    )

    @property
    def is_address(self) -> bool:
        """Whether the source is on a web server."""
        return is_address(self.source)

    @property
    def is_local(self) -> bool:
        """Whether the source is a file or a folder."""
        return self.source != "random" and not self.is_address and self.revision is None

    @property
    def name(self) -> str:
        """What features' sidecars call the source: the last part of it."""
        return source_name(self.source)

    def options(self) -> list[str]:
        """Return the encoder's options that say the same."""
        made = ["--weights", self.source, "--weights-key", self.key]
        made += ["--weights-sha256", self.sha256] if self.sha256 else []
        return made + (["--weights-revision", self.revision] if self.revision else [])
