"""Probes find what is there and nothing else, and say what they cannot be asked."""

import importlib
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from click.testing import CliRunner

from clipfarm.probe import fit, report, samples
from clipfarm.probe.fit import Score
from clipfarm.probe.samples import Samples
from helpers.clips import give_features, give_layers, make_clips

command = importlib.import_module("clipfarm.cli.probe").probe
STEPS, TOKENS, WIDTH = 3, 4, 6


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """60 clips; of the features ``carries``, the last layer at the last time step knows friction and phase."""
    run = make_clips(tmp_path_factory.mktemp("run"), frames=2 * STEPS, pictures=False, A1=40, B=20)
    for index in run.clips():
        truth = json.loads(run.clip(index).ground_truth.read_text())
        noise = np.random.default_rng(index).normal(size=(STEPS, TOKENS, WIDTH)).astype(np.float32)
        last = noise.copy()
        last[-1, :, 0] = 3 * truth["friction"] + 1
        give_layers(run.clip(index), "carries", {"layer_1": noise, "layer_2": last}, frame_of_token=[1, 3, 5])
        give_features(run.clip(index), "noise", noise.astype(np.float16))
    return run


def probe(run, *options):
    return CliRunner().invoke(command, [str(run.root), *map(str, options)])


def scores(run, features, target, **options):
    found = samples.read(run, run.clips(), features, target)
    plan = fit.plan(found, options.pop("folds", 5), options.pop("shuffles", 5), 0, **options)
    return list(fit.scores(found, plan))


def test_true_states_predict_themselves_and_shuffled_ones_nothing(run):
    found = scores(run, "states", "states")
    assert len(found) == 2 * STEPS
    for score in found:
        assert score.score == pytest.approx(1, abs=1e-6)
        assert abs(score.control) < 0.15
        assert score.control_high < 0.15


def test_the_layer_and_the_time_step_that_carry_friction_are_found(run):
    found = {(score.layer, score.step): score for score in scores(run, "carries", "friction")}
    assert set(found) == {(layer, step) for layer in ("layer_1", "layer_2") for step in range(STEPS)}
    assert found["layer_2", 2].score > 0.99
    others = [score.score for place, score in found.items() if place != ("layer_2", 2)]
    assert max(others) < 0.2
    assert all(abs(score.control) < 0.2 for score in found.values())


def test_a_word_is_predicted_by_balanced_accuracy(run):
    found = scores(run, "carries/layer_2", "phase")
    assert found[-1].score > 0.99
    assert found[0].score == pytest.approx(0.5, abs=0.2)
    assert found[-1].control == pytest.approx(0.5, abs=0.15)


def test_a_probe_is_tested_on_another_phase(run):
    known = samples.read(run, run.clips(), "carries/layer_2", "friction")
    plan = fit.plan(known, 5, 3, 0, "B")
    [(train, test)] = plan.folds
    assert [known.phases[i] for i in test] == ["B"] * 20
    assert [known.phases[i] for i in train] == ["A1"] * 40
    assert all({known.phases[i] for i in order[test]} == {"B"} for order in plan.shuffled)
    assert list(fit.scores(known, plan))[-1].score > 0.99


def test_folds_and_controls_follow_from_the_seed(run):
    assert scores(run, "noise", "mass") == scores(run, "noise", "mass")


def test_each_clip_is_predicted_once_by_a_probe_that_has_not_seen_it(run):
    found = samples.read(run, run.clips(), "noise", "mass")
    plan = fit.plan(found, 4, 0, 0)
    assert sorted(np.concatenate([test for _, test in plan.folds])) == list(range(60))
    assert all(not set(train) & set(test) for train, test in plan.folds)


def test_a_target_of_states_is_that_of_the_last_frame_of_a_time_step(run):
    found = samples.read(run, [3], "noise", "states")
    assert found.numbers == pytest.approx(np.load(run.clip(3).states)[None, 1::2])


def test_the_command_prints_a_table_and_writes_plot_and_document(run, tmp_path):
    done = probe(run, "--features", "carries", "--target", "friction", "--output", tmp_path)
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert lines[0] == "friction from carries, 60 clips: R² (of shuffled targets)"
    assert lines[1].split() == ["time", "step", "layer_1", "layer_2"]
    assert [line.split()[0] for line in lines[2:5]] == ["0", "1", "2"]
    assert lines[5].startswith("best: 1.000")
    assert " at layer_2, time step 2; best of the shuffled there: " in lines[5]
    assert lines[6] == f"plot: {(tmp_path / 'carries-friction.svg').as_uri()}"
    found = json.loads((tmp_path / "carries-friction.json").read_text())
    assert found["clips"] == 60
    assert found["measure"] == "R²"
    assert found["knowsFuture"] is False
    assert len(found["scores"]) == 2 * STEPS
    ElementTree.parse(tmp_path / "carries-friction.svg")


