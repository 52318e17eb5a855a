"""What a run's encoders have to encode, and how far they are."""

from collections.abc import Iterable, Mapping

from clipfarm.cluster.observing.memory import Memory
from clipfarm.cluster.observing.own import Own
from clipfarm.cluster.observing.settled import Settled
from clipfarm.cluster.observing.standings import Standings
from clipfarm.cluster.observing.work import EncoderReports
from clipfarm.manifests.blocks import Blocks
from clipfarm.run import Run
from clipfarm.world import Encoder, Encoding, Ended
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.video_listing import Listing

GONE = "its folder is gone"
"""Why a clip that was complete cannot be encoded."""


def encoders(known: Mapping[str, Encoder], own: Own, standings: Standings) -> dict[str, Encoder]:
    """Return the run's encoders, by UID; ``known`` are those of the last look."""
    found = {}
    for uid, pod in own.encoders.items():
        if not pod.ended:
            before = known.get(uid)
            standing = standings.of(uid, pod.reported, pod.node, before.standing if before else None)
            found[uid] = Encoder(pod.name, standing, ready=pod.ready)
    return found


def complete_before(run: Run, blocks: Blocks) -> int:
    """Count clips that an earlier Job made."""
    return 0 if run.spec.source else len(run.spec.to_render) - blocks.clips.count


def complete_clips(
    run: Run, memory: Memory, listing: Listing | None, completed: Indexes, unfinished: Iterable[Ended]
) -> int:
    """Count clips: those of completed blocks, those done in blocks that failed, and those made by an earlier Job.

    Of a run of videos those that an encoder has cut: its ``listing`` says how many.
    """
    if run.spec.source:
        return listing.clips if listing else 0
    made = memory.blocks.clips_in(completed) + sum(pod.done for pod in memory.rendering.final.values())
    made += sum(end.done for end in unfinished)
    return complete_before(run, memory.blocks) + made


def encoding(run: Run, memory: Memory, reports: EncoderReports, settled: Settled, complete: int) -> Encoding:
    """Return how far the run's encoders are.

    Args:
        run: the run.
        memory: what this look has found.
        reports: what the encoders have reported.
        settled: indexes of the Job that are complete, or have failed for good.
        complete: how many clips are complete.
    """
    pods = memory.encoders.values()
    asked = memory.deployment.replicas if memory.deployment else 0
    return Encoding(
        running=sum(each.state == "Working" and not each.standing.reason for each in pods),
        pods=tuple(sorted(pods, key=lambda encoder: encoder.name)),
        encoded=reports.encoded,
        failed=reports.failed,
        early_ends=tuple(reports.early_ends),
        stuck=reports.stuck,
        asked=asked,
        answering=reports.answering if asked else 0,
        left=reports.left,
        listing=run.spec.source is not None and reports.listing is None,
        passed_over=reports.listing.passed_over if reports.listing else 0,
        vanished=_vanished(memory, reports, settled, complete),
    )


def _vanished(memory: Memory, reports: EncoderReports, settled: Settled, complete: int) -> dict[int, str]:
    """Return complete clips that encoders do not find, once the last is rendered and they see nothing left to do."""
    blocks = memory.blocks
    # Of some that have failed for good, the Job does not know it.
    rendered = settled.count + sum(index not in settled.failed for index in memory.rendering.final)
    if rendered < settled.total or reports.left != 0 or reports.encoded + len(reports.failed) >= complete:
        return {}
    unfinished = (index for index in range(settled.total) if index not in settled.completed)
    not_made = Indexes.of(clip for index in unfinished for clip in blocks.of_index(index))
    return dict.fromkeys(reports.absent.without(not_made), GONE)
