import pytest

from clipfarm_contract.cpus import available_cpus, cgroup_limit


@pytest.mark.parametrize(
    ("text", "limit"), [("400000 100000", 4), ("150000 100000", 1.5), ("max 100000", None), ("", None), ("0 0", None)]
)
def test_the_limit_of_a_control_group_is_read(tmp_path, text, limit):
    (tmp_path / "cpu.max").write_text(text)
    assert cgroup_limit(tmp_path / "cpu.max", tmp_path) == limit


@pytest.mark.parametrize(("quota", "limit"), [("200000", 2), ("-1", None)])
def test_the_limit_of_an_old_control_group_is_read(tmp_path, quota, limit):
    (tmp_path / "cpu.cfs_quota_us").write_text(quota)
    (tmp_path / "cpu.cfs_period_us").write_text("100000")
    assert cgroup_limit(tmp_path / "none", tmp_path) == limit


def test_without_a_control_group_there_is_no_limit(tmp_path):
    assert cgroup_limit(tmp_path / "none", tmp_path / "none") is None


def test_there_is_always_a_cpu():
    assert available_cpus() >= 1
