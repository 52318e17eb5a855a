"""One look at a cluster: nothing is asked for, all is read from what watches have brought."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from clipfarm.cluster.api.endings import FailedPod, within
from clipfarm.cluster.api.nodes import fits, own_label, selected
from clipfarm.cluster.api.pod_states import Reported
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.views import DeploymentView, EncoderPod, JobView, PodView, RunKey
from clipfarm.cluster.observing import stuck
from clipfarm.cluster.observing.devices import capacity, of_kind, sharing
from clipfarm.cluster.observing.standings import Standings
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.decide.admission import Elsewhere
from clipfarm.world import Departed, Encoder, Encoding, Ended, GpuId, Label, Moment, Node, Reading, Running, World
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.indexes import Indexes

GONE = "its folder is gone"
"""Why a clip that was complete cannot be encoded."""
UNMADE_SHOWN = 100
"""Indexes without a pod that are looked at while it is not settled how many may run."""
LEFT_SECONDS = 120.0
"""How long a pod that has ended is remembered: no reading that counts is older."""


def own_job(tracked: Tracked, key: RunKey, store: Store) -> JobView | None:
    """Return the Job that makes the run's clips.

    Not one that is on its way out, of an earlier run of that name, or of an earlier attempt.
    """
    owner = tracked.owner
    jobs = store.jobs.of(key).values()
    return next(
        (job for job in jobs if job.owner == owner.uid and job.attempt == owner.attempt and not job.deleting), None
    )


def own_deployment(tracked: Tracked, key: RunKey, store: Store) -> DeploymentView | None:
    """Return the run's encoders; not those of an earlier run of that name."""
    return next((each for each in store.deployments.of(key).values() if each.owner == tracked.owner.uid), None)


def own_encoders(tracked: Tracked, key: RunKey, store: Store) -> dict[str, EncoderPod]:
    """Return the pods of the run's encoders, by UID: those that the ReplicaSets of its Deployment have made.

    Anybody may give a pod the labels of a run's encoders.
    """
    deployment = own_deployment(tracked, key, store)
    if deployment is None:
        return {}
    sets = {each.uid for each in store.replica_sets.of(key).values() if each.owner == deployment.uid}
    return {uid: pod for uid, pod in store.encoders.of(key).items() if pod.owner in sets}


