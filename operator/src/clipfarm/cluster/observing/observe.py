"""One look at a cluster: nothing is asked for, all is read from what watches have brought."""

from collections import Counter
from dataclasses import replace

from clipfarm.cluster.api.endings import within
from clipfarm.cluster.observing import carried_over, refused, stuck
from clipfarm.cluster.observing.beside import Asking
from clipfarm.cluster.observing.devices import offers, unfit
from clipfarm.cluster.observing.encoder_claims import encoder_claims
from clipfarm.cluster.observing.encoding import complete_before, complete_clips, encoders, encoding
from clipfarm.cluster.observing.exporting import exporting
from clipfarm.cluster.observing.failures import failures
from clipfarm.cluster.observing.memory import Memory
from clipfarm.cluster.observing.node_kind import node_kind, recorded_labels
from clipfarm.cluster.observing.own import Own
from clipfarm.cluster.observing.places import nodes
from clipfarm.cluster.observing.pods import released, without_ended
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.settled import Settled
from clipfarm.cluster.observing.standings import Standings
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.observing.unmade import missing_since, next_indexes, unmade
from clipfarm.manifests.export import KIND
from clipfarm.world import Moment, World
from clipfarm_contract.exit_codes import RAN_OUT, ExitCode


def observe(tracked: Tracked, own: Own, seen: Seen) -> tuple[World, Memory]:
    """Return what is, in terms of a Job's indexes, and what is to be remembered for the next look.

    One index is one clip, or a block of them. Nothing of the run is changed here.
    """
    asked, now, run, job, deployment = tracked.asked, seen.now, tracked.run, own.job, own.deployment
    render, retry, answers = run.spec.render, run.spec.retry, tracked.answers
    before = tracked.memory.on(job, run, asked.owner)
    blocks, rendering, releases = before.blocks, before.rendering, tracked.releases
    total = blocks.count
    pods = {
        uid: pod
        for uid, pod in (own.pods.items() if job else ())
        if pod.owner == rendering.job and pod.index < total and not pod.never_to_run
    }
    failed_pods = {
        uid: within(pod, blocks) for uid, pod in own.failed.items() if pod.owner == rendering.job and pod.index < total
    }
    standings, on_gpu = Standings(seen, rendering, answers.words, retry.lost_after), render.device != "cpu"
    rendering = without_ended(rendering, pods, failed_pods, answers.ended_by, now, on_gpu=on_gpu)
    aside = releases.set_aside(now)
    gated = {pod.index for uid, pod in pods.items() if pod.gated and uid not in releases.released and uid not in aside}
    at_work = released(rendering.at_work, pods, releases.released, standings)
    running = tuple(pod for _, pod in at_work.values())
    counts = Counter([pod.standing.state for pod in running])
    lost = tuple(pod for pod in running if pod.state == "Lost") if counts["Lost"] else ()
    if lost:
        running = tuple(pod for pod in running if pod.state != "Lost")
    counts["Gated"] = len(pods) - len(at_work)
    encoders_pods = encoders(before.encoders, own, standings)
    settled = Settled.of(job, total)
    attempts = failures(rendering, blocks, failed_pods, gated, settled, retry.limit, now, seen.wall)
    idle = len(gated & attempts.final.keys())
    missing = missing_since(rendering, job, total, own.pods.values(), now)
    trial = answers.trial_of(missing)
    refused_indexes = tuple(next_indexes(job, total, own.pods.values())) if job and trial.refusal else ()
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
        idle=idle,
        starved=rendering.starved or bool(tracked.owner.queue and job and 0 < job.parallelism <= idle),
        missing_since=missing,
        refused=refused_indexes,
        lowering=lowering,
        lowered=lowered,
        lost_on=carried_over.lost_on(rendering, tracked.work.on_job, seen.store),
        counted=len(tracked.work.on_job.given_up),
        completed=settled.completed.count,
        completions=carried_over.completions(rendering, settled.completed.count, now),
    )
    readings = seen.readings(tracked.key[0])
    offered, unfit_nodes = offers(render, before.watermarks, seen, readings.by_gpu), unfit(render, seen)
    kind = node_kind(run, recorded_labels(tracked.status), before.node_kind, seen, offered, running, settled.count)
    export = exporting(run, asked.owner, tracked.status, seen.store)
    seen_now = {"Job": job, "Deployment": deployment, KIND: export.job or export.other}
    memory = replace(
        before,
        node_kind=kind,
        job=job,
        deployment=deployment,
        rendering=following,
        encoders=encoders_pods,
        pods=counts,
        seen_at={
            **before.seen_at,
            **{kind: now for kind, there in seen_now.items() if there},
        },
        exporting=export,
        encoder_refusal=refused.explained(deployment.refusal, "encode") if deployment and deployment.refusal else "",
    )
    asking = Asking.of(render, pods)
    of_kind = [offer for offer in offered if kind.has(offer.node.labels)]
    complete = complete_clips(run, memory, tracked.encoding.listing, settled.completed, attempts.unfinished)
    progress = encoding(run, memory, tracked.encoding, settled, complete)
    most = run.spec.workers or memory.workers
    world = World(
        moment=Moment(now, seen.wall),
        nodes=nodes(asked, tracked.work.on_job.avoided, seen, of_kind, asking),
        total=total,
        rendered=settled.completed.count,
        waiting=tuple(sorted(gated - {end.index for end in attempts.ended})),
        running=running,
        lost=lost,
        ended=attempts.ended,
        gave_up=attempts.gave_up,
        ran_out_before=frozenset(end.index for end in attempts.unfinished if end.exit_code in RAN_OUT),
        broke_off=tuple(end for end in attempts.unfinished if end.exit_code is ExitCode.BROKE_OFF),
        readings=readings.every,
        watermarks=memory.watermarks,
        completions=following.completions,
        encoding=progress,
        encode_completions=tuple(tracked.encoding.completions),
        block=blocks.per_index,
        complete_clips=complete,
        unmade=unmade(most, pods.values(), settled, attempts.ended, releases.aside(now) + following.idle),
        workers=memory.workers,
        workers_since=memory.workers_since,
        queued=bool(tracked.owner.queue),
        starved=following.starved,
        node_kind=kind,
        unfit=unfit_nodes,
        max_default_workers=tracked.max_default_workers,
        grows=True,
        departed=tuple(following.departed.values()),
        clip_memory=tracked.clip_memory.summary(),
        complete_before=complete_before(run, blocks),
        fatal=tracked.fatal,
        refused=following.refused,
        refusal=trial.refusal,
        turn=memory.turn,
        pod_requests=asking.requests,
        others=encoder_claims(asked, own.encoders, encoders_pods, seen, readings.by_gpu),
    )
    return world, memory
