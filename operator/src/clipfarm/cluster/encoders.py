"""How far a run's encoders are: what they answer at /progress, and how their containers ended."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Literal

import aiohttp

from clipfarm.cluster.api import FAULTS, Api, ApiError
from clipfarm.cluster.tracked import Tracked
from clipfarm.cluster.views import EncoderPod
from clipfarm.manifests.encoder import PORT
from clipfarm_contract.exit_codes import EncoderExitCode
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.layout import clip_index

TIMEOUT = aiohttp.ClientTimeout(total=3.0)
KEPT_ENDS = 8

Way = Literal["direct", "proxy"]
"""To an encoder's pod: by its address, or through the API server, where the operator is outside the cluster."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What one encoder says."""

    done: int
    """The run's clips with features that it sees, whoever made them."""
    failed: Mapping[int, str]
    left: int = 0
    """The run's clips that it sees, and that have neither features nor failed."""
    absent: Indexes = field(default_factory=Indexes)
    """Clips of the run's range that it does not find, or only another run's."""


async def ask(
    pods: Iterable[EncoderPod], way: Way, api: Api, session: aiohttp.ClientSession
) -> tuple[list[Progress], str]:
    """Return what the encoders answer; and why one does not, in time or at all, where that is so."""
    answers = await asyncio.gather(*(_ask(pod, way, api, session) for pod in pods if pod.address))
    silences = [answer for answer in answers if isinstance(answer, str)]
    return [answer for answer in answers if isinstance(answer, Progress)], min(silences, default="")


async def _ask(pod: EncoderPod, way: Way, api: Api, session: aiohttp.ClientSession) -> Progress | str:
    try:
        if way == "proxy":
            async with asyncio.timeout(TIMEOUT.total):
                document = await api.get(f"/api/v1/namespaces/{pod.run[0]}/pods/{pod.name}:{PORT}/proxy/progress")
        else:
            host = f"[{pod.address}]" if ":" in pod.address else pod.address
            url = f"http://{host}:{PORT}/progress"
            async with session.get(url, timeout=TIMEOUT, raise_for_status=True) as answer:
                document = json.loads(await answer.read())
        return _read(document)
    except ApiError as error:
        return error.message
    except aiohttp.ClientResponseError as error:
        return f"{error.status} {error.message}"
    except FAULTS as error:
        return str(error) or "no answer in time"
    except (ValueError, KeyError, TypeError):
        return "an answer that is none"


def _read(document: Any) -> Progress:
    clips = document["clips"]
    failed = {clip_index(failure["clip"]): str(failure["reason"]) for failure in document["failures"]}
    return Progress(
        int(clips["encoded"]) + int(clips["skipped"]),
        {index: reason for index, reason in failed.items() if index is not None},
        int(clips["waiting"]) + int(clips["encoding"]),
        # An encoder of an earlier version reports none, and is replaced when its Deployment is.
        Indexes.parse(document.get("absent") or ""),
    )


def follow(tracked: Tracked, pods: Iterable[EncoderPod], answers: list[Progress], silence: str, now: float) -> bool:
    """Take in what encoders say and how they ended; tell whether that changed anything."""
    state = tracked.encoding
    before = (state.encoded, state.left, state.answering, dict(state.failed), len(state.early_ends), state.silence)
    state.silence = "" if answers else silence
    state.answering = len(answers)
    if answers:
        # Each counts what it sees of the run's clips, whoever encoded them: the one that sees most has looked last. It
        # may see fewer than before, where clips or features were removed.
        done = max(answer.done for answer in answers)
        state.left = max(answer.left for answer in answers)
        state.absent = reduce(_both, (answer.absent for answer in answers))
        if not state.completions:
            state.completions.append(now)  # where the window begins
        new = done - state.encoded
        if new > 0:
            state.completions.extend([now] * min(new, state.completions.maxlen or new))
            state.early_ends.clear()
        state.encoded = done
        # Each encoder tries a clip that failed elsewhere, so it has failed when it has failed for all.
        everywhere = set.intersection(*(set(answer.failed) for answer in answers))
        state.failed = {clip: answers[0].failed[clip] for clip in sorted(everywhere)}
    _take_ends(tracked, pods)
    after = (state.encoded, state.left, state.answering, state.failed, len(state.early_ends), state.silence)
    return before != after


def _both(one: Indexes, other: Indexes) -> Indexes:
    """Return the numbers that are in both."""
    return one.without(one.without(other))


def _take_ends(tracked: Tracked, pods: Iterable[EncoderPod]) -> None:
    """Take note of containers that ended since the last look.

    How long ago those of a pod that is new to this process ended is not known. What counts of them is at most the last,
    where the kubelet has not started the container again.
    """
    state = tracked.encoding
    here = {pod.uid: pod for pod in pods}
    for uid, pod in here.items():
        # Of a pod that was there before this operator's first look, earlier ends may lie days back.
        known = state.restarts.get(uid, 0 if state.looked else None)
        new = min(pod.restarts, int(pod.reported.state == "Starting")) if known is None else pod.restarts - known
        end = pod.last_end
        # One that ended well found nothing to do; its Deployment starts it again.
        if new > 0 and end is not None and end.status != EncoderExitCode.OK:
            state.early_ends += [end] * min(new, KEPT_ENDS)
    del state.early_ends[:-KEPT_ENDS]
    state.restarts, state.looked = {uid: pod.restarts for uid, pod in here.items()}, True
