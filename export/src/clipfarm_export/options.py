"""What a user asks for."""

from dataclasses import asdict, dataclass
from typing import Any

FORMATS = ("hf", "webdataset", "lerobot")
VIDEOS = ("lossless", "h264", "png")
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Options:
    """All that decides the bytes of an export, beside the run itself."""

    format: str
    name: str
    license: str
    """An identifier such as ``cc-by-4.0``, as hubs list them."""
    shard_bytes: int
    """About how large a file of clips becomes."""
    video: str = "lossless"
    features: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    previews: int = 24
    """How many clips, evenly spread, get a video for people."""
    features_shard_bytes: int = 1500 * MIB

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)