def test_features_that_know_the_future_are_noted_and_clips_without_them_named(run, tmp_path):
    run.clip(7).features("noise").rename(tmp_path / "aside")
    try:
        done = probe(run, "--features", "noise", "--target", "mass", "--output", tmp_path)
    finally:
        (tmp_path / "aside").rename(run.clip(7).features("noise"))
    assert "NOTE: these features were made of whole clips, so each time step knows the frames after it" in done.output
    assert "left out: 1 clip, such as clip_00007: no features noise yet" in done.output


MASS = ("--features", "noise", "--target", "mass")
REFUSED = [
    (
        (*MASS[:2], "--target", "phase", "--test-split", "B"),
        "the target is A1 for all clips to learn from: nothing to predict",
    ),
    (("--features", "none", "--target", "mass"), "no clip can be used; clip_00000: no features none yet"),
    (("--features", "noise", "--target", "object.shape"), "the target is cube for all clips: nothing to predict"),
    ((*MASS, "--split", "C"), "--split: found no clips of phase C, expected one of A1, B"),
    ((*MASS, "--clips", "8"), "found 8 clips, expected 10 or more for 5 folds (--folds)"),
    ((*MASS, "--test-split", "C"), "found 0 clips of phase 'C' to test on, expected 2 or more"),
    ((*MASS[:2], "--target", "phase", "--folds", "30"), "found 20 clips with B, expected 30 or more (--folds)"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_what_cannot_be_is_refused_in_one_line(run, options, message):
    done = probe(run, *options)
    assert (done.exit_code, done.output) == (2, f"{message}\n")


@pytest.mark.parametrize(
    ("values", "split", "message"),
    [
        # 0.1 60 times: a mean that is not 0.1, and so a standard deviation that is not 0.
        (lambda _: 0.1, (), "the target is 0.1 for all clips: nothing to predict"),
        (lambda _: "", (), "the target is empty for all clips: nothing to predict"),
        (
            lambda index: index if index < 40 else 7,
            ("--test-split", "B"),
            "the target is 7 for all clips of phase 'B' to test on: nothing to predict",
        ),
    ],
)
def test_a_target_without_differences_is_refused(tmp_path, values, split, message):
    run = make_clips(tmp_path, frames=2 * STEPS, pictures=False, A1=40, B=20)
    for index in run.clips():
        truth = json.loads(run.clip(index).ground_truth.read_text())
        run.clip(index).ground_truth.write_text(json.dumps(truth | {"odd": values(index)}))
    done = probe(run, "--features", "states", "--target", "odd", *split)
    assert (done.exit_code, done.output) == (2, f"{message}\n")


def test_a_rare_word_may_be_in_the_tested_clips_of_a_control_alone():
    words = np.array(["rare", "often", "often", "rare", "often", "often"])
    features = np.random.default_rng(0).normal(size=(6, 1, 1, 2)).astype(np.float32)
    found = Samples([], [""], features, None, words, [], "", knows_future=False)
    halves = np.arange(3), np.arange(3, 6)
    plan = fit.Plan((halves, halves[::-1]), (np.array([1, 2, 4, 0, 3, 5]),))
    [score] = fit.scores(found, plan)
    assert 0 <= score.control <= 1


def test_clips_with_features_that_are_no_numbers_are_left_out(tmp_path):
    run = make_clips(tmp_path, frames=2 * STEPS, pictures=False, A1=11)
    for index in run.clips():
        values = np.random.default_rng(index).normal(size=(STEPS, TOKENS, WIDTH)).astype(np.float16)
        values[0, 0, 0] = np.inf if index == 3 else 0
        give_features(run.clip(index), "f", values)
    done = probe(run, "--features", "f", "--target", "mass")
    assert done.exit_code == 0
    assert "left out: 1 clip, such as clip_00003: features that are no numbers" in done.output


def test_a_target_that_is_not_known_lists_those_that_are(run):
    done = probe(run, "--features", "noise", "--target", "weight")
    assert done.exit_code == 2
    assert done.output.startswith("--target: found weight, expected states, phase, or one of displacement, distance, ")
    assert "friction" in done.output


def test_a_plot_shows_scores_far_below_zero_at_its_edge():
    found = [Score("", step, -50.0, float("nan"), float("nan")) for step in range(3)]
    picture = report.plot(found, "a < b & c", "R²")
    root = ElementTree.fromstring(picture)
    assert root.get("aria-label") == "a < b & c"
    circles = [float(each.get("cy")) for each in root.iter("{http://www.w3.org/2000/svg}circle")]
    assert circles == [report.HEIGHT - report.BOTTOM] * 3
    assert "shuffled</text>" not in picture


def test_features_of_another_shape_are_left_out(run):
    give_features(run.clip(5), "odd", np.zeros((STEPS, TOKENS, WIDTH), np.float16))
    give_features(run.clip(6), "odd", np.zeros((STEPS, TOKENS, WIDTH + 1), np.float16))
    found = samples.read(run, [5, 6], "odd", "mass")
    assert isinstance(found, Samples)
    assert found.clips == ["clip_00005"]
    assert found.left_out == {"clip_00006": "features of shape (1, 3, 7), unlike (1, 3, 6) of clip_00005"}
