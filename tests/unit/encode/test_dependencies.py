import sys
from types import SimpleNamespace

import pytest

from clipfarm_encode import cli, dependencies


@pytest.fixture
def installed(monkeypatch):
    """Pretend that packages are missing; what pip is asked for is noted, and installed."""
    gone, asked = set(), []
    find = dependencies.importlib.util.find_spec

    def pip(command, **_):
        asked.append(command)
        gone.difference_update({"numpy", "PIL"})
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(dependencies.importlib.util, "find_spec", lambda name: None if name in gone else find(name))
    monkeypatch.setattr(dependencies.subprocess, "run", pip)
    monkeypatch.setattr(dependencies, "in_image", lambda: False)
    return SimpleNamespace(gone=gone, asked=asked)


def test_what_is_missing_is_told_at_once_with_the_command_that_installs_it(installed, tmp_path, capsys):
    installed.gone |= {"torch", "einops", "prometheus_client"}
    code = cli.run(["--data_dir", str(tmp_path), "--in_place", "--weights", "random"])
    err = capsys.readouterr().err
    assert code == 2
    assert "not installed: torch, einops, prometheus-client" in err
    assert f"install with: {sys.executable} -m pip install torch einops prometheus-client" in err
    assert err.count("\n") == 1
    assert installed.asked == []


def test_numpy_and_pillow_are_installed_where_they_are_missing(installed, capsys):
    installed.gone |= {"numpy", "PIL"}
    dependencies.require()
    assert [command[1:4] for command in installed.asked] == [["-m", "pip", "install"]]
    assert installed.asked[0][-2:] == ["numpy>=1.26", "pillow>=11"]
    assert capsys.readouterr().err == "installing numpy>=1.26 and pillow>=11\n"


def test_in_an_image_nothing_is_installed(installed, monkeypatch):
    monkeypatch.setattr(dependencies, "in_image", lambda: True)
    installed.gone |= {"numpy", "PIL"}
    with pytest.raises(dependencies.MissingError, match="not installed: numpy, pillow"):
        dependencies.require()
    assert installed.asked == []


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({"CLIPFARM_IMAGE": "1"}, True), ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, True), ({}, False)],
)
def test_an_image_is_told_by_its_environment(environ, expected, monkeypatch):
    monkeypatch.setattr(dependencies.Path, "exists", lambda _: False)
    assert dependencies.in_image(environ) is expected


def test_everything_is_installed_here():
    assert dependencies.missing() == []
