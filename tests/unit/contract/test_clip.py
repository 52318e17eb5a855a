"""A clip is there whole or not at all, and a folder is judged by what it holds."""

import json
import os
import shutil
import threading
from dataclasses import replace

import pytest

from clipfarm_contract import clip as clips
from clipfarm_contract import completing, examining
from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.clip import ClipManifest, ClipState
from clipfarm_contract.layout import Clip, RunFolder
from helpers.experiments import make_recipe

RECIPE = make_recipe(frames=32)
FILES = {"ground_truth.json": b"{}", "rgb/frame_00000.png": b"picture 0", "rgb/frame_00001.png": b"picture 1"}


def attempt(run, token="1", files=FILES):
    folder = run.attempt(7, token)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path)


@pytest.fixture
def made(run):
    completing.complete(attempt(run), run.clip(7), RECIPE, {"lit": 3})
    return run.clip(7)


def state(clip, recipe=RECIPE, renderer=None):
    found = clips.inspect(clip, recipe, renderer)
    return found.state, found.reason


def test_a_completed_attempt_is_a_complete_clip_and_nothing_is_left_beside_it(run, made):
    assert state(made) == (ClipState.COMPLETE, "")
    assert examining.damage(made) == []
    assert sorted(path.name for path in run.root.iterdir()) == ["clip_00007"]
    assert json.loads(made.manifest.read_text())["files"]["rgb/frame_00001.png"]["size"] == 9


def test_the_same_files_give_the_same_clip_json_wherever_and_whenever(made, tmp_path):
    other = RunFolder(tmp_path / "other")
    completing.complete(attempt(other, "2"), other.clip(7), RECIPE, {"lit": 3})
    assert other.clip(7).manifest.read_bytes() == made.manifest.read_bytes()


def test_clip_json_is_read_back_as_it_was_written(made):
    manifest = ClipManifest.read(made.manifest)
    assert (manifest.recipe, manifest.renderer, manifest.checks) == (RECIPE, None, {"lit": 3})


def test_an_attempt_is_no_clip(run):
    attempt(run)
    assert run.clips() == []
    assert [path.name for path in run.attempts()] == [".clip_00007.1"]
    assert state(run.clip(7)) == (ClipState.ABSENT, "")


DAMAGE = [
    (lambda c: os.truncate(c.frame(1), 3), "rgb/frame_00001.png: 3 bytes, expected 9"),
    (lambda c: os.truncate(c.frame(1), 0), "rgb/frame_00001.png: 0 bytes, expected 9"),
    (lambda c: c.frame(0).unlink(), "rgb/frame_00000.png: missing"),
    (lambda c: [path.unlink() for path in c.rgb.iterdir()], "rgb/frame_00000.png: missing"),
    (lambda c: os.truncate(c.ground_truth, 0), "ground_truth.json: 0 bytes, expected 2"),
    (lambda c: c.manifest.unlink(), "clip.json: missing"),
    (lambda c: os.truncate(c.manifest, 0), "clip.json: not JSON (Expecting value: line 1 column 1 (char 0))"),
    (lambda c: c.manifest.write_text("[]"), "clip.json: found [], expected an object"),
    (lambda c: c.manifest.write_text('{"version": 9}'), "clip.json.version: found 9, expected 1"),
    (lambda c: c.manifest.write_bytes(b"\xff"), "clip.json: not JSON"),
]


@pytest.mark.parametrize(("harm", "reason"), DAMAGE)
def test_what_the_first_system_counted_as_complete_is_damaged(made, harm, reason):
    harm(made)
    found, why = state(made)
    assert found is ClipState.DAMAGED
    assert why.startswith(reason)


@pytest.mark.parametrize(
    ("recipe", "difference"),
    [
        (replace(RECIPE, seed=7), "seed 42 instead of 7"),
        (make_recipe(frames=32, fps=24), "experiment.fps 30 instead of 24"),
        (make_recipe(frames=32, layers=["rgb", "flow"]), 'experiment.layers ["rgb"] instead of'),
        (make_recipe(frames=32, phase={"name": "B"}), 'experiment.phase.name "A1" instead of "B"'),
        (make_recipe(frames=32, phase={"mass": {"min": 1, "max": 3}}), "experiment.phase.mass.min 0.5 instead of 1.0"),
    ],
)
def test_a_clip_of_another_recipe_is_foreign_and_the_difference_is_named(made, recipe, difference):
    found, why = state(made, recipe)
    assert found is ClipState.FOREIGN
    assert why.startswith(f"made with {difference}")


def test_a_clip_of_an_earlier_version_is_foreign_and_not_damaged(made):
    assert state(made, replace(RECIPE, compositing=2)) == (
        ClipState.FOREIGN,
        "made with an earlier version of clipfarm (compositing 1 instead of 2)",
    )


def test_a_clip_of_another_renderer_is_foreign(made):
    assert state(made, renderer=("mine",)) == (
        ClipState.FOREIGN,
        "made with renderer of clipfarm instead of mine",
    )


