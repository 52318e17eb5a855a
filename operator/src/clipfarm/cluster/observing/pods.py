"""Renderers' pods as rules see them: those that were released, and those that have ended not long ago."""

from collections.abc import Mapping
from dataclasses import replace

from clipfarm.cluster.api.endings import FailedPod
from clipfarm.cluster.api.pod_states import Reported
from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.observing.memory import MOST_ENDS, Rendering
from clipfarm.cluster.observing.standings import Standings
from clipfarm.decide.admission import Elsewhere, To
from clipfarm.world import Departed, GpuId, Running
from clipfarm_contract.exit_codes import RAN_OUT

LEFT_SECONDS = 120.0
"""How long a pod that has ended is remembered: no reading that counts is older."""


def released(
    known: Mapping[str, tuple[PodView, Running]],
    pods: Mapping[str, PodView],
    under_way: Mapping[str, To],
    standings: Standings,
) -> dict[str, tuple[PodView, Running]]:
    """Return the pods that were released, by UID, and what to make of each.

    Args:
        known: the same at the last look.
        pods: the Job's pods that may run, by UID.
        under_way: pods, by UID, whose gate no watch shows to be off yet, and where each is sent.
        standings: where pods stand.
    """
    found = {}
    for uid, pod in pods.items():
        if pod.gated and uid not in under_way:
            continue
        before, sent = known.get(uid), under_way.get(uid)
        # Of hundreds of pods at work few have changed since the last look.
        if before is None or before[0] is not pod or sent is not None or _may_change(uid, before, standings):
            before = (pod, _running(uid, pod, sent, before[1] if before else None, standings))
        found[uid] = before
    return found


def _may_change(uid: str, before: tuple[PodView, Running], standings: Standings) -> bool:
    return standings.may_change(uid, before[0].node, before[1].standing)


def _running(uid: str, pod: PodView, sent: To | None, before: Running | None, standings: Standings) -> Running:
    """Return a pod that was released; where its gate is not seen to be off yet, by where it was sent."""
    gpu = sent if isinstance(sent, GpuId) else pod.gpu
    node = pod.node or (gpu.node if gpu else sent if isinstance(sent, str) else pod.sent_to)
    elsewhere = pod.elsewhere or isinstance(sent, Elsewhere)
    started_at = before.started_at if before else None
    if started_at is None and pod.began is not None:
        started_at = standings.own(pod.began)
    reported = Reported("Released") if pod.gated else pod.reported
    standing = standings.of(uid, reported, pod.node, before.standing if before else None)
    return Running(pod.index, node, gpu, started_at, pod.name, standing, elsewhere)


def without_ended(
    rendering: Rendering,
    pods: Mapping[str, PodView],
    failed: Mapping[str, FailedPod],
    ended_by: Mapping[str, float],
    now: float,
    *,
    on_gpu: bool,
) -> Rendering:
    """Return what is remembered once pods that are no more have left those at work.

    Args:
        rendering: what was remembered.
        pods: the Job's pods that may run, by UID.
        failed: those that have failed, by UID.
        ended_by: when pods that were asked had ended, or earlier, by UID.
        now: the time.
        on_gpu: whether the run's clips use GPU memory.
    """
    gone = [(uid, *rendering.at_work[uid]) for uid in rendering.at_work.keys() - pods.keys()]
    if not gone and not rendering.departed:
        return rendering
    left, finished = dict(rendering.departed), dict(rendering.finished)
    for uid, view, pod in gone:
        if pod.started_at is not None and on_gpu and pod.state != "Lost":
            left[uid] = Departed(pod.node, pod.gpu, pod.started_at, now)
            if uid not in failed:
                finished.pop(pod.gpu or uid, None)  # the latest comes last
                finished[pod.gpu or uid] = view
    while left and now - (oldest := next(iter(left.items())))[1].ended_at > LEFT_SECONDS:
        del left[oldest[0]]
    # Reported by a watch of its own, which may be ahead of the one that the pod has gone from, or behind it.
    for uid in failed.keys() & left.keys():
        left[uid] = replace(left[uid], out_of_vram=failed[uid].exit_code in RAN_OUT)
    for uid in ended_by.keys() & left.keys():
        left[uid] = replace(left[uid], ended_at=max(left[uid].started_at, ended_by[uid]))
    for where in [where for where, done in finished.items() if done.uid not in left or done.uid in failed]:
        del finished[where]
    ended = sum(pod.started_at is not None for _, _, pod in gone)
    ends = (*rendering.ends, *[now] * ended)[-MOST_ENDS:] if ended else rendering.ends
    return replace(rendering, departed=left, finished=finished, ends=ends)
