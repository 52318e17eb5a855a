"""What pods that are deleted have left: an annotation of their Job, written before the first of them goes.

It has three parts: the GPU memory that clips took, the indexes of the pods that are being deleted, and how indexes have
failed. An operator that starts goes on from it. Pods of the indexes that are listed were taken in, and are deleted
without being taken in again; all others were not.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clipfarm.cluster.api.endings import FailedPod
from clipfarm.manifests.blocks import MOST_INDEXES, Blocks
from clipfarm.packed import pack, unpack
from clipfarm.world import ClipMemory
from clipfarm_contract.bounds import LAST_CLIP
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.fields import ContractError, Fields, load
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.reasons import alike

MOST_TEXT = 150_000
"""Bytes. All annotations of an object have 256 KiB together."""
MOST_REASON = 1000
MOST_DELETING = 1000
"""Indexes that are deleted at a time, and some."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Indexes that failed for good, for reasons that are alike."""

    exit_code: ExitCode
    reason: str
    indexes: Indexes
    clips: Indexes = field(default_factory=Indexes)
    """The clips that failed, of blocks of several: the others of these blocks are complete."""
    done: Mapping[int, int] = field(default_factory=dict)
    """Complete clips by index, where they are not just those that did not fail: a pod may have had no room to say which
    ones failed, or broke off."""


@dataclass(frozen=True, slots=True)
class Results:
    """What is kept."""

    memory: ClipMemory | None = None
    deleting: Indexes = field(default_factory=Indexes)
    """Indexes whose pods have succeeded, and were taken in: they are being deleted, or are gone."""
    failed: tuple[Failed, ...] = ()

    def text(self) -> str:
        """Return the annotation."""
        made: dict[str, Any] = {"deleting": pack(self.deleting)} if self.deleting else {}
        if self.memory is not None:
            made["memory"] = {name: round(value, 3) for name, value in dataclasses.asdict(self.memory).items()}
        if self.failed:
            made["failed"] = [
                {
                    "exitCode": int(each.exit_code),
                    "reason": each.reason,
                    "indexes": pack(each.indexes),
                    **({"clips": pack(each.clips)} if each.clips else {}),
                    **({"done": {str(index): clips for index, clips in each.done.items()}} if each.done else {}),
                }
                for each in self.failed
            ]
        return json.dumps(made, separators=(",", ":"), ensure_ascii=False)


def read(text: str) -> Results:
    """Read the annotation; nothing if there is none, or if another program has written it."""
    try:
        fields = Fields(load(text, "results"), "results") if text else Fields({}, "results")
        found = Results(
            memory=fields.take_object("memory", _memory) if fields.has("memory") else None,
            deleting=_numbers(fields, "deleting"),
            failed=fields.take_list("failed", _failed) if fields.has("failed") else (),
        )
    except (ValueError, TypeError):  # a ContractError is a ValueError
        return Results()
    # Ours keeps to these. A short text can stand for millions of indexes, each of which would be gone through.
    ours = found.deleting.count <= MOST_DELETING and sum(each.indexes.count for each in found.failed) <= MOST_INDEXES
    return found if ours else Results()


def grouped(pods: Mapping[int, FailedPod], blocks: Blocks) -> tuple[Failed, ...]:
    """Return how indexes have failed, by their last pods; of reasons that are alike the first one stands for all."""
    groups: dict[tuple[ExitCode, str], list[FailedPod]] = {}
    for _, pod in sorted(pods.items()):
        groups.setdefault((pod.exit_code, alike(pod.reason)), []).append(pod)
    return tuple(_group(code, alike_ones, blocks) for (code, _), alike_ones in groups.items())


def pods(failed: Iterable[Failed], job: str, run: tuple[str, str], blocks: Blocks) -> dict[int, FailedPod]:
    """Return deleted pods as they were recorded, by their index."""
    found = {}
    for each in failed:
        for index in each.indexes:
            if index >= blocks.count:
                break  # not ours
            block = blocks.of_index(index)
            clips = [clip for clip in block if clip in each.clips] if len(block) > 1 else []
            found[index] = FailedPod(
                uid="",
                run=run,
                owner=job,
                index=index,
                exit_code=each.exit_code,
                reason=each.reason,
                ended=0.0,
                attempts=1,
                disrupted=False,
                clips=tuple((clip, each.reason) for clip in clips),
                done=min(each.done.get(index, _done(len(block), len(clips))), len(block)),
            )
    return found


def _group(code: ExitCode, pods: list[FailedPod], blocks: Blocks) -> Failed:
    several = [pod for pod in pods if blocks.size(pod.index) > 1]
    return Failed(
        exit_code=code,
        reason=pods[0].reason[:MOST_REASON],
        indexes=Indexes.of(pod.index for pod in pods),
        clips=Indexes.of(clip for pod in several for clip, _ in pod.clips),
        done={
            pod.index: pod.done
            for pod in pods
            if pod.done != (_done(blocks.size(pod.index), len(pod.clips)) if blocks.size(pod.index) > 1 else 0)
        },
    )


def _done(size: int, failed: int) -> int:
    """Return how many clips of a block are complete, if it says which ones failed; else none is known to be."""
    return size - failed if failed else 0


def _failed(value: object, where: str) -> Failed:
    fields = Fields(value, where)
    code = fields.take("exitCode", int)
    if code not in set(ExitCode):
        raise ContractError(f"{where}.exitCode: found {code}, expected an exit code of a renderer")
    return Failed(
        ExitCode(code),
        fields.take("reason", str)[:MOST_REASON],
        _numbers(fields, "indexes"),
        _numbers(fields, "clips"),
        {int(index): int(clips) for index, clips in fields.take("done", dict, {}).items()},
    )


def _numbers(fields: Fields, name: str) -> Indexes:
    numbers = unpack(fields.take(name, str, ""))
    if numbers and numbers.ranges[-1][1] > LAST_CLIP:
        raise ContractError(f"{fields.path(name)}: found {numbers.ranges[-1][1]}, expected at most {LAST_CLIP}")
    return numbers


def _memory(value: object, where: str) -> ClipMemory:
    fields = Fields(value, where)
    numbers = {each.name: fields.take(each.name, float) for each in dataclasses.fields(ClipMemory)}
    for name, number in numbers.items():
        if not 0 <= number <= 2.0**30:
            raise ContractError(f"{where}.{name}: found {number}, expected a number from 0 to 2^30")
    clips = int(numbers.pop("clips"))
    if clips < 1:
        raise ContractError(f"{where}.clips: found {clips}, expected 1 or more")
    return ClipMemory(**numbers, clips=clips)
