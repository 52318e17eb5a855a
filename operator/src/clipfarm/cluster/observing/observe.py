"""One look at a cluster: nothing is asked for, all is read from what watches have brought."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from clipfarm.cluster.api.pod_views import PodView
from clipfarm.cluster.observing import carried_over, places, refused, stuck
from clipfarm.cluster.observing.beside import Asking
from clipfarm.cluster.observing.encoder_claims import encoder_claims
from clipfarm.cluster.observing.exporting import exporting
from clipfarm.cluster.observing.failures import failures
from clipfarm.cluster.observing.memory import Memory
from clipfarm.cluster.observing.node_kind import node_kind
from clipfarm.cluster.observing.own import Own
from clipfarm.cluster.observing.pods import released, without_ended
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.standings import Standings
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.manifests.export import KIND
from clipfarm.world import Encoder, Encoding, Ended, Moment, World
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.indexes import Indexes

GONE = "its folder is gone"
"""Why a clip that was complete cannot be encoded."""
UNMADE_SHOWN = 100
"""Indexes without a pod that are looked at while it is not settled how many may run."""


def observe(tracked: Tracked, own: Own, seen: Seen) -> tuple[World, Memory]:
    """Return what is, in terms of a Job's indexes, and what is to be remembered for the next look.

    One index is one clip, or a block of them. Nothing of the run is changed here.
    """
    now, run, job, deployment = seen.now, tracked.run, own.job, own.deployment
    before = tracked.memory.on(job, run, tracked.owner)
    blocks, rendering, releases = before.blocks, before.rendering, tracked.releases
    total = blocks.count
    pods = {
        uid: pod
        for uid, pod in (own.pods.items() if job else ())
        if pod.owner == rendering.job and pod.index < total and not pod.never_to_run
    }
    standings, on_gpu = Standings(tracked, seen, rendering), run.spec.render.device != "cpu"
    rendering = without_ended(rendering, pods, own.failed, tracked.answers.ended_by, now, on_gpu=on_gpu)
    aside = releases.set_aside(now)
    gated = {pod.index for uid, pod in pods.items() if pod.gated and uid not in releases.released and uid not in aside}
    at_work = released(rendering.at_work, pods, releases.released, standings)
    running = tuple(pod for _, pod in at_work.values())
    counts = Counter([pod.standing.state for pod in running])
    lost = tuple(pod for pod in running if pod.state == "Lost") if counts["Lost"] else ()
    if lost:
        running = tuple(pod for pod in running if pod.state != "Lost")
    counts["Gated"] = len(pods) - len(at_work)
    encoders = _encoders(before.encoders, own, standings)
    completed, failed = (_below(found, total) for found in ((job.completed, job.failed) if job else (Indexes(),) * 2))
    limit = run.spec.retry.limit
    attempts = failures(rendering, blocks, own.failed, gated, completed, failed, limit, now, seen.wall)
    missing = refused.missing_since(rendering, job, total, own.pods.values(), now)
    trial = tracked.answers.trial_of(missing)
    refused_indexes = tuple(refused.next_indexes(job, total, own.pods.values())) if job and trial.refusal else ()
    unschedulable = stuck.since(rendering.unschedulable, pods, now)
    lowering, lowered = carried_over.lowering(rendering, tracked.work.on_job, job, own.pods.values(), now)
    following = replace(
        rendering,
        unschedulable=unschedulable,
        silent=standings.silent,
        at_work=at_work,
        began_at=carried_over.began_at(rendering, running),
        failed_at=attempts.failed_at,
        final=attempts.final,
        missing_since=missing,
        refused=refused_indexes,
        lowering=lowering,
        lowered=lowered,
        lost_on=carried_over.lost_on(rendering, tracked.work.on_job, seen.store),
        counted=len(tracked.work.on_job.given_up),
        completed=len(completed),
        completions=carried_over.completions(rendering, len(completed), now),
    )
    kind = node_kind(tracked, seen, running, len(completed) + len(failed))
    export = exporting(run, tracked.owner, tracked.status, seen.store)
    seen_now = {"Job": job, "Deployment": deployment, KIND: export.job or export.other}
    memory = replace(
        before,
        node_kind=kind,
        job=job,
        deployment=deployment,
        rendering=following,
        encoders=encoders,
        pods=counts,
        seen_at={
            **before.seen_at,
            **{kind: now for kind, there in seen_now.items() if there},
        },
        exporting=export,
        encoder_refusal=refused.explained(deployment.refusal, "encode") if deployment and deployment.refusal else "",
    )
    readings = seen.gpus.for_namespace(tracked.key[0])
    asking = Asking.of(tracked, pods)
    nodes, unfit = places.nodes(tracked, seen, readings, asking, kind), places.unfit(tracked, seen)
    complete_clips = _complete_clips(tracked, memory, completed, attempts.unfinished)
    world = World(
        moment=Moment(now, seen.wall),
        nodes=nodes,
        total=total,
        rendered=len(completed),
        waiting=tuple(sorted(gated - {end.index for end in attempts.ended})),
        running=running,
        lost=lost,
        ended=attempts.ended,
        gave_up=attempts.gave_up,
        broke_off=tuple(end for end in attempts.unfinished if end.exit_code is ExitCode.BROKE_OFF),
        readings=tuple(readings.values()),
        watermarks=memory.watermarks,
        completions=following.completions,
        encoding=_encoding(
            tracked, memory, deployment.replicas if deployment else 0, completed, failed, complete_clips
        ),
        encode_completions=tuple(tracked.encoding.completions),
        block=blocks.per_index,
        complete_clips=complete_clips,
        unmade=_unmade(tracked, memory, pods.values(), completed, failed, attempts.ended, releases.aside(now)),
        workers=memory.workers,
        workers_since=memory.workers_since,
        queued=bool(tracked.owner.queue),
        node_kind=kind,
        unfit=unfit,
        max_default_workers=tracked.max_default_workers,
        grows=True,
        departed=tuple(following.departed.values()),
        clip_memory=tracked.clip_memory.summary(),
        complete_before=_complete_before(tracked, memory),
        fatal=tracked.fatal,
        refused=following.refused,
        refusal=trial.refusal,
        turn=memory.turn,
        pod_requests=asking.requests,
        others=encoder_claims(tracked, own.encoders, encoders, seen, readings),
    )
    return world, memory


def _below(found: Indexes, count: int) -> Indexes:
    """Return the indexes of a Job that has so many of them: its status is a text."""
    last = found.ranges[-1][1] if found.ranges else -1
    return found if last < count else found.without(Indexes.between(count, last))


def _complete_before(tracked: Tracked, memory: Memory) -> int:
    """Count clips that an earlier Job made."""
    return 0 if tracked.run.spec.source else len(tracked.run.spec.to_render) - memory.blocks.clips.count


def _complete_clips(tracked: Tracked, memory: Memory, completed: Indexes, unfinished: Iterable[Ended]) -> int:
    """Count clips: those of completed blocks, those done in blocks that failed, and those made by an earlier Job.

    Of a run of videos those that an encoder has cut.
    """
    if tracked.run.spec.source:
        return tracked.encoding.listing.clips if tracked.encoding.listing else 0
    made = memory.blocks.clips_in(completed) + sum(pod.done for pod in memory.rendering.final.values())
    made += sum(end.done for end in unfinished)
    return _complete_before(tracked, memory) + made


def _encoding(
    tracked: Tracked, memory: Memory, asked: int, completed: Indexes, failed: Indexes, complete_clips: int
) -> Encoding:
    """Return how far the run's encoders are; ``asked`` is how many there are to be."""
    encoding, pods = tracked.encoding, memory.encoders.values()
    return Encoding(
        running=sum(each.state == "Working" and not each.standing.reason for each in pods),
        pods=tuple(sorted(pods, key=lambda encoder: encoder.name)),
        encoded=encoding.encoded,
        failed=encoding.failed,
        early_ends=tuple(encoding.early_ends),
        stuck=encoding.stuck,
        asked=asked,
        answering=encoding.answering if asked else 0,
        left=encoding.left,
        listing=tracked.run.spec.source is not None and encoding.listing is None,
        passed_over=encoding.listing.passed_over if encoding.listing else 0,
        vanished=_vanished(tracked, memory, completed, failed, complete_clips),
    )