def observe(tracked: Tracked, key: RunKey, store: Store, gpus: Gpus, now: float, wall: float) -> World:
    """Return what is, in terms of a Job's indexes: one index is one clip, or a block of them.

    Args:
        tracked: the run; what it remembers of earlier looks is brought up to date.
        key: its namespace and name.
        store: what watches have brought.
        gpus: what is known of GPU memory.
        now: the time, seconds on a clock that only goes forward.
        wall: the time, Unix; of use only for what happened before this process was there.
    """
    job, deployment = own_job(tracked, key, store), own_deployment(tracked, key, store)
    readings = gpus.counting_in(key[0])
    tracked.follow(job.uid if job else "", job.results if job else "")
    rendering, total = tracked.rendering, tracked.blocks.count
    pods = {
        uid: pod
        for uid, pod in (store.pods.of(key).items() if job else ())
        if pod.owner == rendering.job and pod.index < total and not pod.never_to_run
    }
    _settle(tracked, pods, store.failed.of(key), now)
    rendering.unschedulable = stuck.since(rendering.unschedulable, pods, now)
    aside = rendering.set_aside(now)
    gated = {pod.index for uid, pod in pods.items() if pod.gated and uid not in rendering.released and uid not in aside}
    standings = Standings(tracked, store, now, wall)
    let_go = [
        _running(tracked, uid, pod, standings)
        for uid, pod in pods.items()
        if not pod.gated or uid in rendering.released
    ]
    tracked.pods = Counter([pod.standing.state for pod in let_go])
    running = tuple(pod for pod in let_go if pod.state != "Lost") if tracked.pods["Lost"] else tuple(let_go)
    if rendering.began_at is None:
        rendering.began_at = min((pod.started_at for pod in running if pod.started_at is not None), default=None)
    tracked.pods["Gated"] = len(pods) - len(let_go)
    _forget_lost_nodes(tracked, store)
    tracked.encoders = _encoders(tracked, key, store, standings)
    completed, failed = (
        _below(found, tracked.blocks.count) for found in ((job.completed, job.failed) if job else (Indexes(),) * 2)
    )
    asked = deployment.replicas if deployment else 0
    if not asked and not tracked.status.get("completionTime"):
        tracked.encoding.left, tracked.encoding.absent = None, Indexes()  # what they saw last will not be so for long
    ended = _ended(tracked, key, store, gated, failed, now, wall)
    _count_completions(tracked, len(completed), now)
    complete_clips = _complete_clips(tracked, completed)
    return World(
        moment=Moment(now, wall),
        nodes=_nodes(store, tracked, gpus, readings, now),
        total=total,
        rendered=len(completed),
        waiting=tuple(sorted(gated - {end.index for end in ended})),
        running=running,
        lost=tuple(pod for pod in let_go if pod.state == "Lost"),
        ended=ended,
        readings=tuple(readings.values()),
        watermarks=tracked.gates,
        completions=tuple(rendering.completions),
        encoding=Encoding(
            running=sum(each.state == "Working" and not each.standing.reason for each in tracked.encoders.values()),
            pods=tuple(sorted(tracked.encoders.values(), key=lambda encoder: encoder.name)),
            encoded=tracked.encoding.encoded,
            failed=tracked.encoding.failed,
            early_ends=tuple(tracked.encoding.early_ends),
            stuck=tracked.encoding.stuck,
            asked=asked,
            answering=tracked.encoding.answering if asked else 0,
            left=tracked.encoding.left,
            vanished=_vanished(tracked, completed, failed, complete_clips),
        ),
        encode_completions=tuple(tracked.encoding.completions),
        block=tracked.blocks.per_index,
        complete_clips=complete_clips,
        unmade=_unmade(tracked, pods.values(), completed, failed, ended, rendering.aside(now)),
        workers=tracked.workers,
        unfit=_unfit(store, tracked, gpus),
        max_default_workers=tracked.max_default_workers,
        grows=True,
        departed=tuple(rendering.left.values()),
        clip_memory=tracked.clip_memory.summary(),
        complete_before=_complete_before(tracked),
        fatal=tracked.fatal,
        refused=rendering.refused,
        refusal=rendering.trial.refusal,
        turn=tracked.turn,
    )


def _below(found: Indexes, count: int) -> Indexes:
    """Return the indexes of a Job that has so many of them: its status is a text."""
    last = found.ranges[-1][1] if found.ranges else -1
    return found if last < count else found.without(Indexes.between(count, last))


def _complete_before(tracked: Tracked) -> int:
    """Count clips that an earlier Job made."""
    return len(tracked.run.spec.clips) - tracked.blocks.clips.count


def _complete_clips(tracked: Tracked, completed: Indexes) -> int:
    """Count clips: those of completed blocks, those done in blocks that failed, and those made by an earlier Job."""
    made = tracked.blocks.clips_in(completed) + sum(pod.done for pod in tracked.rendering.final.values())
    return _complete_before(tracked) + made


def _vanished(tracked: Tracked, completed: Indexes, failed: Indexes, complete_clips: int) -> dict[int, str]:
    """Return complete clips that encoders do not find, once the last is rendered and they see nothing left to do."""
    encoding, blocks = tracked.encoding, tracked.blocks
    all_rendered = completed.count + failed.count >= blocks.count
    if not all_rendered or encoding.left != 0 or encoding.encoded + len(encoding.failed) >= complete_clips:
        return {}
    unfinished = (index for index in range(blocks.count) if index not in completed)
    not_made = Indexes.of(clip for index in unfinished for clip in blocks.of_index(index))
    return dict.fromkeys(encoding.absent.without(not_made), GONE)


