"""Encoders claim GPU memory from their start until a reading shows it."""

import asyncio
from dataclasses import replace

import pytest

from clipfarm.cluster.api.nodes import NodeView
from clipfarm.cluster.api.pod_states import Reported
from clipfarm.cluster.api.pod_views import EncoderPod, PodView
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.encoder_claims import encoder_claims
from clipfarm.cluster.observing.memory import Rendering
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.process.tick import Ticker
from clipfarm.cluster.reporting.vram import claims_text
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.decide.fair import take_turns
from clipfarm.decide.plan import Draft
from clipfarm.decide.vram import encoders
from clipfarm.decide.vram.ledger import Ledger
from clipfarm.encode import Encode
from clipfarm.encoder_memory import ALLOCATES_SECONDS, encoder_memory
from clipfarm.manifests.common import Owner
from clipfarm.world import ClipMemory, Encoder, Node, Reading, Running, Standing
from helpers.runs import GPU0, GPU1, NODE, make_run, make_world, reading

SIZE = ClipMemory(3000.0, 3000.0, 3000.0, 0.0, ALLOCATES_SECONDS, 1000)
HERE = Node(NODE, 100, (GPU0,))
NOW = 1000.0
SETS = {"weights": {"source": "random"}}


def test_an_encoder_takes_what_was_measured():
    found = encoder_memory(Encode.model_validate(SETS | {"batchSize": 16}), 32)
    # ``encode_gpu_gib`` is what PyTorch holds, without its context.
    assert found.peak_mib - 500 == pytest.approx(4.27 * 1024, rel=0.03)


def test_a_model_whose_name_says_nothing_counts_as_the_largest():
    unknown = encoder_memory(Encode.model_validate(SETS | {"model": "timm:any"}), 16)
    known = encoder_memory(Encode.model_validate(SETS | {"model": "vjepa2_1_vitgigantic16"}), 16)
    assert unknown.peak_mib > known.peak_mib


def claims(began, *, at=NOW, lag=0.0, gpu=None, node=HERE):
    pods = (Running(0, NODE, gpu, began, "e"),)
    readings = {each: Reading(each, 1000.0, 10_000.0, at, lag) for each in (GPU0, GPU1)}
    return encoders.claims("ns/b", SIZE, pods, (node,), readings)


SHOWN = [
    ("one that has no container yet", claims(None), False),
    ("one that began just now", claims(NOW - 5), False),
    ("one that has had its time", claims(NOW - 91), True),
    ("a reading that may be older", claims(NOW - 91, lag=5.0), False),
    ("one whose GPU is known", claims(NOW - 91, gpu=GPU1), True),
    ("one on a node without GPUs", claims(NOW - 91, node=Node("other", 8)), False),
]


@pytest.mark.parametrize(("what", "found", "shown"), SHOWN, ids=[row[0] for row in SHOWN])
def test_it_claims_until_a_reading_surely_shows_it(what, found, shown):
    assert (found.running == ()) is shown
    assert (found.name, found.encodes) == ("ns/b (encoder)", True)


def draft(name, *others, size=1000, gpus=(GPU0,)):
    run = make_run(100, workers=20, render={"device": "cuda"}, vram={"perClip": f"{size}Mi"} if size else {})
    nodes = (Node(NODE, 100, gpus),)
    readings = tuple(replace(reading(gpu, 0.1), at=NOW) for gpu in gpus)
    return Draft(name, run, make_world(run, nodes=nodes, readings=readings, waiting=tuple(range(20)), others=others))


def started(*drafts, ledger=None):
    take_turns(drafts, ledger or Ledger(), NOW)
    return [len(each.plan().start) for each in drafts]


def test_its_claim_takes_room_from_clips_of_all_runs():
    # Of 8,500 MiB 1,000 are in use.
    assert started(draft("ns/a")) == [7]
    assert started(draft("ns/a"), draft("ns/b", claims(NOW - 5))) == [2, 2]
    assert sum(started(draft("ns/b", claims(NOW - 91)))) == 7


def test_a_clip_that_waits_for_it_says_so():
    run = draft("ns/b", claims(NOW - 5), size=5000)
    assert started(run) == [0]
    [held] = run.plan().status.held
    assert held.hold.message.startswith(
        "GPU 0 on here: 1.0 GiB in use, 1 encoder started just now (2.9 GiB); another clip (4.9 GiB) would exceed"
    )


def test_an_encoder_that_uses_all_gpus_claims_on_each():
    assert started(draft("ns/b", claims(NOW - 5, node=Node(NODE, 100, (GPU0, GPU1))), gpus=(GPU0, GPU1))) == [8]


