"""How far pictures, and the features of pictures, are from what they should be; used by bench/render.py."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]


def psnr(made: Array, reference: Array, part: npt.NDArray[np.bool_]) -> float:
    """Return the peak signal-to-noise ratio in a part of the picture, dB."""
    return float(10 * np.log10(255**2 / ((made - reference)[part] ** 2).mean()))


def ssim(made: Array, reference: Array, window: int = 7) -> float:
    """Return the mean structural similarity (Wang et al. 2004), with square windows."""

    def mean(values: Array) -> Array:
        sums = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0), (0, 0)))
        corners = sums[window:, window:] - sums[:-window, window:] - sums[window:, :-window] + sums[:-window, :-window]
        return corners / window**2

    first, second = mean(made), mean(reference)
    variance = mean(made**2) - first**2, mean(reference**2) - second**2
    covariance = mean(made * reference) - first * second
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similar = (2 * first * second + c1) * (2 * covariance + c2)
    return float((similar / ((first**2 + second**2 + c1) * (variance[0] + variance[1] + c2))).mean())


def feature_distances(made: Sequence[Pixels], reference: Pixels) -> list[float]:
    """Return how far the features of pairs of frames, (2, height, width, 3), are from those of the reference."""
    # Here, so that the other parts do without PyTorch.
    from clipfarm_encode.models.encoder import get_encoder

    encoder = get_encoder("vjepa2_vitl16", "random", "cpu", dtype="fp32")
    features = [next(encoder.encode([encoder.prepare(frames)])) for frames in (*made, reference)]
    *ours, wanted = (np.asarray(each, np.float64) for each in features)
    return [float(np.sqrt(((each - wanted) ** 2).mean())) for each in ours]
