import json

import pytest

from clipfarm_contract.environment import CLIP_PREPARING
from clipfarm_contract.experiments.reading import Declared
from clipfarm_contract.layout import Clip
from clipfarm_render.job import SHARED_WORK, Job, forget_prepared, preparing
from helpers.experiments import TINY


@pytest.fixture
def job(tmp_path):
    made = Declared.from_json(json.dumps(TINY))
    recipe, phase = made.experiment().recipe(seed=0, index=0), made.phases[0].phase
    return Job(1, Clip(tmp_path / "clip"), recipe, made.scene, phase, "cpu", tmp_path / "report.json", None)


def test_a_flag_is_there_while_work_is_shared_and_gone_after_it_even_if_it_fails(job, tmp_path):
    flag = tmp_path / SHARED_WORK
    with job.shared_work():
        assert flag.exists()
    assert not flag.exists()
    with pytest.raises(OSError, match="full"), job.shared_work():
        raise OSError("the disk is full")
    assert not flag.exists()


def test_what_is_prepared_is_said_and_stands_in_the_file_that_the_probe_looks_for_until_it_is_done(tmp_path, capsys):
    told = tmp_path / "preparing"
    with preparing("compiling kernels for NVIDIA H200, once", {CLIP_PREPARING: str(told)}):
        assert told.read_text() == "compiling kernels for NVIDIA H200, once\n"
    assert not told.exists()
    with pytest.raises(OSError, match="full"), preparing("compiling", {CLIP_PREPARING: str(told)}):
        raise OSError("the disk is full")
    assert not told.exists()
    assert capsys.readouterr().err == "compiling kernels for NVIDIA H200, once\ncompiling\n"


def test_what_a_killed_child_has_left_of_it_is_deleted_if_it_can_be(tmp_path):
    told = tmp_path / "preparing"
    told.write_text("compiling\n")
    forget_prepared({})
    assert told.exists()
    for path in (told, told, tmp_path, tmp_path / "preparing" / "beyond"):  # the second time it is gone
        forget_prepared({CLIP_PREPARING: str(path)})
    assert not told.exists()


@pytest.mark.parametrize(
    ("what", "environ", "said"),
    [("", {CLIP_PREPARING: "/nowhere/file"}, ""), ("compiling", {}, "compiling\n"),
     ("compiling", {CLIP_PREPARING: "/nowhere/file"}, "compiling\n")],
)  # fmt: skip
def test_nothing_is_written_where_nothing_is_prepared_nobody_looks_or_it_cannot_be(what, environ, said, capsys):
    with preparing(what, environ):
        pass
    assert capsys.readouterr().err == said
