"""The contexts of features: nothing of the future in them, the same as transformers' model, and computed together."""

import numpy as np
import pytest
import torch

from clipfarm_contract.extraction import Extraction
from clipfarm_encode.models.base import Computed
from clipfarm_encode.models.batch import EncodeError, OutOfMemoryError
from clipfarm_encode.models.encoder import Encoder, get_encoder
from clipfarm_encode.models.preprocess import normalise
from clipfarm_encode.models.vjepa2.network import CONFIGS, Config
from clipfarm_encode.passes import Extracting, passes
from unit.encode.made_up import reference

pytestmark = pytest.mark.torch

NAME, FRAMES, CROP = "vjepa2_tiny16", 8, 32
STEPS = CROP // 16 * (CROP // 16)
"""Tokens of a time step."""
EXTRACTIONS = {
    "clip": Extraction(),
    "clip, layers": Extraction(layers=(1, 3, 4)),
    "clip, pooled": Extraction(pool="space"),
    "frame": Extraction("frame"),
    "frame, every second, layers": Extraction("frame", stride=2, layers=(2, 4)),
    "frame, pooled": Extraction("frame", pool="space"),
    "prefix": Extraction("prefix"),
    "prefix, layers, pooled": Extraction("prefix", layers=(1, 2, 3, 4), pool="space"),
    "prefix, window": Extraction("prefix", window=2),
    "prefix, window of one": Extraction("prefix", window=1, layers=(2,)),
    "prefix, every fourth frame": Extraction("prefix", stride=4),
}


@pytest.fixture(scope="module")
def encoder():
    return get_encoder(NAME, "random", "cpu", dtype="fp32", crop_size=CROP)


@pytest.fixture(scope="module")
def clips():
    generator = torch.Generator().manual_seed(7)
    return torch.randint(0, 256, (2, FRAMES, 3, CROP, CROP), dtype=torch.uint8, generator=generator)


def extracted(encoder, extraction, clips):
    """Return the features of each clip: (layers, time steps, tokens of a step, width)."""
    results = list(Extracting(encoder, extraction, list(clips)).results())
    steps = len(extraction.last_frames(clips.shape[1], 2))
    return [np.stack(each.features).reshape(max(1, len(extraction.layers)), steps, -1, 192) for each in results]


@pytest.mark.parametrize("name", EXTRACTIONS)
def test_what_comes_later_changes_no_feature_of_a_frame_or_a_prefix(encoder, clips, name):
    """The proof that nothing leaks: all frames from ``t`` on are others, and every feature before keeps its bytes."""
    extraction = EXTRACTIONS[name]
    lasts = extraction.last_frames(FRAMES, 2)
    [before] = extracted(encoder, extraction, clips[:1])
    for t in range(1, FRAMES):
        changed = clips[:1].clone()
        changed[:, t:] = 255 - changed[:, t:]
        [after] = extracted(encoder, extraction, changed)
        same = [bool((before[:, i] == after[:, i]).all()) for i in range(len(lasts))]
        assert same == [last < t for last in lasts]
    if extraction.context == "clip":
        assert not any(same), "of a whole clip every time step knows the last frame"


@pytest.mark.parametrize("name", EXTRACTIONS)
def test_features_do_not_depend_on_the_other_clips_of_their_batch(encoder, clips, name):
    together = extracted(encoder, EXTRACTIONS[name], clips)
    alone = [extracted(encoder, EXTRACTIONS[name], clip[None])[0] for clip in clips]
    assert all((a == b).all() for a, b in zip(together, alone, strict=True))


@pytest.mark.parametrize("context", ["frame", "prefix"])
def test_features_of_the_first_frames_are_those_of_a_shorter_clip(encoder, clips, context):
    [whole], [part] = (extracted(encoder, Extraction(context), clips[:1, :count]) for count in (FRAMES, FRAMES - 2))
    assert (whole[:, : part.shape[1]] == part).all()


@pytest.mark.parametrize("name", EXTRACTIONS)
def test_features_are_those_of_transformers_on_the_same_frames(clips, tmp_path, monkeypatch, name):
    """Every context and layer, with random weights; of each pass the oracle sees the frames and nothing else."""
    extraction, config = EXTRACTIONS[name], Config(width=192, layers=4, heads=3)
    oracle = reference(config, CROP, FRAMES)
    oracle.save_pretrained(tmp_path)
    monkeypatch.setitem(CONFIGS, NAME, config)
    encoder = get_encoder(NAME, str(tmp_path), "cpu", dtype="fp32", crop_size=CROP)
    hidden = {}
    for number, layer in enumerate(oracle.encoder.layer, start=1):
        layer.register_forward_hook(lambda _, __, output, number=number: hidden.__setitem__(number, output[0]))

    def tokens(frames):
        """Return the last time step of the oracle's hidden states, or of a whole clip all of them."""
        video = normalise(clips[:1, frames])
        with torch.inference_mode():
            oracle.encoder(video)
            layers = [oracle.encoder.layernorm(hidden[each]) for each in extraction.layers or (4,)]
        found = torch.stack([each[0].reshape(-1, STEPS, 192) for each in layers])
        return found if extraction.context == "clip" else found[:, -1:]

    if extraction.context == "clip":
        shown = [list(range(FRAMES))]
    elif extraction.context == "frame":
        shown = [[last, last] for last in extraction.last_frames(FRAMES, 2)]
    else:
        window = 2 * (extraction.window or FRAMES)
        shown = [list(range(max(0, last + 1 - window), last + 1)) for last in extraction.last_frames(FRAMES, 2)]
    expected = torch.cat([tokens(frames) for frames in shown], dim=1).numpy()
    expected = expected.mean(axis=2, keepdims=True) if extraction.pool == "space" else expected
    [found] = extracted(encoder, extraction, clips[:1])
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-4


