"""What formats share that divide the clips of each phase into files: the parts, and the row of a clip."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from clipfarm_export import tables
from clipfarm_export.job import Job, Packed, shard_name
from clipfarm_export.parts import Made, Part, Tick
from clipfarm_export.survey import Candidate, LeftOut
from clipfarm_export.work import in_order

Clip = tuple[dict[str, Any], Packed]
"""What is known of a clip, without pictures and series; and the clip itself."""
Write = Callable[[Path, Iterator[Clip]], None]
"""Writes a file of clips, one after the other."""


def parts(job: Job, ending: str, write: Write) -> list[Part]:
    """Return a part for each file ``data/PHASE-00000-of-00007.ENDING``."""
    found = []
    for split, clips in job.survey.splits.items():
        shards = job.shards(clips)
        for number, shard in enumerate(shards):
            file = shard_name("data", split, number, len(shards), ending)
            found.append(_part(job, f"data-{split}-{number:05d}", file, shard, write))
    return found


def _part(job: Job, name: str, file: str, clips: Sequence[Candidate], write: Write) -> Part:
    def make(folder: Path, tick: Tick) -> Made:
        left_out: list[LeftOut] = []
        (folder / file).parent.mkdir(parents=True)
        with tables.Kept(job, name, folder) as kept:

            def packed() -> Iterator[Clip]:
                for each in in_order(clips, job.pack, left_out, tick):
                    row = tables.describe(job, each)
                    kept.add(row, each.clip)
                    yield row, each

            write(folder / file, packed())
            return Made(left_out, {"clips": kept.close()})

    return Part(name, len(clips), make)
