"""Whose clips are encoded: of two runs in one folder each has its own."""

import json
from dataclasses import replace

import pytest

from clipfarm_contract.completing import complete
from clipfarm_contract.environment import RUN_EXPERIMENT
from clipfarm_contract.experiment import COMPOSITING, Experiment
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import RunFolder
from clipfarm_encode.files.finding import find_clips
from clipfarm_encode.files.identity import Identity, IdentityError
from clipfarm_encode.selection import Once, survey
from unit.encode.made_up import SEED, make_clip, make_experiment, make_frames
from unit.encode.shared import give_features


def changed(document, **phase):
    """The experiment with another first phase."""
    return {**document, "phases": [{**document["phases"][0], **phase}]}


EXPERIMENT = make_experiment()
TEXT = json.dumps(EXPERIMENT.document)
RUN = Identity(SEED, EXPERIMENT, None)
HEAVIER = Experiment(changed(EXPERIMENT.document, mass={"min": 4.0, "max": 4.0}))


@pytest.mark.parametrize(
    ("made", "difference"),
    [
        ({}, None),
        ({"seed": 1}, "seed 1 instead of 42"),
        ({"size": 32}, "experiment.resolution 32 instead of 48"),
        ({"experiment": HEAVIER}, "experiment.phase.mass.max 4.0 instead of 3.0"),
        ({"renderer": ("python3", "ball.py")}, "renderer python3 ball.py instead of of clipfarm"),
    ],
)
def test_a_clip_is_the_runs_own_if_seed_experiment_and_renderer_agree(tmp_path, made, difference):
    make_clip(tmp_path, 0, **made)
    [found] = find_clips(tmp_path)
    assert RUN.difference(found) == difference


@pytest.mark.parametrize(
    ("renderer", "compositing"),
    [
        (("python3", "ball.py"), 1),  # composites nothing that clipfarm knows of
        (None, 1),  # of an earlier version, before an upgrade
        (None, COMPOSITING),
        (None, COMPOSITING + 1),  # of a later one
    ],
)
def test_a_clip_is_the_runs_own_whichever_version_composited_it(tmp_path, renderer, compositing):
    experiment = Experiment({**EXPERIMENT.document, "background": "cached"})
    run = RunFolder(tmp_path)
    make_frames(run.attempt(0, "test"))
    recipe = replace(experiment.recipe(SEED, 0), compositing=compositing)
    complete(run.attempt(0, "test"), run.clip(0), recipe, {}, renderer)
    [found] = find_clips(tmp_path)
    assert Identity(SEED, experiment, renderer).difference(found) is None
    assert Identity(SEED, EXPERIMENT, renderer).difference(found) == 'experiment.background "cached" instead of "full"'


def test_a_clip_under_another_ones_name_and_one_of_no_phase_are_not_the_runs(tmp_path):
    make_clip(tmp_path, 3).folder.rename(tmp_path / "clip_00004")
    [found] = find_clips(tmp_path)
    assert RUN.difference(found) == "index 3 instead of 4"
    (tmp_path / "clip_00004").rename(tmp_path / "clip_3")
    [found] = find_clips(tmp_path)
    assert RUN.difference(found) == "the name clip_3 instead of clip_00003"
    few = Identity(SEED, Experiment(changed(EXPERIMENT.document, clips={"start": 0, "end": 2})), None)
    (tmp_path / "clip_3").rename(tmp_path / "clip_00003")
    [found] = find_clips(tmp_path)
    assert few.difference(found) == "clip 3: no phase of the experiment holds it"


def test_a_clip_whose_records_cannot_be_read_is_of_no_run(tmp_path):
    make_clip(tmp_path, 0).manifest.write_text("{")
    [found] = find_clips(tmp_path)
    with pytest.raises(ContractError):
        RUN.difference(found)


def test_a_survey_keeps_other_runs_clips_apart_whether_they_have_features_or_not(tmp_path, destination):
    for i in range(4):
        make_clip(tmp_path, i, seed=SEED if i < 2 else 1)
    for i in (1, 2):
        give_features(find_clips(tmp_path)[i].clip)
    make_clip(tmp_path, 4).manifest.write_text("{")
    found = survey(find_clips(tmp_path), destination, RUN)
    assert [[each.name[-1] for each in part] for part in (found.pending, found.done)] == [["0"], ["1"]]
    assert [each.name[-1] for each, _ in found.foreign] == ["2", "3"]
    [(unknown, reason)] = found.unknown
    assert (unknown.name, reason.partition(" (")[0]) == ("clip_00004", "clip.json: not JSON")


def test_other_runs_clips_are_counted_apart_and_not_as_failures(tmp_path, destination, reporter, said):
    for i in range(3):
        make_clip(tmp_path, i, seed=SEED + i)
    source = Once([(survey(find_clips(tmp_path), destination, RUN), reporter.sets[0])])
    assert [turn.found.name for turn in source] == ["clip_00000"]
    document = reporter.document()
    assert (document["clips"]["found"], document["foreign"], document["failures"]) == (1, 2, [])
    assert said == ["2 clips are of another run, and left alone: clip_00001 was made with seed 43 instead of 42"]


def test_a_run_is_named_by_its_seed_with_its_experiment_in_a_file_or_in_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv(RUN_EXPERIMENT, raising=False)
    assert Identity.given(None, None, ()) is None
    (tmp_path / "experiment.json").write_text(TEXT)
    assert Identity.given(SEED, tmp_path / "experiment.json", ()) == RUN
    monkeypatch.setenv(RUN_EXPERIMENT, TEXT)
    assert Identity.given(SEED, None, ("ball",)) == replace(RUN, renderer=("ball",))
    assert Identity.given(None, None, ()) is None, "the variable alone may be there for another reason"


@pytest.mark.parametrize(
    ("seed", "experiment", "command", "message"),
    [
        (None, None, ("ball",), "--seed: missing, expected the run's seed beside its experiment and renderer"),
        (None, "here", (), "--seed: missing, expected the run's seed beside its experiment and renderer"),
        (SEED, None, (), "--experiment: missing, expected a file, or the variable CLIPFARM_EXPERIMENT"),
        (SEED, "nowhere", (), "--experiment: .*nowhere: No such file or directory"),
        (SEED, "here", (), "experiment: not JSON"),
    ],
)
def test_half_of_a_run_is_refused(tmp_path, monkeypatch, seed, experiment, command, message):
    monkeypatch.delenv(RUN_EXPERIMENT, raising=False)
    (tmp_path / "here").write_text("no JSON")
    with pytest.raises(IdentityError, match=message):
        Identity.given(seed, tmp_path / experiment if experiment else None, command)
