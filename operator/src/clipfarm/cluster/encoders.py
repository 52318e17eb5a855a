"""How far a run's encoders are: what they answer at /progress, and how their containers ended."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp

from clipfarm.cluster.api import FAULTS, Api, ApiError
from clipfarm.cluster.tracked import Tracked
from clipfarm.cluster.views import EncoderPod
from clipfarm.manifests.encoder import PORT
from clipfarm_contract.exit_codes import EncoderExitCode
from clipfarm_contract.layout import clip_index

TIMEOUT = aiohttp.ClientTimeout(total=3.0)
KEPT_ENDS = 8

Way = Literal["direct", "proxy"]
"""To an encoder's pod: by its address, or through the API server, where the operator is outside the cluster."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What one encoder says."""

    done: int
    """Clips with features that it has seen, whoever made them."""
    failed: Mapping[int, str]


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
    )


def follow(tracked: Tracked, pods: Iterable[EncoderPod], answers: list[Progress], silence: str, now: float) -> bool:
    """Take in what encoders say and how they ended; tell whether that changed anything."""
    state = tracked.encoding
    before = (state.encoded, dict(state.failed), len(state.early_ends), state.silence)
    state.silence = "" if answers else silence
    if answers:
        # Each counts what it has seen of the run's clips, whoever encoded them: the one that has seen most is right.
        done = max(answer.done for answer in answers)
        if not state.completions:
            state.completions.append(now)  # where the window begins
        new = done - state.encoded
        if new > 0:
            state.completions.extend([now] * min(new, state.completions.maxlen or new))
            state.encoded = done
            state.early_ends.clear()
        # Each encoder tries a clip that failed elsewhere, so it has failed when it has failed for all.
        everywhere = set.intersection(*(set(answer.failed) for answer in answers))
        state.failed = {clip: answers[0].failed[clip] for clip in sorted(everywhere)}
    _take_ends(tracked, pods)
    return before != (state.encoded, state.failed, len(state.early_ends), state.silence)


def _take_ends(tracked: Tracked, pods: Iterable[EncoderPod]) -> None:
    state = tracked.encoding
    here = {pod.uid: pod for pod in pods}
    for uid, pod in here.items():
        new = pod.restarts - state.restarts.get(uid, 0)
        end = pod.last_end
        # One that ended well found nothing to do; its Deployment starts it again.
        if new > 0 and end is not None and end.status != EncoderExitCode.OK:
            state.early_ends += [end] * min(new, KEPT_ENDS)
    del state.early_ends[:-KEPT_ENDS]
    state.restarts = {uid: pod.restarts for uid, pod in here.items()}
