"""The example of a training loop learns five clips by heart."""

import runpy

import numpy as np
import pytest

from helpers.chart import ROOT
from helpers.clips import give_features, make_clips


@pytest.mark.torch
def test_the_example_overfits_five_clips(tmp_path):
    run = make_clips(tmp_path, frames=16, pictures=False, A1=2, B=3)
    for index in run.clips():
        noise = np.random.default_rng(index).normal(size=(8, 4, 32))
        give_features(run.clip(index), "vjepa2_tiny16", noise.astype(np.float16))
    train = runpy.run_path(str(ROOT / "examples" / "train.py"))["main"]
    assert train(str(tmp_path), epochs=30) < 0.05
