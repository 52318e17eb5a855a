"""How indexes of a Job have failed: for good, or so that they are tried again."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from clipfarm.cluster.api.endings import FailedPod
from clipfarm.cluster.observing.memory import Rendering
from clipfarm.cluster.observing.settled import Settled
from clipfarm.manifests.blocks import Blocks
from clipfarm.world import Ended
from clipfarm_contract.exit_codes import WORTH_ANOTHER_ATTEMPT, ExitCode


@dataclass(frozen=True, slots=True)
class Failures:
    """What one look finds."""

    ended: tuple[Ended, ...]
    """Indexes whose last attempt failed: for good, or with a new pod that waits at its gate."""
    gave_up: tuple[Ended, ...]
    """Indexes whose last attempt ended before all of their clips were tried, and that get another one."""
    unfinished: tuple[Ended, ...]
    """Indexes whose last attempt failed and that get another one, begun or not: with what is settled of their clips."""
    failed_at: Mapping[str, float]
    final: Mapping[int, FailedPod]


def failures(
    rendering: Rendering,
    blocks: Blocks,
    failed: Mapping[str, FailedPod],
    gated: Collection[int],
    settled: Settled,
    limit: int,
    now: float,
    wall: float,
) -> Failures:
    """Return how indexes have failed.

    Between a failure and the new pod, while the Job controller has not made that, there is nothing to decide.

    Args:
        rendering: what is remembered of the Job.
        blocks: its clips.
        failed: its pods that have failed, by UID.
        gated: indexes whose pods wait at their gates.
        settled: indexes that the Job reports as complete, or as failed.
        limit: ``retry.limit``.
        now: the time, on this process's own clock.
        wall: the time, Unix.
    """
    failed_at: dict[str, float] = {}
    latest: dict[int, tuple[FailedPod, float]] = {}
    broke_off: Counter[int] = Counter()
    for uid, pod in failed.items():
        # The pods' clock may be off, or have been set back. It is asked only for what ended before this process
        # looked, and then only for an age.
        age = max(0.0, wall - pod.ended) if rendering.completed is None else 0.0
        at = failed_at[uid] = rendering.failed_at.get(uid, now - age)
        broke_off[pod.index] += pod.exit_code is ExitCode.BROKE_OFF and not pod.disrupted
        if pod.index not in latest or _order(pod) > _order(latest[pod.index][0]):
            latest[pod.index] = (pod, at)
    again, gave_up, unfinished, new = [], [], [], {}
    for index, (pod, at) in latest.items():
        # The Job comes to the same conclusion, but some time later; of a block that broke off too often it does not.
        most = limit * blocks.size(index)
        if _is_last(pod, limit) or index in settled.failed:
            new[index] = pod
        elif pod.exit_code is ExitCode.BROKE_OFF and broke_off[index] > most:
            new[index] = replace(pod, reason=f"{pod.reason}; {_too_often(broke_off[index], most)}")
        elif not pod.disrupted:
            if index in gated:
                again.append(Ended(index, pod.exit_code, pod.reason, at, pod.attempts))
            if index not in settled.completed:
                so_far = replace(_final(index, pod, at), final=False)
                unfinished.append(so_far)
                if pod.exit_code is ExitCode.GAVE_UP:
                    gave_up.append(so_far)
    final = {**rendering.final, **new} if new else rendering.final
    # The Job has the last word: a block that broke off too often may be complete in the end.
    if settled.completed and any(index in settled.completed for index in final):
        final = {index: pod for index, pod in final.items() if index not in settled.completed}
    ended = [_final(index, final.get(index), now) for index in sorted(final.keys() | set(settled.failed))]
    return Failures(tuple(again + ended), tuple(gave_up), tuple(unfinished), failed_at, final)


def _is_last(pod: FailedPod, limit: int) -> bool:
    """Return whether a pod was the last attempt at its index. One that broke off has counted by clip, so it was not."""
    if pod.disrupted or pod.exit_code is ExitCode.BROKE_OFF:
        return False
    return pod.exit_code not in WORTH_ANOTHER_ATTEMPT or pod.attempts > limit


def _too_often(times: int, most: int) -> str:
    return (
        f"the block broke off {times} times, expected at most {most}: retry.limit for each of its clips. So its image"
        " does not count them, or its results are not kept on the volume"
    )


def _order(pod: FailedPod) -> tuple[bool, int, float]:
    """Of an index's pods the last counts, and one that was disrupted only where there is no other."""
    return (not pod.disrupted, pod.attempts + pod.ignored, pod.ended)


def _final(index: int, pod: FailedPod | None, now: float) -> Ended:
    if pod is None:
        return Ended(index, ExitCode.FAILED, "its pod is gone, and the reason with it", now, 1, final=True, clips=0)
    return Ended(
        index=index,
        exit_code=pod.exit_code,
        reason=pod.reason,
        at=now,
        attempts=pod.attempts,
        final=True,
        clips=max(1, len(pod.clips)),
        named=pod.clips,
        done=pod.done,
    )
