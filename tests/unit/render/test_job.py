import json

import pytest

from clipfarm_contract.experiment import Experiment
from clipfarm_contract.layout import Clip
from clipfarm_render.job import SHARED_WORK, Job
from helpers.experiments import TINY


@pytest.fixture
def job(tmp_path):
    recipe = Experiment.from_json(json.dumps(TINY)).recipe(seed=0, index=0)
    return Job(1, Clip(tmp_path / "clip"), recipe, "cpu", tmp_path / "report.json", None)


def test_a_flag_is_there_while_work_is_shared_and_gone_after_it_even_if_it_fails(job, tmp_path):
    flag = tmp_path / SHARED_WORK
    with job.shared_work():
        assert flag.exists()
    assert not flag.exists()
    with pytest.raises(OSError, match="full"), job.shared_work():
        raise OSError("the disk is full")
    assert not flag.exists()