def _settle(tracked: Tracked, pods: Mapping[str, PodView], failed: Mapping[str, FailedPod], now: float) -> None:
    """Take note of pods that are no more."""
    rendering, on_gpu = tracked.rendering, tracked.run.spec.render.device != "cpu"
    for uid in [uid for uid in rendering.released if uid not in pods or not pods[uid].gated]:
        del rendering.released[uid]
    for uid in [uid for uid in rendering.unreleased if uid not in pods or not pods[uid].gated]:
        del rendering.unreleased[uid]
    for uid in tracked.words.keys() - rendering.at_work.keys() - tracked.encoders.keys():
        del tracked.words[uid]
    for uid in rendering.at_work.keys() - pods.keys():
        view, pod = rendering.at_work.pop(uid)
        if pod.started_at is not None:
            rendering.ends.append(now)
        if pod.started_at is not None and on_gpu and pod.state != "Lost":
            rendering.left[uid] = Departed(pod.node, pod.gpu, pod.started_at, now)
            if uid not in failed:
                rendering.finished.pop(pod.gpu or uid, None)  # the latest comes last
                rendering.finished[pod.gpu or uid] = view
    while rendering.left and now - next(iter(rendering.left.values())).ended_at > LEFT_SECONDS:
        rendering.left.popitem(last=False)
    # Told by a watch of its own, which may be ahead of the one that the pod has gone from, or behind it.
    for uid in failed.keys() & rendering.left.keys():
        ran_out = failed[uid].exit_code is ExitCode.OUT_OF_VRAM
        rendering.left[uid] = replace(rendering.left[uid], out_of_vram=ran_out)
        for where in [where for where, done in rendering.finished.items() if done.uid == uid]:
            del rendering.finished[where]


def _running(tracked: Tracked, uid: str, pod: PodView, standings: Standings) -> Running:
    """Return a pod that was let go; where its gate is not seen to be off yet, by where it was sent."""
    rendering = tracked.rendering
    sent = rendering.released.get(uid)
    seen, before = rendering.at_work.get(uid, (None, None))
    if before is not None and seen is pod and sent is None and not standings.may_change(uid, pod.node, before.standing):
        return before  # of hundreds of pods at work few have changed since the last look
    gpu = sent if isinstance(sent, GpuId) else pod.gpu
    node = pod.node or (gpu.node if gpu else sent if isinstance(sent, str) else pod.sent_to)
    elsewhere = pod.elsewhere or isinstance(sent, Elsewhere)
    started_at = before.started_at if before else None
    if started_at is None and pod.began is not None:
        started_at = standings.own(pod.began)
    reported = Reported("Released") if pod.gated else pod.reported
    standing = standings.of(uid, reported, pod.node, before.standing if before else None)
    found = Running(pod.index, node, gpu, started_at, pod.name, standing, elsewhere)
    rendering.at_work[uid] = (pod, found)
    return found


def _encoders(tracked: Tracked, key: RunKey, store: Store, standings: Standings) -> dict[str, Encoder]:
    found = {}
    for uid, pod in own_encoders(tracked, key, store).items():
        if not pod.ended:
            before = tracked.encoders.get(uid)
            standing = standings.of(uid, pod.reported, pod.node, before.standing if before else None)
            found[uid] = Encoder(pod.name, standing, ready=pod.ready)
    return found


def _forget_lost_nodes(tracked: Tracked, store: Store) -> None:
    """Drop the count of pods that were given up on a node which answers again, or is gone."""
    known = tracked.rendering.lost_on
    if known:
        silent = {node.name for node in store.nodes.all() if node.silent_since is not None}
        for name in known.keys() - silent:
            del known[name]


def _count_completions(tracked: Tracked, completed: int, now: float) -> None:
    rendering = tracked.rendering
    if rendering.completed is None:
        rendering.completions.append(now)  # where the window begins
    else:
        new = completed - rendering.completed
        rendering.completions.extend([now] * min(new, rendering.completions.maxlen or new))
    rendering.completed = completed