def _vanished(
    tracked: Tracked, memory: Memory, completed: Indexes, failed: Indexes, complete_clips: int
) -> dict[int, str]:
    """Return complete clips that encoders do not find, once the last is rendered and they see nothing left to do."""
    encoding, blocks = tracked.encoding, memory.blocks
    all_rendered = completed.count + failed.count >= blocks.count
    if not all_rendered or encoding.left != 0 or encoding.encoded + len(encoding.failed) >= complete_clips:
        return {}
    unfinished = (index for index in range(blocks.count) if index not in completed)
    not_made = Indexes.of(clip for index in unfinished for clip in blocks.of_index(index))
    return dict.fromkeys(encoding.absent.without(not_made), GONE)


def _encoders(known: Mapping[str, Encoder], own: Own, standings: Standings) -> dict[str, Encoder]:
    found = {}
    for uid, pod in own.encoders.items():
        if not pod.ended:
            before = known.get(uid)
            standing = standings.of(uid, pod.reported, pod.node, before.standing if before else None)
            found[uid] = Encoder(pod.name, standing, ready=pod.ready)
    return found


def _unmade(
    tracked: Tracked,
    memory: Memory,
    pods: Iterable[PodView],
    completed: Indexes,
    failed: Indexes,
    ended: Sequence[Ended],
    aside: int,
) -> tuple[int, ...]:
    """Return indexes that have no pod and could run; none if there are as many pods as may run.

    Pods that cannot run now are not counted: those of clips that are tried again later, and ``aside`` more.
    """
    known = {pod.index for pod in pods}
    again = sum(not end.final for end in ended)
    most = tracked.run.spec.workers or memory.workers or UNMADE_SHOWN
    missing = most - len(known) + again + aside
    if missing <= 0:
        return ()
    known |= {end.index for end in ended}
    left = Indexes.between(0, memory.blocks.count - 1).without(completed).without(failed)
    return tuple(islice((index for index in left if index not in known), missing))
