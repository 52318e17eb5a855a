"""examples/continual-learning.yaml: what its ten thousand clips draw, by phase and factor."""

import pytest

from clipfarm.run_file import read_run
from clipfarm_contract.experiments.laws import Choice, Log
from clipfarm_render.scene.sample import Stream
from clipfarm_render.seeds import clip_seed
from helpers.chart import ROOT

SPEC = read_run(ROOT / "examples" / "continual-learning.yaml").spec
DECLARED = SPEC.declared()
PHASES = [phase.name for phase in SPEC.experiment.phases]
FACTORS = [factor.name for factor in DECLARED.scene.declaration.factors]
BINS, CLIPS = 10, 1000


def drawn(name):
    """What each of a phase's first thousand clips draws."""
    entries = [entry for entry in DECLARED.phases if entry.phase.name == name]
    clips = [(entry.phase, clip) for entry in entries for clip in range(entry.start, entry.end + 1)][:CLIPS]
    return [Stream(DECLARED.scene.declaration, phase, clip_seed(SPEC.seed, clip)).values() for phase, clip in clips]


DRAWN = {name: drawn(name) for name in PHASES}
LAWS = {entry.phase.name: entry.phase.laws for entry in DECLARED.phases}


def test_the_phases_have_the_clips_of_the_study():
    clips = [(phase.name, phase.clips.start, phase.clips.end) for phase in SPEC.experiment.phases]
    assert clips == [
        ("base", 0, 4999),
        ("scaling", 5000, 5999),
        ("dissipation", 6000, 6999),
        ("discretisation", 7000, 7999),
        ("kinematics", 8000, 8999),
        ("compositional", 9000, 9999),
    ]


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("phase", PHASES)
def test_a_factor_stays_inside_its_law_and_fills_it_evenly(phase, factor):
    law, values = LAWS[phase][factor], [values[factor] for values in DRAWN[phase]]
    whole = DECLARED.scene.declaration.by_name[factor].whole
    if isinstance(law, Choice) or whole or law.min == law.max:
        kinds = law.values if isinstance(law, Choice) else range(int(law.min), int(law.max) + 1) if whole else {law.min}
        assert {*values} == {*kinds}
        counts, shares = [values.count(kind) for kind in kinds], len(kinds)
    else:
        assert law.min <= min(values)
        assert max(values) <= law.max
        edges = [(law.at(i / BINS), law.at((i + 1) / BINS)) for i in range(BINS)]
        counts, shares = [sum(low <= value < high for value in values) for low, high in edges], BINS
    if phase == "base" and factor in ("object", "mass"):
        return  # what is held out makes a hole in it, which has a test of its own
    share = CLIPS / shares
    # Five standard deviations of a binomial count.
    assert all(abs(count - share) <= 5 * (share * (1 - 1 / shares)) ** 0.5 + 1 for count in counts), counts
    assert not isinstance(law, Log) or min(counts) > 0


def test_what_is_held_out_of_the_base_is_never_drawn_there_and_fills_its_place_elsewhere():
    heavy = [values["object"] == "cone" and values["mass"] >= 2 for values in DRAWN["base"]]
    assert not any(heavy)
    light_cones = sum(values["object"] == "cone" for values in DRAWN["base"])
    heavy_others = sum(values["mass"] >= 2 for values in DRAWN["base"])
    # Of four objects, cones lose the two fifths of the masses: 3/20 of 18/20 of what is left.
    assert light_cones == pytest.approx(CLIPS * 0.15 / 0.9, abs=60)
    assert heavy_others == pytest.approx(CLIPS * 0.3 / 0.9, abs=75)
    assert all(values["object"] == "cone" and values["mass"] >= 2 for values in DRAWN["compositional"])


@pytest.mark.parametrize(
    ("phase", "counts"), [("base", {"train": 4500, "val": 500}), ("compositional", {"test": 1000})]
)
def test_the_clips_for_validation_are_the_last_of_their_phase(phase, counts):
    entries = [entry for entry in DECLARED.phases if entry.phase.name == phase]
    assert {entry.phase.split: entry.end - entry.start + 1 for entry in entries} == counts