def test_a_claim_ends_with_the_encoder_and_is_listed_while_it_lasts():
    ledger = Ledger()
    first = draft("ns/b", claims(NOW - 5))
    started(first, ledger=ledger)
    [theirs] = [each for each in ledger.claims(NODE, GPU0) if each.run != "ns/b"]
    assert (theirs.run, theirs.clips, theirs.mib, theirs.since) == ("ns/b (encoder)", 1, 3000.0, NOW - 5)
    assert claims_text([(theirs.run, theirs.clips, "2.9 GiB", 5.0)]) == "ns/b 1 encoder 2.9 GiB 5s"
    assert started(draft("ns/b"), ledger=ledger) == [7]


def test_an_encoder_is_no_clip_of_unknown_size():
    """A run's first clip counts as the largest of other runs; an encoder is none of them."""
    assert started(draft("ns/a", claims(NOW - 5), size=None)) == [1]
    ledger = Ledger()
    draft("ns/b", claims(NOW - 5)).enter(ledger)
    assert ledger.largest_mib("ns/a") == 1000.0


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ({"runtimeClassName": "nvidia"}, [(NODE, "Chosen", None)]),
        ({"resources": {"nvidia.com/gpu": "1"}}, [(NODE, "Whole", None)]),
        ({}, None),
    ],
)
def test_in_a_cluster_its_pods_claim_on_their_node(pod, expected):
    run = make_run(encode={"enabled": True, "weights": {"source": "random"}, "pod": pod})
    tracked = Tracked(Asked(run, Owner("ns", "run-1", {}), 1), {})
    store, gpus = Store(), Gpus()
    store.nodes.put("n", NodeView(NODE, 8, 1, {}, (), True, {"nvidia.com/gpu": 1}))
    gpus.readings = {GPU0: Reading(GPU0, 1000.0, 10_000.0, NOW)}
    starts = Standing("Starting", NOW - 3)
    found = encoder_claims(
        tracked.asked,
        {"u": EncoderPod("e", "u", ("ns", "test"), "set", "", 0, None, Reported("Starting"), NODE)},
        {"u": Encoder("e", starts)},
        Seen(store, gpus, NOW, NOW),
        gpus.readings,
    )
    if expected is None:
        assert found == ()
        return
    [other] = found
    assert [(each.name, each.sharing) for each in other.nodes] == [each[:2] for each in expected]
    assert [(each.node, each.started_at) for each in other.running] == [(each[0], each[2]) for each in expected]


@pytest.mark.parametrize(
    ("state", "claiming"), [("Bound", 1), ("Starting", 1), ("Working", 1), ("Ending", 0), ("Lost", 0)]
)
def test_one_that_ends_claims_nothing_more(state, claiming):
    run = make_run(encode={"enabled": True, "weights": {"source": "random"}, "pod": {"runtimeClassName": "nvidia"}})
    tracked, store = Tracked(Asked(run, Owner("ns", "run-1", {}), 1), {}), Store()
    store.nodes.put("n", NodeView(NODE, 8, 1, {}, (), True, {}))
    gpus = Gpus()
    gpus.readings = {GPU0: Reading(GPU0, 1000.0, 10_000.0, NOW)}
    pods = {"u": EncoderPod("e", "u", ("ns", "test"), "set", "", 0, None, Reported(state), NODE)}
    known = {"u": Encoder("e", Standing(state, NOW - 3))}
    [found] = encoder_claims(tracked.asked, pods, known, Seen(store, gpus, NOW, NOW), gpus.readings)
    assert len(found.running) == claiming


class Idle:
    """A gatekeeper that has nothing to do."""

    def answered(self):
        return []


async def on():
    """Let nothing come in between."""


class Deleted:
    """A roster on which no run is any more."""

    def follow(self, key):
        return None


def test_of_a_deleted_run_its_claim_ends_with_its_pod():
    clip, store = Running(0, NODE, GPU0, NOW - 5, "clip"), Store()
    run = draft("ns/b", claims(None))
    run.world = replace(run.world, running=(clip,))
    view = PodView("clip", "c", ("ns", "test"), "job", 0, None, NODE, GPU0)
    tracked = Tracked(Asked(run.run, Owner("ns", "run-1", {}), 1), {})
    tracked.memory = replace(tracked.memory, rendering=Rendering(job="job", at_work={"c": (view, clip)}))
    store.pods.put("c", view)
    store.encoders.put("u", EncoderPod("e", "u", ("ns", "test"), "set", "", 0, None, Reported("Starting"), NODE))
    ticker = Ticker(store, Gpus(), {}, Deleted(), None, Idle(), None, 60.0, lambda: NOW, lambda: NOW)
    run.enter(ticker.ledger)
    ticker._looked["ns", "b"] = tracked, run

    def claimants():
        asyncio.run(ticker.tick([("ns", "b")], on))
        return {each.run for each in ticker.ledger.claims(NODE, GPU0)}

    assert claimants() == {"ns/b (deleted)", "ns/b (deleted) (encoder)"}
    store.pods.drop("c")
    assert claimants() == {"ns/b (deleted) (encoder)"}
    store.encoders.drop("u")
    assert claimants() == set()
    assert not ticker.ledger.accounts
