import io
import json
import threading

import numpy as np
import pytest
import torch
from rich.console import Console

from clipfarm_contract.feature_sets import FeatureSet, WeightsSource
from clipfarm_contract.layout import RunFolder
from clipfarm_encode import pipeline as module
from clipfarm_encode.files.decoding import Decoders
from clipfarm_encode.files.finding import find_clips
from clipfarm_encode.loading import recipe
from clipfarm_encode.models.base import OWN, Computed
from clipfarm_encode.models.encoder import Encoder
from clipfarm_encode.models.memory import BatchSizes
from clipfarm_encode.models.vjepa2.model import VJEPA2
from clipfarm_encode.models.vjepa2.network import CONFIGS, VJEPA2Encoder, random_state
from clipfarm_encode.models.weights import Weights
from clipfarm_encode.pipeline import Pipeline
from clipfarm_encode.reporting.progress import Reporter
from clipfarm_encode.reporting.tally import DeviceTally
from clipfarm_encode.saving import Work
from clipfarm_encode.selection import Destination, Once, survey
from clipfarm_encode.stopping import Latch
from unit.encode.made_up import make_clip

pytestmark = pytest.mark.torch

NAME = "vjepa2_tiny16"


class Device(Encoder):
    """An encoder on a device that is no CPU: batches go together; it notes them, and how often it gives memory back."""

    def __init__(self, room=100, batch_size=4):
        model = VJEPA2Encoder(CONFIGS[NAME])
        model.load_state_dict(random_state(CONFIGS[NAME], 0))
        super().__init__(VJEPA2(model.eval()), NAME, Weights("random", "00", None), torch.device("cpu"), crop_size=32)
        self.sizes = BatchSizes(batch_size)
        self.batches, self.given_back = [], 0
        launch = self._lane.launch

        def limited(clips, output=OWN):
            self.batches.append(len(clips))
            if len(clips) > room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return launch(clips, output)

        self._lane.launch = limited

    def give_back(self):
        self.given_back += 1


@pytest.fixture
def run(tmp_path):
    for i in range(12):
        make_clip(tmp_path / "run", i, size=32)
    return RunFolder(tmp_path / "run")


def start(run, encoders, *, batch_size=4, source=Once):
    """Encode a folder on devices, and return the pipeline with its reporter."""
    made = recipe(FeatureSet(NAME, NAME, WeightsSource("random")), encoders[0])
    devices = [DeviceTally(f"cuda:{i}") for i in range(len(encoders))]
    reporter = Reporter([made], devices, None, Console(file=io.StringIO()))
    work = Work(encoders, Destination(made, None, overwrite=False), reporter.sets[0])
    clips = source([(survey(find_clips(run.root), work.destination), work.account)])
    with Decoders(2) as decoders:
        pipeline = Pipeline([work], clips, reporter, Latch(), batch_size=batch_size, decoders=decoders)
        pipeline.run()
    return pipeline, reporter


def test_clips_go_to_the_device_in_full_batches(run):
    device = Device()
    _, reporter = start(run, [device])
    assert device.batches == [4, 4, 4]
    assert len(reporter.tally.encoded) == 12
    assert reporter.tally.encoding == reporter.tally.waiting == 0


def test_every_device_takes_its_share_and_they_agree(run):
    devices = [Device(batch_size=1), Device(batch_size=1)]
    _, reporter = start(run, devices, batch_size=1)
    assert all(device.batches for device in devices)
    assert sum(tally.clips for tally in reporter.devices) == 12
    before = {path: path.read_bytes() for path in run.root.rglob("feature_maps/*.npy")}
    for path in before:
        path.unlink()
    start(run, [Device(batch_size=1)], batch_size=1)
    assert {path: path.read_bytes() for path in before} == before


def test_the_size_that_fits_is_remembered_from_batch_to_batch(run):
    device = Device(room=2)
    made, reporter = start(run, [device])
    assert device.batches == [4, 2, 2, 2, 2, 2, 2]
    assert len(reporter.tally.encoded) == 12
    assert not made.out_of_memory


def test_one_clip_that_does_not_fit_is_named_with_its_sizes(run):
    made, reporter = start(run, [Device(room=0)])
    assert made.out_of_memory
    assert reporter.tally.failures["clip_00000"] == (
        "GPU memory is too small for one clip of 4 frames at 32 x 32 pixels (8 tokens):"
        " CUDA out of memory. Tried to allocate 2.00 GiB"
    )


def test_no_more_clips_are_inside_than_the_bound(run):
    inside, most, lock = 0, 0, threading.Lock()

    class Counting(Once):
        def __iter__(self):
            nonlocal inside, most
            for turn in super().__iter__():
                with lock:
                    inside += 1
                yield turn
                with lock:
                    most = max(most, inside)

        def settled(self, turn, *, unread=False):
            nonlocal inside
            with lock:
                inside -= 1

    _, reporter = start(run, [Device(batch_size=1)], batch_size=1, source=Counting)
    assert len(reporter.tally.encoded) == 12
    assert 1 < most <= 2 + 4 * 1 + 1  # and one that waits at the door


def test_clips_of_many_shapes_do_not_block_each_other(tmp_path):
    run = RunFolder(tmp_path / "shapes")
    for i in range(12):
        make_clip(run.root, i, frames=2 + 2 * i, size=16)
    device = Device(batch_size=8)
    _, reporter = start(run, [device], batch_size=1)
    assert len(reporter.tally.encoded) == 12


def test_a_device_that_is_idle_gives_its_memory_back_once(run, monkeypatch):
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.01)
    device = Device()
    idle = threading.Event()

    class Pausing(Once):
        def __iter__(self):
            yield from super().__iter__()
            idle.wait(0.5)

    give_back = device.give_back

    def counted():
        give_back()
        if len(list(run.root.rglob("feature_maps/*.npy"))) == 12:
            idle.set()

    device.give_back = counted
    start(run, [device], source=Pausing)
    assert 1 <= device.given_back <= 4  # before the first clip perhaps, and after the last


@pytest.mark.parametrize("stage", ["prepare", "start"])
def test_a_mistake_of_ours_ends_the_run_with_its_own_error(run, monkeypatch, stage):
    def broken(*_):
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(Device, stage, broken)
    with pytest.raises(ZeroDivisionError, match="a mistake"):
        start(run, [Device()])


def test_features_that_are_not_finite_are_not_saved(run, monkeypatch):
    device = Device()
    launch = device._lane.launch
    nan = np.full((8, 192), np.nan, np.float16)
    device._lane.launch = lambda clips, output: lambda: [Computed((nan,), "float16") for _ in launch(clips)()]
    _, reporter = start(run, [device])
    assert set(reporter.tally.failures.values()) == {"its features are not finite numbers"}
    assert not list(run.root.rglob("feature_maps/*.npy"))


def test_a_clip_computed_in_another_precision_than_the_others_says_so_once_and_in_its_sidecar(run):
    device = Device()
    launch = device._lane.launch

    def launched(clips, output):
        wait = launch(clips)
        return lambda: [Computed(each.features, "bfloat16" if i < 2 else "float32") for i, each in enumerate(wait())]

    device._lane.launch = launched
    _, reporter = start(run, [device])
    said = reporter._console.file.getvalue()
    assert said.count("NOTE: clip_000") == said.count("a value exceeds float32's range; this clip and others") == 1
    sidecars = [json.loads(clip.clip.features_sidecar(NAME).read_text()) for clip in find_clips(run.root)]
    assert sorted(each["compute"] for each in sidecars) == ["bfloat16"] * 6 + ["float32"] * 6
