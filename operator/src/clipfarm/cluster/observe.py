"""One look at a cluster: nothing is asked for, all is read from what watches have brought."""

import time
from collections.abc import Callable, Mapping

from clipfarm.cluster.store import Store
from clipfarm.cluster.tracked import Tracked
from clipfarm.cluster.views import NodeView, PodView, RunKey
from clipfarm.pod_options import PodOptions
from clipfarm.world import Encoding, Ended, GpuId, Node, Reading, Running, World

RELEASE_SECONDS = 30.0
"""After this, a gate that was taken off and is still seen is believed to be there: the patch was lost."""


def observe(
    tracked: Tracked,
    key: RunKey,
    store: Store,
    readings: Mapping[GpuId, Reading],
    now: float,
    wall: Callable[[], float] = time.time,
) -> World:
    """Return what is, in terms of a Job's indexes: one index is one clip, or a block of them."""
    pods = store.pods.get(key, {})
    _settle_released(tracked, pods, now)
    gated = {uid: pod for uid, pod in pods.items() if pod.gated and uid not in tracked.released}
    at_work = [pod for uid, pod in pods.items() if not pod.gated or uid in tracked.released]
    job = store.jobs.get(key)
    completed = job.completed if job else frozenset()
    _count_completions(tracked, len(completed), now)
    ended = _ended(tracked, key, store, {pod.index for pod in gated.values()}, now, wall())
    tried = {end.clip for end in ended}
    return World(
        now=now,
        nodes=_nodes(store, tracked.run.spec.render.pod, readings),
        total=tracked.blocks.count,
        rendered=len(completed),
        waiting=tuple(sorted({pod.index for pod in gated.values()} - tried)),
        running=tuple(
            Running(pod.index, pod.node, pod.gpu, tracked.started.setdefault(pod.uid, now)) for pod in at_work
        ),
        ended=ended,
        readings=tuple(readings.values()),
        gates=tracked.gates,
        completions=tuple(tracked.completions),
        encoding=Encoding(
            running=store.deployments[key].ready if key in store.deployments else 0,
            encoded=tracked.encoded,
            failed=tracked.encode_failed,
        ),
        encode_completions=tuple(tracked.encode_completions),
    )


def _settle_released(tracked: Tracked, pods: Mapping[str, PodView], now: float) -> None:
    for uid, at in list(tracked.released.items()):
        seen = pods.get(uid)
        if seen is None or not seen.gated or now > at + RELEASE_SECONDS:
            del tracked.released[uid]
    for uid in tracked.started.keys() - pods.keys():
        del tracked.started[uid]


def _count_completions(tracked: Tracked, rendered: int, now: float) -> None:
    new = rendered - tracked.rendered
    if tracked.rendered < 0:
        tracked.completions.append(now)  # where the window begins
    else:
        tracked.completions.extend([now] * min(new, tracked.completions.maxlen or new))
    tracked.rendered = rendered


def _ended(tracked: Tracked, key: RunKey, store: Store, gated: set[int], now: float, wall: float) -> tuple[Ended, ...]:
    """Return the indexes whose last attempt failed: for good, or with a new pod that waits at its gate.

    Between the two, while the Job controller has not made the new pod, there is nothing to decide.
    """
    job = store.jobs.get(key)
    for_good = job.failed if job else frozenset()
    latest: dict[int, Ended] = {}
    for pod in store.failed.get(key, {}).values():
        if pod.disrupted or not (pod.index in gated or pod.index in for_good):
            continue
        # The pod's own clock may be off, or have been set back: of it only the age counts, and never less than none.
        at = tracked.failed_at.setdefault(pod.uid, now - max(0.0, wall - pod.ended))
        before = latest.get(pod.index)
        if before is None or pod.attempts > before.attempts:
            latest[pod.index] = Ended(pod.index, pod.exit_code, pod.reason, at, pod.attempts)
    return tuple(latest.values())


def _nodes(store: Store, options: PodOptions, readings: Mapping[GpuId, Reading]) -> tuple[Node, ...]:
    measured: dict[str, list[GpuId]] = {}
    for gpu in readings:
        measured.setdefault(gpu.node, []).append(gpu)
    found = []
    for node in store.nodes.values():
        if not _fits(node, options):
            continue
        gpus = tuple(sorted(measured.get(node.name, ())))
        problem = "no source of GPU memory readings reaches it" if node.gpus and not gpus else ""
        found.append(Node(node.name, node.cpus, gpus, problem))
    return tuple(sorted(found, key=lambda each: each.name))


def _fits(node: NodeView, options: PodOptions) -> bool:
    """Tell whether pods may go to a node, by its labels and taints; what is free there is the scheduler's business."""
    if not node.schedulable or any(node.labels.get(key) != value for key, value in options.node_selector.items()):
        return False
    return all(
        effect == "PreferNoSchedule"
        or any(
            toleration.key in (None, key)
            and (toleration.operator == "Exists" or toleration.value == value)
            and toleration.effect in (None, effect)
            for toleration in options.tolerations
        )
        for key, value, effect in node.taints
    )
