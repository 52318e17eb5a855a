import pytest

from helpers.exports import export
from helpers.run_folder import FEATURES, make_run


@pytest.fixture(scope="session")
def a_run(tmp_path_factory):
    """Six clips of two phases with features."""
    return make_run(tmp_path_factory.mktemp("run") / "clips", features=True)


@pytest.fixture(scope="session")
def exported(a_run, tmp_path_factory):
    """The run as a data set for `datasets`."""
    place = tmp_path_factory.mktemp("export") / "hf"
    done = export(a_run.root, place, "--features", FEATURES, "--previews", 2)
    assert done.exit_code == 0, done.stderr
    return place
