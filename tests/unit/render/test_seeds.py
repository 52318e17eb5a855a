import numpy as np

from clipfarm_render.seeds import clip_seed


def test_a_clips_seed_is_the_first_64_bits_of_its_seed_sequence():
    sequence = np.random.SeedSequence(42, spawn_key=(7,))
    assert clip_seed(42, 7) == int(sequence.generate_state(1, np.uint64)[0])


def test_clips_of_a_run_and_runs_of_a_clip_have_seeds_of_their_own():
    seeds = {clip_seed(run, index) for run in (0, 1, 2) for index in range(1000)}
    assert len(seeds) == 3000


def test_0_is_a_seed_like_any_other_and_its_clips_never_change():
    assert clip_seed(0, 0) == 8668861027912758289