def test_the_last_layer_is_the_models_own_output(encoder, clips):
    assert (extracted(encoder, Extraction(), clips)[0] == extracted(encoder, Extraction(layers=(4,)), clips)[0]).all()


class Limited(Encoder):
    """An encoder that notes its batches, and whose device has memory for so many frames."""

    def __init__(self, encoder, room=10_000):
        self.__dict__.update(encoder.like(crop_size=CROP).__dict__)
        self.batches = []
        launch = self._lane.launch

        def limited(clips, output):
            self.batches.append((len(clips), len(clips[0])))
            if sum(map(len, clips)) > room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return launch(clips, output)

        self._lane = type(
            "Lane", (), {"launch": staticmethod(limited), "compute": "float32", "forget": staticmethod(lambda: None)}
        )()


@pytest.mark.parametrize(
    ("extraction", "batches"),
    [
        (Extraction(), [(2, 8)]),
        # As many as have the tokens of two whole clips.
        (Extraction("frame"), [(8, 2), (8, 2)]),
        (Extraction("prefix"), [(2, 8), (2, 6), (2, 4), (2, 2)]),
        (Extraction("prefix", window=2), [(4, 4), (2, 4), (2, 2)]),
    ],
)
def test_passes_of_one_length_are_computed_together_across_clips(encoder, clips, extraction, batches):
    device = Limited(encoder)
    device.sizes = type(device.sizes)(2)
    list(Extracting(device, extraction, list(clips)).results())
    assert device.batches == batches


class InOneBuffer(Encoder):
    """An encoder whose batches come back in one array each, as from a GPU."""

    def __init__(self, encoder):
        self.__dict__.update(encoder.like(crop_size=CROP).__dict__)
        self.buffers = []
        launch = self._lane.launch

        def into_one(clips, output):
            layers = list(zip(*(each.features for each in launch(clips, output)()), strict=True))
            found = [torch.from_numpy(np.stack(each)).numpy() for each in layers]  # torch's memory
            self.buffers += found
            return lambda: [Computed(each, "float32") for each in zip(*map(list, found), strict=True)]

        self._lane = type("Lane", (), {"launch": staticmethod(into_one), "compute": "float32"})()


@pytest.mark.parametrize("name", EXTRACTIONS)
def test_passes_that_come_back_side_by_side_are_not_copied(encoder, clips, name):
    extraction = EXTRACTIONS[name]
    device = InOneBuffer(encoder)
    device.sizes = type(device.sizes)(2)
    results = list(Extracting(device, extraction, list(clips)).results())
    expected = list(Extracting(encoder, extraction, list(clips)).results())
    for found, exact in zip(results, expected, strict=True):
        for ours, theirs in zip(found.features, exact.features, strict=True):
            assert (ours.shape, ours.tobytes()) == (theirs.shape, theirs.tobytes())
            in_place = any(np.shares_memory(ours, each) for each in device.buffers)
            assert in_place is (extraction.context != "prefix" or extraction.window == 1)


def test_passes_that_do_not_fit_are_computed_in_halves_and_only_what_fails_alone_fails(encoder, clips):
    expected = extracted(encoder, Extraction("prefix"), clips)
    device = Limited(encoder, room=8)
    found = extracted(device, Extraction("prefix"), clips)
    assert all((a == b).all() for a, b in zip(found, expected, strict=True))
    results = list(Extracting(Limited(encoder, room=6), Extraction("prefix"), list(clips)).results())
    assert all(isinstance(each, OutOfMemoryError) for each in results)
    assert str(results[0]).startswith("GPU memory is too small for one clip of 8 frames at 32 x 32 pixels (16 tokens")


def test_an_error_of_one_pass_is_its_clips(encoder, clips):
    device = Limited(encoder)
    launch = device._lane.launch

    def broken(clips, output):
        if any((clip[:1] == bad).all() for clip in clips):
            raise RuntimeError("an illegal memory access")
        return launch(clips, output)

    bad = clips[1, :1]
    device._lane.launch = broken
    good, failed = Extracting(device, Extraction("frame"), list(clips)).results()
    assert isinstance(failed, EncodeError)
    assert good.features[0].shape == (FRAMES * STEPS, 192)


def test_work_counts_the_tokens_of_all_passes(encoder, clips):
    def tokens(extraction):
        return Extracting(encoder, extraction, list(clips)).work[0] / len(clips) / STEPS

    assert [tokens(Extraction(*each)) for each in (("clip",), ("frame",), ("prefix",), ("prefix", None, 2))] == [
        *(4, 8, 1 + 2 + 3 + 4, 1 + 2 + 2 + 2)
    ]


@pytest.mark.parametrize(
    ("extraction", "frames", "message"),
    [
        (Extraction(), 5, "5 frames; the model takes 2 at a time"),
        (Extraction("prefix", stride=6), 4, "4 frames, expected at least 6"),
        (Extraction("prefix"), 1, "1 frames, expected at least 2"),
    ],
)
def test_a_clip_that_has_no_whole_time_step_is_refused(encoder, extraction, frames, message):
    with pytest.raises(ValueError, match=message):
        passes(extraction, frames, encoder.model)


def test_an_odd_number_of_frames_is_no_matter_where_each_has_a_pass_of_its_own(encoder):
    assert len(passes(Extraction("frame"), 5, encoder.model)) == 5
    assert len(passes(Extraction("prefix"), 5, encoder.model)) == 2
