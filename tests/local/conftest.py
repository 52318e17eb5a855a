import os
import shutil

import pytest

from helpers.nvml import compile_stub


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory):
    if shutil.which("cc") is None:
        message = "no C compiler, which the stand-in for NVIDIA's library needs (apt-get install gcc libc6-dev)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return compile_stub(tmp_path_factory.mktemp("nvml"))
