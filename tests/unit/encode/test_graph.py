import pytest
import torch

from clipfarm_encode.models.base import OWN, Output
from clipfarm_encode.models.vjepa2.graph import Graphs

pytestmark = pytest.mark.torch


class Recorded:
    """A CUDA graph in which what was launched between begin and end is one function."""

    fails = False
    alive = 0

    def __init__(self):
        Recorded.alive += 1

    def __del__(self):
        Recorded.alive -= 1

    def capture_begin(self, capture_error_mode):
        assert capture_error_mode == "thread_local"
        if Recorded.fails:
            raise RuntimeError("CUDA out of memory")
        Model.recording = self

    def capture_end(self):
        Model.recording = None

    def replay(self):
        self.launched()


class Model:
    """Doubles its input, as a model whose launches may be recorded."""

    recording = None

    def __init__(self):
        self.calls = []

    def tables(self, video):
        return video, video

    def __call__(self, video, output):
        self.calls.append(tuple(video.shape))
        features, overflowed = torch.zeros_like(video), torch.zeros(len(video))

        def launch():
            features.copy_(2 * video)

        if Model.recording is None:
            launch()
        else:
            Model.recording.launched = launch
        return (features,), overflowed


@pytest.fixture
def graphs(monkeypatch):
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recorded)
    monkeypatch.setattr(Recorded, "fails", False)
    return Graphs(Model())


def video(batch, value):
    return torch.full((batch, 2), float(value))


def doubled(graphs, batch, value):
    (features,), _ = graphs(video(batch, value))
    assert (features == 2 * value).all()
    return features


def test_the_second_batch_of_a_shape_and_size_is_captured_and_the_next_ones_are_replayed(graphs):
    for value in range(1, 6):
        doubled(graphs, 4, value)
    assert graphs.model.calls == [(4, 2), (4, 2)]


def test_another_output_of_the_same_batch_is_captured_anew(graphs):
    for output in (OWN, OWN, OWN, Output(last=1), Output(last=1), Output(last=1)):
        graphs(video(4, 1), output)
    assert graphs.model.calls == [(4, 2)] * 4


def test_what_a_batch_returned_stays_when_the_next_one_is_replayed(graphs):
    kept = [doubled(graphs, 4, value) for value in range(1, 5)]
    assert [each[0, 0].item() for each in kept] == [2, 4, 6, 8]


def test_a_last_batch_that_is_smaller_leaves_the_graph_as_it_is(graphs):
    for batch in (4, 4, 3, 4, 4):
        doubled(graphs, batch, batch)
    assert graphs.model.calls == [(4, 2), (4, 2), (3, 2)]


def test_one_graph_is_kept(graphs):
    for batch in (4, 4, 3, 3, 3):
        doubled(graphs, batch, batch)
    assert Recorded.alive == 1
    graphs.forget()
    assert Recorded.alive == 0
    doubled(graphs, 3, 1)
    assert graphs.model.calls[-1] == (3, 2)


def test_where_nothing_can_be_captured_batches_are_launched_one_operation_after_the_other(graphs, monkeypatch):
    monkeypatch.setattr(Recorded, "fails", True)
    for value in range(4):
        doubled(graphs, 4, value)
    assert graphs.model.calls == [(4, 2)] * 4
