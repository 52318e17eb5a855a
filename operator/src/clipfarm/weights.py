"""Where the encoder's weights come from: the part of a run that says so."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from clipfarm.model import Argument, Model


class Weights(Model):
    """Where the encoder's weights come from."""

    source: Annotated[Argument, Field(min_length=1)]
    """A file of the original release or its https address, a folder in Hugging Face's layout, an id on Hugging Face,
    or ``random``: features without meaning."""
    key: Literal["target_encoder", "encoder"] = "target_encoder"
    """Which of the two encoders in a file of the original release."""
    sha256: Annotated[str, Field(json_schema_extra={"pattern": "^[0-9a-f]{64}$"})] | None = None
    """What the weights have to hash to; needed where the source is an address."""
    revision: Annotated[str, Field(json_schema_extra={"pattern": "^[0-9a-f]{40}$"})] | None = None
    """A commit on Hugging Face: the source is an id there."""

    @field_validator("sha256", "revision")
    @classmethod
    def _hexadecimal(cls, value: str | None, info: ValidationInfo) -> str | None:
        digits = 64 if info.field_name == "sha256" else 40
        if value is not None and not re.fullmatch(f"[0-9a-f]{{{digits}}}", value):
            raise ValueError(f"expected {digits} hexadecimal digits" + (", a commit" if digits == 40 else ""))
        return value

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        if self.is_address and self.sha256 is None:
            raise ValueError("sha256: missing, expected the SHA-256 of the file at the address")
        if self.is_address and self.revision is not None:
            raise ValueError("revision: expected only beside an id on Hugging Face")
        return self

    @property
    def is_address(self) -> bool:
        """Whether the source is on a web server."""
        return self.source.startswith(("https://", "http://"))

    @property
    def is_local(self) -> bool:
        """Whether the source is a file or a folder."""
        return self.source != "random" and not self.is_address and self.revision is None

    @property
    def name(self) -> str:
        """What features' sidecars call the source: the last part of it."""
        return PurePosixPath(urlsplit(self.source).path if self.is_address else self.source).name

    def options(self) -> list[str]:
        """Return the encoder's options that say the same."""
        made = ["--weights", self.source, "--weights-key", self.key]
        made += ["--weights-sha256", self.sha256] if self.sha256 else []
        return made + (["--weights-revision", self.revision] if self.revision else [])
