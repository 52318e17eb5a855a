"""What a PNG's chunks say that Pillow does not, or of which it makes too much.

Pillow turns 16 bits a channel into 8 without a word, takes the first picture of an animation, and refuses a picture
for a text or a colour profile above a megabyte, of which nothing is used here.
"""

from dataclasses import dataclass

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BESIDE = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf"})


@dataclass(frozen=True, slots=True)
class Chunks:
    """A PNG file as its chunks show it."""

    picture: bytes
    """The file without texts and profiles."""
    depth: int
    """Bits a channel, or of a palette's index; 8 where the file has no header."""
    animated: bool
    ended: bool
    """Whether its last chunk is there. What comes behind it belongs to no PNG, and does no harm."""


def read(data: bytes) -> Chunks:
    """Read a file's chunks as far as they go; whether they are right is for the decoder to say."""
    if not data.startswith(_SIGNATURE):
        return Chunks(data, 8, animated=False, ended=False)
    depth, animated, ended, kept, start = 8, False, False, [], 0
    at = len(_SIGNATURE)
    while not ended and at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        kind = data[at + 4 : at + 8]
        if kind == b"IHDR" and at + 16 < len(data):
            depth = data[at + 16]
        elif kind == b"acTL":
            animated = int.from_bytes(data[at + 8 : at + 12]) > 1
        elif kind in _BESIDE:
            kept.append(data[start:at])
            start = end
        ended = kind == b"IEND" and end <= len(data)
        at = end
    return Chunks(b"".join((*kept, data[start:])) if kept else data, depth, animated, ended)
