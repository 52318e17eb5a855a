"""What CUDA and OptiX compile: kept for the clips of a run, whatever the user and the disk make of it."""

import importlib.metadata
import os
import threading
from pathlib import Path

import pytest

from clipfarm_contract.machine import UNKNOWN_GPU
from clipfarm_render.picture import gpu_cache

OURS = {"OPTIX_CACHE_PATH", "CUDA_CACHE_PATH"}


@pytest.fixture(autouse=True)
def _h200(monkeypatch):
    monkeypatch.setattr(gpu_cache, "gpu_and_driver", lambda: ("NVIDIA H200", "580.1"))


def first(cache, device="cuda"):
    with cache.first_use(device) as found:
        return found


def test_the_first_process_of_a_run_compiles_and_each_later_one_finds_it(tmp_path: Path):
    environ: dict[str, str] = {}
    cache = gpu_cache.use(tmp_path, environ)
    assert environ.keys() == OURS
    assert all(Path(path).is_dir() and Path(path).is_relative_to(tmp_path) for path in environ.values())
    assert [first(cache), first(gpu_cache.use(tmp_path, {})), first(cache, "optix")] == [True, False, True]
    # A process makes one clip after the other.
    assert gpu_cache.use(tmp_path, environ) == cache


def test_of_two_processes_one_compiles_and_the_other_waits_for_it(tmp_path: Path):
    found: list[bool] = []
    cache = gpu_cache.use(tmp_path, {})
    other = threading.Thread(target=lambda: found.append(first(gpu_cache.use(tmp_path, {}))))
    with cache.first_use("cuda"):
        other.start()
        other.join(0.3)
        assert found == []
    other.join(10)
    assert found == [False]


def test_one_that_fails_in_the_middle_leaves_it_to_the_next(tmp_path: Path):
    cache = gpu_cache.use(tmp_path, {})
    with pytest.raises(RuntimeError), cache.first_use("cuda"):
        raise RuntimeError("the driver was replaced")
    assert first(cache)


def test_another_blender_or_driver_compiles_again(tmp_path: Path, monkeypatch):
    assert first(gpu_cache.use(tmp_path, {}))
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "4.5.0")
    assert first(gpu_cache.use(tmp_path, {}))
    monkeypatch.setattr(gpu_cache, "gpu_and_driver", lambda: ("NVIDIA H200", "590.2"))
    assert first(gpu_cache.use(tmp_path, {}))


def test_of_a_gpu_without_a_name_it_is_not_known_what_was_compiled(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(gpu_cache, "gpu_and_driver", lambda: (UNKNOWN_GPU, ""))
    for _ in range(2):
        assert first(gpu_cache.use(tmp_path, environ := {}))
        assert environ.keys() == OURS, "the libraries themselves know it"


def test_a_folder_of_the_users_own_is_kept_and_only_what_was_compiled_there_counts(tmp_path: Path):
    def environ(name):
        return {"CUDA_CACHE_PATH": str(tmp_path / name)}

    run = tmp_path / "run"
    assert first(gpu_cache.use(run, mine := environ("mine")))
    assert mine["CUDA_CACHE_PATH"] == str(tmp_path / "mine")
    assert mine["OPTIX_CACHE_PATH"].startswith(str(run))
    assert first(gpu_cache.use(run, environ("another"))), "nothing is there"
    assert not first(gpu_cache.use(tmp_path / "another run", environ("mine")))


def test_a_folder_for_optix_alone_says_nothing_of_what_cuda_has_compiled(tmp_path: Path):
    for run in ("run", "another run"):
        mine = {"OPTIX_CACHE_PATH": str(tmp_path / "mine")}
        assert first(gpu_cache.use(tmp_path / run, mine)), "CUDA's part is in the run's folder, which is new"
        assert not first(gpu_cache.use(tmp_path / run, mine))


def test_a_cache_that_is_switched_off_keeps_nothing(tmp_path: Path):
    for _ in range(2):
        environ = {"CUDA_CACHE_DISABLE": "1"}
        assert first(gpu_cache.use(tmp_path, environ))
        assert environ.keys() == {"CUDA_CACHE_DISABLE"}


def test_a_folder_that_cannot_be_written_is_not_used_and_stops_no_clip(tmp_path: Path, monkeypatch):
    (tmp_path / "file").write_text("")
    assert first(gpu_cache.use(tmp_path / "file", environ := {}))
    assert environ == {}
    monkeypatch.setattr(os, "access", lambda *_: False)  # read-only, or of another user
    assert first(gpu_cache.use(tmp_path / "there", environ))
    assert environ == {}


def test_a_full_disk_stops_no_clip(tmp_path: Path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    cache = gpu_cache.use(tmp_path, {})
    monkeypatch.setattr(Path, "touch", full)
    assert [first(cache), first(cache)] == [True, True]
