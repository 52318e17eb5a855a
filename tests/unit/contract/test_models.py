import re

import pytest

from clipfarm_contract.models import NAME, facts


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("vjepa2_vitl16", True),
        ("vjepa2_vith16", True),
        ("vjepa2_vitg16", True),
        ("vjepa2_tiny16", True),
        ("vjepa2_1_vitb16", True),
        ("vjepa2_1_vitgigantic16", True),
        ("timm:vit_small_patch14_dinov2.lvd142m", False),
        ("other:Model-1", False),
    ],
)
def test_a_name_is_one_of_v_jepa_2s_or_begins_with_its_family(name, known):
    assert re.search(NAME, name)
    assert (facts(name) is not None) == known


@pytest.mark.parametrize(
    "name", ["", "vjepa2", "vjepa2_vitb16", "vjepa2_1_vith16", "vjepa3_vitl16", "timm:", "timm:../x", "Timm:x", "a:b:c"]
)
def test_what_is_no_name_of_a_model(name):
    assert not re.search(NAME, name)
    assert facts(name) is None


def test_a_clip_of_32_frames_at_256_pixels_has_4096_tokens():
    assert facts("vjepa2_vitl16").tokens(32, 256) == 4096