def test_damage_finds_what_sizes_do_not_show(made):
    made.frame(1).write_bytes(b"picture 2")
    (made.folder / "extra").touch()
    assert state(made) == (ClipState.COMPLETE, "")
    problems = examining.damage(made)
    assert problems[0].startswith("rgb/frame_00001.png: sha256 ")
    assert problems[1:] == ["extra: not part of the clip"]


def test_a_copy_of_links_is_sound_as_long_as_they_lead_to_the_clips_bytes(made, tmp_path):
    hard = tmp_path / "hard" / "clip_00007"
    shutil.copytree(made.folder, hard, copy_function=os.link)
    assert examining.damage(Clip(hard)) == examining.damage(made) == []
    soft = tmp_path / "soft" / "clip_00007"
    soft.mkdir(parents=True)
    for path in made.folder.iterdir():
        (soft / path.name).symlink_to(path)
    assert examining.damage(Clip(soft)) == []
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "clip_00007").symlink_to(made.folder)
    assert examining.damage(Clip(tmp_path / "whole" / "clip_00007")) == []
    (soft / "more").symlink_to("nowhere")
    made.frame(1).write_bytes(b"picture 2")
    problems = examining.damage(Clip(soft))
    assert problems[0].startswith("rgb/frame_00001.png: sha256 ")
    assert problems[1:] == ["more: not part of the clip"]


def test_features_are_no_part_of_the_clip_itself(made):
    made.features("m").parent.mkdir()
    made.features("m").touch()
    assert examining.damage(made) == []


def test_a_damaged_clip_is_replaced(run, made):
    made.manifest.unlink()
    completing.complete(attempt(run, "2"), made, RECIPE, {})
    assert (state(made)[0], run.attempts()) == (ClipState.COMPLETE, [])


def test_the_second_writer_of_a_clip_drops_its_own(run, made):
    before = made.manifest.stat().st_ino
    completing.complete(attempt(run, "2"), made, RECIPE, {"lit": 3})
    assert (made.manifest.stat().st_ino, run.attempts()) == (before, [])


def test_a_clip_of_another_recipe_is_never_overwritten(run, made):
    with pytest.raises(FileExistsError, match="made with seed 42 instead of 8"):
        completing.complete(attempt(run, "2"), made, replace(RECIPE, seed=8), {})
    assert state(made) == (ClipState.COMPLETE, "")


def test_many_writers_of_one_clip_leave_one_whole_clip(run):
    attempts = [attempt(run, str(i)) for i in range(8)]
    writers = [
        threading.Thread(target=completing.complete, args=(folder, run.clip(7), RECIPE, {})) for folder in attempts
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (state(run.clip(7)), run.attempts()) == ((ClipState.COMPLETE, ""), [])


def test_an_output_that_is_gone_is_an_error_and_no_endless_loop(run, tmp_path):
    with pytest.raises(FileNotFoundError):
        completing.complete(attempt(run), RunFolder(tmp_path / "gone").clip(7), RECIPE, {})


def test_discarding_what_is_not_there_is_no_error(run):
    completing.discard(run.clip(9).folder)


def test_an_atomic_write_leaves_the_old_file_when_it_fails(tmp_path):
    target = tmp_path / "file"
    write_atomically(target, "old")
    with pytest.raises(TypeError):
        write_atomically(target, 3)  # type: ignore[arg-type]
    assert (target.read_text(), [path.name for path in tmp_path.iterdir()]) == ("old", ["file"])


def test_a_renderer_that_wrote_nothing_has_made_no_clip(run):
    run.attempt(7, "1").mkdir()
    with pytest.raises(FileNotFoundError, match="the renderer wrote no file"):
        completing.complete(run.attempt(7, "1"), run.clip(7), RECIPE, {})
    assert not run.clip(7).folder.exists()


def test_a_clip_that_was_copied_under_another_number_is_found_out(run, made):
    shutil.copytree(made.folder, run.clip(8).folder)
    assert examining.damage(run.clip(8)) == ["clip.json is that of clip 7"]


def test_a_file_name_with_a_colon_is_no_trouble(run):
    completing.complete(attempt(run, files={"a:b.txt": b"1", "c.txt": b"2"}), run.clip(7), RECIPE, {})
    (run.clip(7).folder / "a:b.txt").unlink()
    assert examining.damage(run.clip(7)) == ["a:b.txt: missing"]


def test_a_file_in_an_attempts_place_is_discarded_too(run):
    run.attempt(7, "x").touch()
    for left in run.attempts():
        completing.discard(left)
    assert list(run.root.iterdir()) == []


def test_what_was_set_aside_and_not_removed_is_removed_without_another_name(run):
    aside = run.root / ".clip_00007.discarded-0a"
    aside.mkdir()
    completing.discard(aside)
    assert list(run.root.iterdir()) == []
