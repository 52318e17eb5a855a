"""Runs that share a GPU, on a control plane: what each starts counts for all of them, also after a restart."""

from collections.abc import Callable, Iterator

import pytest

from helpers.cluster import Namespace
from helpers.gpu_nodes import TOTAL_MIB, GpuNodes
from helpers.local import wait_until
from helpers.operators import RUNS, Runs

CLIP_MIB = TOTAL_MIB / 12
# The exporter collects seldom: without what other runs claim, each would see an empty GPU.
VRAM = {"checkInterval": "0.5s", "staleAfter": "30s", "perClip": f"{int(CLIP_MIB)}Mi", "allocationTime": "3s"}
FITS = 10
"""0.85 of the GPU, in clips."""
NAMES = ("first", "second", "third")


@pytest.fixture
def one_gpu() -> Iterator[Callable[[Namespace], GpuNodes]]:
    played: list[GpuNodes] = []

    def start(namespace: Namespace) -> GpuNodes:
        played.append(GpuNodes(namespace, ("node-0",), 1, CLIP_MIB, look_seconds=0.5))
        return played[-1]

    yield start
    for each in played:
        each.close()


def test_three_runs_on_one_gpu_stay_within_its_memory_and_all_get_on(
    definition, namespace: Namespace, start_operator, one_gpu
):
    gpu, runs = one_gpu(namespace), Runs(namespace)
    operator = start_operator(namespace, "--vram-endpoint", gpu.url)
    selector = {"nodeSelector": {"kubernetes.io/hostname": "node-0"}}
    for name in NAMES:
        runs.create(name, clips=24, seconds="4", workers=9, render={"device": "cuda", "pod": selector}, vram=VRAM)

    def at_work() -> list[int]:
        return [len(runs.at_work(name)) for name in NAMES]

    def shared() -> bool:
        found = at_work()
        return sum(found) >= FITS - 1 and max(found) - min(found) <= 2

    wait_until(shared, "the GPU to be full, and each run to have its share", limit=60)
    held = wait_until(lambda: runs.condition("VRAMHeld", "first")["message"], "a run to say why its clips wait")
    assert "GPU 0 on node-0" in held
    operator.kill()  # what its successor knows it finds on the pods
    operator.start()
    runs.namespace.delete(RUNS, "third")  # its pods have memory until they are gone
    for name in NAMES[:2]:
        assert runs.finished(name, limit=180)["rendered"] == 24
    assert max(gpu.most.values()) <= FITS * CLIP_MIB + 1, "no start of any run took more than there is"
