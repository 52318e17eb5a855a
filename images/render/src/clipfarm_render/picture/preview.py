"""``preview.gif``: the clip for people."""

from PIL import Image

from clipfarm_contract.layout import Clip


def write(clip: Clip, frames: int, fps: int) -> None:
    """Write the clip's frames as an endless GIF."""
    pictures = []
    for i in range(frames):
        with Image.open(clip.frame(i)) as picture:
            pictures.append(picture.convert("RGB").quantize(colors=128, method=Image.Quantize.MEDIANCUT))
    first, *rest = pictures
    # GIF counts in hundredths of a second; Pillow rounds what it is given in thousandths.
    first.save(clip.preview, save_all=True, append_images=rest, duration=round(100 / fps) * 10, loop=0)
