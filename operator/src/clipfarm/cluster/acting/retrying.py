"""Trying failed clips again: what has to be written into a run so that the operator does it."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from clipfarm.cluster.api.views import clips_per_pod
from clipfarm.cluster.reporting.summary import FINISHED, phase
from clipfarm.manifests import job as job_manifest
from clipfarm.manifests.blocks import Blocks, why_too_long
from clipfarm.packed import pack
from clipfarm.run import Run
from clipfarm.units import format_clips
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.objects import ATTEMPT_ANNOTATION, ENCODE_ATTEMPT_ANNOTATION, ONLY_ANNOTATION

MOST_TEXT = 200_000
"""Characters. Annotations have 256 KiB together, and others have theirs."""


class NothingToRetryError(Exception):
    """There is nothing to try again; the message says why."""


def annotations(run: Mapping[str, Any], job: Mapping[str, Any] | None) -> tuple[dict[str, str], str]:
    """Return the annotations that ask for another attempt, and a line that says at what.

    Clips that failed get a Job of their own, which takes the place of the one that has ended. Clips that could not be
    encoded are among them, because their folders may be damaged or gone; a renderer skips those that are complete. New
    encoders then try them.

    Raises:
        NothingToRetryError: the run goes on, or nothing of it has failed.
    """
    if phase(run) not in FINISHED:
        raise NothingToRetryError(f"the run is {phase(run)}: what failed can be tried again when it has finished")
    before = run["metadata"].get("annotations", {})
    to_render = set(_failed_clips(run, job, before.get(ONLY_ANNOTATION, ""))) if job else set()
    failures = run["status"].get("failures", ())
    unencoded = {clip for entry in failures if entry["stage"] == "encode" for clip in clips_of(entry)}
    clips = Indexes.of(to_render | unencoded) if job else Indexes()
    made: dict[str, str] = {}
    said: list[str] = []
    if clips:
        only, ranges = pack(clips), str(clips)
        if problem := why_too_long(clips) or _too_long(clips, only):
            raise NothingToRetryError(f"the list of what failed is too long: {problem}")
        made |= {ONLY_ANNOTATION: only, ATTEMPT_ANNOTATION: _next(before.get(ATTEMPT_ANNOTATION))}
        what = "to render" if to_render else "to look at"
        said.append(f"{format_clips(len(clips))} {what} ({ranges if len(ranges) <= 60 else ranges[:60] + '...'})")
    passed_over = run["status"].get("videos", {}).get("passedOver", 0)
    if unencoded or passed_over or _encoder_stuck(run):
        made[ENCODE_ATTEMPT_ANNOTATION] = _next(before.get(ENCODE_ATTEMPT_ANNOTATION))
        said += ["what was not encoded"] if unencoded or not passed_over else []
        said += ["the videos that were passed over"] if passed_over else []
    if not made:
        raise NothingToRetryError("nothing has failed")
    return made, " and ".join(said)


def _too_long(clips: Indexes, text: str) -> str:
    if len(text) <= MOST_TEXT:
        return ""
    return (
        f"found {len(text) / 1000:.0f} KB for {clips.count} clips, expected at most {MOST_TEXT / 1000:.0f} KB in the"
        " run's annotation; make a new run of them"
    )


def clips_of(entry: Mapping[str, Any]) -> Indexes:
    """Return the clips of an entry of ``status.failures``, which may be cut."""
    return Indexes.parse(entry["clips"].removesuffix(",..."))


def job_name(run: Mapping[str, Any]) -> str:
    """Return the name of a run's Job.

    Raises:
        NothingToRetryError: the run makes no sense, so there is none.
    """
    try:
        return job_manifest.name(_parsed(run))
    except ValidationError:
        raise NothingToRetryError("the run is Invalid: see its condition Ready") from None


def _parsed(run: Mapping[str, Any]) -> Run:
    return Run.model_validate({name: run[name] for name in ("apiVersion", "kind", "metadata", "spec")})


def _failed_clips(run: Mapping[str, Any], job: Mapping[str, Any], only: str) -> list[int]:
    parsed = _parsed(run)
    try:
        blocks, status = Blocks.of(parsed, only, clips_per_pod(job)), job.get("status", {})
    except ValueError as error:
        raise NothingToRetryError(str(error)) from None
    # The run has finished. Its Job may not have: a run that failed as a whole has clips that were never tried, and a
    # block that broke off too often has failed by the operator's count alone.
    completed = Indexes.parse(status.get("completedIndexes", ""))
    indexes = [index for index in range(blocks.count) if index not in completed]
    return [clip for index in indexes for clip in blocks.of_index(index)]


def _encoder_stuck(run: Mapping[str, Any]) -> bool:
    conditions = run["status"].get("conditions", ())
    return any(entry["type"] == "EncoderReady" and entry["reason"] == "Stuck" for entry in conditions)


def _next(attempt: str | None) -> str:
    return str(int(attempt) + 1) if attempt and attempt.isdecimal() else "2"
