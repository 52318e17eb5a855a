"""The model in docs/extending.md works as it is written there, with no other change."""

import re

import numpy as np
import pytest
import torch

from clipfarm_contract.models import NAME
from clipfarm_encode import get_encoder, models
from clipfarm_encode.models.preprocess import normalise
from helpers.chart import ROOT

pytestmark = pytest.mark.torch


@pytest.fixture
def _installed(tmp_path, monkeypatch):
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(), re.DOTALL)
    [text] = [each for each in examples if "def load(" in each]
    (tmp_path / "mean.py").write_text(text)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])


@pytest.mark.usefixtures("_installed")
def test_a_model_is_one_file_that_is_found_by_its_name():
    assert re.search(NAME, "mean:patch16")
    encoder = get_encoder("mean:patch16", "random", "cpu", dtype="fp32", crop_size=32)
    clip = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    (found,) = encoder.encode([clip])
    assert found.shape == (2 * 4, 3)
    corner = normalise(clip[1, :, 16:, :16]).mean(dim=(1, 2)).numpy()
    assert np.abs(found[4 + 2] - corner).max() <= 1e-6


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mean:patch8", "random"), "model: mean:patch8 is none of mean:patch16"),
        (("mean:patch16", __file__), "weights: mean:patch16 has none, expected random"),
    ],
)
def test_what_it_does_not_know_it_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        get_encoder(*arguments, "cpu")