def _ended(
    tracked: Tracked, key: RunKey, store: Store, gated: set[int], for_good: Indexes, now: float, wall: float
) -> tuple[Ended, ...]:
    """Return the indexes whose last attempt failed: for good, or with a new pod that waits at its gate.

    Between the two, while the Job controller has not made the new pod, there is nothing to decide.
    """
    rendering, limit = tracked.rendering, tracked.run.spec.retry.limit
    pods = {
        uid: pod
        for uid, pod in store.failed.of(key).items()
        if pod.owner == rendering.job and pod.index < tracked.blocks.count
    }
    latest: dict[int, tuple[FailedPod, float]] = {}
    for uid, pod in pods.items():
        # The pods' clock may be off, or have been set back. It is asked only for what ended before this process
        # looked, and then only for an age.
        age = max(0.0, wall - pod.ended) if rendering.completed is None else 0.0
        at = rendering.failed_at.setdefault(uid, now - age)
        if pod.index not in latest or _order(pod) > _order(latest[pod.index][0]):
            latest[pod.index] = (pod, at)
    for uid in rendering.failed_at.keys() - pods.keys():
        del rendering.failed_at[uid]
    again = []
    for index, (pod, at) in latest.items():
        # The Job comes to the same conclusion, but some time later.
        final = not pod.disrupted and (pod.exit_code is not ExitCode.OUT_OF_VRAM or pod.attempts > limit)
        if final or index in for_good:
            rendering.final[index] = within(pod, tracked.blocks)
        elif index in gated and not pod.disrupted:
            again.append(Ended(index, pod.exit_code, pod.reason, at, pod.attempts))
    failed = rendering.final.keys() | set(for_good)
    return tuple(again + [_final(index, rendering.final.get(index), now) for index in sorted(failed)])


def _order(pod: FailedPod) -> tuple[bool, int, float]:
    """Of an index's pods the last counts, and one that was disrupted only where there is no other."""
    return (not pod.disrupted, pod.attempts, pod.ended)


def _final(index: int, pod: FailedPod | None, now: float) -> Ended:
    if pod is None:
        return Ended(index, ExitCode.FAILED, "its pod is gone, and the reason with it", now, 1, final=True, clips=0)
    return Ended(index, pod.exit_code, pod.reason, now, pod.attempts, final=True, clips=max(1, len(pod.clips)))


def _unmade(
    tracked: Tracked, pods: Iterable[PodView], completed: Indexes, failed: Indexes, ended: Sequence[Ended], aside: int
) -> tuple[int, ...]:
    """Return indexes that have no pod and could run; none if there are as many pods as may run.

    Pods that cannot run now are not counted: those of clips that are tried again later, and ``aside`` more.
    """
    known = {pod.index for pod in pods}
    again = sum(not end.final for end in ended)
    most = tracked.run.spec.workers or tracked.workers or UNMADE_SHOWN
    missing = most - len(known) + again + aside
    if missing <= 0:
        return ()
    known |= {end.index for end in ended}
    left = Indexes.between(0, tracked.blocks.count - 1).without(completed).without(failed)
    return tuple(islice((index for index in left if index not in known), missing))


def _unfit(store: Store, tracked: Tracked, gpus: Gpus) -> tuple[Label, ...]:
    """Return labels of nodes whose GPUs are shared, and that take no pods now: cordoned, or not ready."""
    render = tracked.run.spec.render
    if render.device == "cpu":
        return ()
    known = ((node, len(gpus.on(node.name))) for node in store.nodes.all() if selected(node, render.pod))
    return tuple(
        sorted(
            own_label(node)
            for node, there in known
            if there and not fits(node, render.pod) and sharing(node, render.pod, there) != "Whole"
        )
    )


def _nodes(
    store: Store, tracked: Tracked, gpus: Gpus, readings: Mapping[GpuId, Reading], now: float
) -> tuple[Node, ...]:
    render, found = tracked.run.spec.render, []
    on_gpu = render.device != "cpu"
    probable: set[str] = set()
    remembered: dict[str, list[GpuId]] = {}
    for gpu in tracked.gates:
        remembered.setdefault(gpu.node, []).append(gpu)
    for node in store.nodes.all():
        if not fits(node, render.pod):
            continue
        # After a restart nothing was measured yet, and gates are remembered: unknown, not gone.
        here = gpus.on(node.name) or tuple(sorted(remembered.get(node.name, ())))
        if here or node.gpus:
            probable.add(node.name)
        found.append(
            Node(
                node.name,
                node.cpus,
                of_kind(here, readings, render.pod),
                gpus.problem(node.name) if on_gpu else "",
                sharing(node, render.pod, len(here)),
                capacity(node, render),
                label=own_label(node),
            )
        )
    avoid = stuck.avoided(tracked, (node.name for node in found if node.gpus), now)
    if avoid:
        found = [replace(node, avoided=avoid.get(node.name, "")) for node in found]
    # Where nothing is known of any, the reason that is shown is the first one's: of a node that has GPUs, if one has.
    return tuple(sorted(found, key=lambda each: (on_gpu and each.name not in probable, each.name)))
