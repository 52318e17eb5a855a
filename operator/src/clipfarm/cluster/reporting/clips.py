"""Clips that are held or have failed, by reason: of blocks of clips, those that are meant."""

from collections.abc import Iterator
from typing import Literal

from clipfarm.decide.admission import Held
from clipfarm.decide.status import Failure, Status
from clipfarm.manifests.blocks import Blocks
from clipfarm.status_parts import FailedClips, HeldClips
from clipfarm.world import Ended, World
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.indexes import compress

NOT_TRIED = "not tried: its pod ended early, after clips before it had failed"
MOST_REASONS = 20
"""Reasons that a status lists; an object has to stay small."""
MOST_TEXT = 1000
MOST_HELD = 10
"""Reasons to hold clips that a status lists; their messages may have 1,000 characters each."""
MOST_RANGES = 300
"""Characters of such a reason's clips."""
_Groups = dict[tuple[Literal["render", "encode"], str], list[int]]


def held_entries(blocks: Blocks, world: World, status: Status) -> tuple[tuple[HeldClips, ...], int]:
    """Return held clips by reason, those with the most clips first, and how many there are in all."""
    found = []
    for entry, clips in clips_held(blocks, world, status):
        ranges, message = _cut(compress(clips), MOST_RANGES), entry.hold.message[:MOST_TEXT]
        found.append(HeldClips(reason=entry.hold.reason, clips=ranges, count=len(clips), message=message))
    largest = sorted(found, key=lambda entry: -entry.count)[:MOST_HELD]
    return tuple(largest), sum(entry.count for entry in found)


def clips_held(blocks: Blocks, world: World, status: Status) -> Iterator[tuple[Held, list[int]]]:
    """Yield what holds clips, with these clips: of a block that broke off, those that are still to be made."""
    broke_off = {end.index: end for end in world.broke_off}
    for entry in status.held:
        yield entry, [clip for index in entry.indexes for clip in _left(blocks.of_index(index), broke_off.get(index))]


def _left(block: list[int], end: Ended | None) -> list[int]:
    """Return the clips of a block that are still to be made: all, or those after the one at which it broke off."""
    if end is None:
        return block
    named = dict(end.named)
    return [clip for clip in block if clip not in named][end.done :]


def failed_entries(blocks: Blocks, status: Status) -> tuple[tuple[FailedClips, ...], int]:
    """Return failed clips by reason, those with the most clips first, and how many there are in all."""
    groups: _Groups = {}
    count = 0
    for failure in status.failures:
        if failure.stage == "encode":
            groups.setdefault(("encode", failure.reason[:MOST_TEXT]), []).append(failure.clip)
            count += 1
            continue
        block = blocks.of_index(failure.clip)
        count += len(failure.named) if failure.unfinished else len(block) - failure.done
        for clip, reason in _reasons(block, failure):
            groups.setdefault(("render", (reason or failure.reason)[:MOST_TEXT]), []).append(clip)
    most = sorted(groups.items(), key=lambda entry: -len(entry[1]))[:MOST_REASONS]
    listed = tuple(
        FailedClips(clips=_cut(compress(clips)), stage=stage, reason=reason) for (stage, reason), clips in most
    )
    return listed, count


def _reasons(block: list[int], failure: Failure) -> Iterator[tuple[int, str]]:
    """Yield clips of a block that are not complete, with reasons; all of it if its pod did not report which."""
    if len(block) == 1 or not failure.named:
        yield from ((clip, failure.reason) for clip in block)
        return
    yield from failure.named
    if failure.unfinished:
        return
    # They are made in their order: of those that are not named, the first ones are complete.
    named = dict(failure.named)
    yield from ((clip, NOT_TRIED) for clip in [clip for clip in block if clip not in named][failure.done :])


def retried_clips(blocks: Blocks, end: Ended) -> int:
    """Return how many clips of an index are tried again: the one at which it broke off, or all that may be."""
    return 1 if end.exit_code is ExitCode.BROKE_OFF else blocks.size(end.index)


def _cut(ranges: str, most: int = MOST_TEXT) -> str:
    if len(ranges) <= most:
        return ranges
    return ranges[:most].rpartition(",")[0] + ",..."
