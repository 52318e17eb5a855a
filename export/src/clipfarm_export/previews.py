"""Videos for people: some clips, evenly spread over the run, as every browser shows them."""

from pathlib import Path

from clipfarm_export.errors import LeftOutError
from clipfarm_export.job import Job
from clipfarm_export.parts import Made, Part, Tick
from clipfarm_export.video import encode, small


def part(job: Job, left_out: frozenset[str]) -> Part:
    """Return the part with all previews; clips that were left out have none."""
    clips = [clip for clip in job.spread(job.options.previews) if clip.name not in left_out]

    def make(folder: Path, tick: Tick) -> Made:
        (folder / "previews").mkdir()
        for candidate in clips:
            try:
                clip = job.verified(candidate)
                shape = next(clip.pictures()).shape
                encode(clip.pictures(), candidate.fps, small(shape), folder / "previews" / f"{candidate.name}.mp4")
            except LeftOutError:
                pass  # damaged since it was exported; the clip itself is in the export already
            tick()
        return Made()

    return Part("previews", len(clips), make)
