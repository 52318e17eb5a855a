import os
import shutil

import pytest

from helpers.local import Local
from helpers.nvml import Gpus, compile_stub


@pytest.fixture
def local(tmp_path):
    return Local(tmp_path / "local")


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory):
    if shutil.which("cc") is None:
        message = "no C compiler, which the stand-in for NVIDIA's library needs (apt-get install gcc libc6-dev)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return compile_stub(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def gpus(tmp_path, nvml_library, local):
    """GPUs by the stand-in, which the run of ``local`` sees and renders on."""
    found = Gpus(tmp_path / "gpus.txt", nvml_library)
    local.env |= found.environment
    local.spec["render"] = {"device": "cuda"}
    return found
