"""What several of the encoder's tests need, and that imports no PyTorch."""

import numpy as np

from clipfarm_encode.features import Recipe, save

RECIPE = Recipe("m", {"source": "vitl.pt", "sha256": "00", "key": "encoder"}, "float16", {"crop": 32}, "float32")


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self):
        return self.now


def give_features(clip):
    """Save features of a clip, as another encoder would."""
    save(np.zeros((2, 3), np.float16), 4, clip, RECIPE)
