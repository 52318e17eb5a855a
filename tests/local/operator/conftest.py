import pytest

from helpers.local import Local
from helpers.nvml import Gpus


@pytest.fixture
def local(tmp_path):
    return Local(tmp_path / "local")


@pytest.fixture
def gpus(tmp_path, nvml_library, local):
    """GPUs by the stand-in, which the run of ``local`` sees and renders on."""
    found = Gpus(tmp_path / "gpus.txt", nvml_library)
    local.env |= found.environment
    local.spec["render"] = {"device": "cuda"}
    return found
