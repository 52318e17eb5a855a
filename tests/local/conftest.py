import os
import shutil

import pytest

from helpers import refusing
from helpers.nvml import compile_stub


@pytest.fixture(scope="session")
def compiler():
    if shutil.which("cc") is None:
        message = "no C compiler, which stand-ins for libraries need (apt-get install gcc libc6-dev)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(scope="session")
def nvml_library(compiler, tmp_path_factory):
    return compile_stub(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="session")
def refusing_library(compiler, tmp_path_factory):
    return refusing.compile_library(tmp_path_factory.mktemp("refusing"))
