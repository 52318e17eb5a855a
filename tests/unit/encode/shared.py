"""What several of the encoder's tests need, and that imports no PyTorch."""

import numpy as np

from clipfarm_contract.clip import ClipManifest
from clipfarm_contract.features import frames_sha256
from clipfarm_encode.files.features import save
from clipfarm_encode.files.recipe import Encoded, Recipe

RECIPE = Recipe("m", {"source": "vitl.pt", "sha256": "00", "key": "encoder"}, "float16", {"crop": 32}, "float32")


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self):
        return self.now


def give_features(clip):
    """Save features of a clip, as another encoder would."""
    save((np.zeros((8, 3), np.float16),), encoded(clip), clip, RECIPE)


def encoded(clip):
    """Return what features of a complete clip are made of."""
    manifest = ClipManifest.read(clip.manifest)
    frames = [entry for name, entry in sorted(manifest.files.items()) if name.startswith("rgb/")]
    return Encoded(clip.folder.name, len(frames), frames_sha256(entry.sha256 for entry in frames), 2, 2)
