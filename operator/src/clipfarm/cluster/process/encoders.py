"""How far a run's encoders are: what they answer at /progress, and how their containers ended."""

import asyncio
import time
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal

import aiohttp

from clipfarm.cluster.api.client import Api
from clipfarm.cluster.api.pod_views import EncoderPod
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.observing.work import EncoderReports
from clipfarm.cluster.vram.scrape import ScrapeError, fetch
from clipfarm.cluster.vram.source import Source
from clipfarm.manifests import encoder
from clipfarm.manifests.encoder import PORT
from clipfarm_contract.encoder_progress import EncoderProgress
from clipfarm_contract.exit_codes import EncoderExitCode
from clipfarm_contract.fields import ContractError
from clipfarm_contract.indexes import Indexes
from clipfarm_contract.video_listing import Listing

KEPT_ENDS = 8
MOST_TEXT = 1000
"""Of a reason."""
MOST_BYTES = 8 * 2**20
"""Of an answer: 100,000 clips that could not be encoded, with a reason each."""
AT_ONCE = 8
"""Encoders that are asked at a time, of all runs: their answers have to fit into the operator's memory together."""

KEPT_SECONDS = 60.0
"""How long the last answer of an encoder counts that is silent, while others of the run answer."""

Route = Literal["direct", "proxy"]
"""To an encoder's pod: by its address, or through the API server, where the operator is outside the cluster."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Answer of one encoder."""

    done: int
    """The run's clips with features that it sees, also those of other encoders."""
    failed: Mapping[int, str]
    left: int = 0
    """The run's clips that it sees, and that have neither features nor failed."""
    absent: Indexes = field(default_factory=Indexes)
    """Clips of the run's range that it does not find, or only another run's."""
    sets: Mapping[str, int] = field(default_factory=dict)
    """Clips of each feature set that it makes, as ``done``."""
    listing: Listing | None = None
    """Of the videos that it was given."""


class Asker:
    """Asks encoders how far they are; one that fails is asked again after some time only."""

    def __init__(self, api: Api, way: Route, session: aiohttp.ClientSession) -> None:
        """Begin.

        Args:
            api: the API server, for the way through it.
            way: to the pods.
            session: what they are asked with.
        """
        self._api = api
        self._way = way
        self._session = session
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._sources: dict[Hashable, Source] = {}
        self._last: dict[str, tuple[Progress, float]] = {}
        """What each pod answered last, and when."""

    async def ask(self, pods: Iterable[EncoderPod], clips: Indexes, now: float) -> tuple[list[Progress], str]:
        """Return what the encoders of a run answer; and why one does not, in time or at all, where that is so.

        Args:
            pods: the encoders'.
            clips: the run's.
            now: the time, seconds on a clock that only goes forward.
        """
        asked = [pod for pod in pods if pod.address]
        answers = await asyncio.gather(*(self._ask(pod, clips, now) for pod in asked))
        silences = [answer for answer in answers if isinstance(answer, str)]
        found = [answer for answer in answers if isinstance(answer, Progress)]
        if found:
            # One that misses an answer may have clips in work that another has given up.
            silent = [pod.uid for pod, answer in zip(asked, answers, strict=True) if isinstance(answer, str)]
            last = [self._last[uid] for uid in silent if uid in self._last]
            found += [answer for answer, at in last if now - at <= KEPT_SECONDS]
        return found, min(silences, default="")

    def forget(self, pods: Iterable[EncoderPod]) -> None:
        """Forget all encoders but these."""
        here = {_key(pod): pod.uid for pod in pods}
        uids = set(here.values())
        self._sources = {key: source for key, source in self._sources.items() if key in here}
        self._last = {uid: last for uid, last in self._last.items() if uid in uids}

    async def _ask(self, pod: EncoderPod, clips: Indexes, now: float) -> Progress | str:
        source = self._sources.setdefault(_key(pod), Source(_url(pod), pod.name))
        if now < source.not_before:
            return source.problem
        try:
            async with self._slots:
                if self._way == "direct":
                    page = await fetch(self._session, source.url, most_bytes=MOST_BYTES)
                else:
                    path = f"/api/v1/namespaces/{pod.run[0]}/pods/{pod.name}:{PORT}/proxy/progress"
                    headers = await self._api.authorization()
                    page = await fetch(self._session, self._api.url(path), most_bytes=MOST_BYTES, headers=headers)
            found = progress(page.json(), clips)
        except (ScrapeError, ContractError) as error:
            source.failed(now, str(error))
            return source.problem
        source.answered(now, "")
        self._last[pod.uid] = found, now
        return found


def _key(pod: EncoderPod) -> Hashable:
    """Return what an encoder is known by: one that has become ready is asked at once."""
    return pod.uid, pod.address, pod.ready


def _url(pod: EncoderPod) -> str:
    host = f"[{pod.address}]" if ":" in pod.address else pod.address
    return f"http://{host}:{PORT}/progress"


def progress(document: object, clips: Indexes) -> Progress:
    """Return what an encoder answers.

    Args:
        document: the answer, JSON.
        clips: the run's: an encoder can say nothing of others.

    Raises:
        ContractError: it is no such answer, or has numbers that cannot be.
    """
    said = EncoderProgress.parse(document)
    counts = said.clips
    for name in ("encoded", "skipped", "waiting", "encoding"):
        if (found := getattr(counts, name)) > clips.count:
            raise ContractError(f"progress.clips.{name}: found {found}, expected 0 to {clips.count}, the run's clips")
    return Progress(
        min(counts.encoded + counts.skipped, clips.count),
        {clip: each.reason[:MOST_TEXT] for each in said.failures if (clip := each.index) is not None and clip in clips},
        min(counts.waiting + counts.encoding, clips.count),
        # An encoder of an earlier version reports none, and is replaced when its Deployment is.
        (said.absent or Indexes()).both(clips),
        {each.name: min(each.done, clips.count) for each in said.sets},
        said.videos,
    )


async def look(asker: Asker, tracked: Tracked, pods: Collection[EncoderPod]) -> bool:
    """Ask a run's encoders, take in what they say and how they ended, and return whether that changed anything."""
    answers, silence = await asker.ask(_of_this_attempt(tracked, pods), tracked.run.spec.numbers, time.monotonic())
    return follow(tracked, pods, answers, silence, time.monotonic())


def _of_this_attempt(tracked: Tracked, pods: Iterable[EncoderPod]) -> list[EncoderPod]:
    """Return the encoders that were started for a run's present attempt.

    After a retry, those of the attempt before may answer for some seconds more. They try nothing again, and know the
    videos of then.
    """
    return [pod for pod in pods if pod.attempt in ("", encoder.attempt(tracked.owner))]


def follow(tracked: Tracked, pods: Iterable[EncoderPod], answers: list[Progress], silence: str, now: float) -> bool:
    """Take in what encoders say and how they ended, and return whether that changed anything."""
    state, pods = tracked.encoding, list(pods)
    # One that was started before the run listed other feature sets goes away, and counts what is not asked for.
    encode = tracked.run.spec.encode
    names = {each.name for each in encode.sets} if encode.enabled else set()
    answers = [answer for answer in answers if not answer.sets or answer.sets.keys() == names]
    before = _shown(state)
    state.silence = "" if answers else silence
    state.answering = len(answers)
    if answers:
        # Each counts all of the run's clips that it sees, so the one that sees most has looked last. It may see fewer
        # than before, if clips or features were removed.
        done = max(answer.done for answer in answers)
        state.left = max(answer.left for answer in answers)
        state.absent = reduce(Indexes.both, (answer.absent for answer in answers))
        if not state.completions:
            state.completions.append(now)  # where the window begins
        new = done - state.encoded
        if new > 0:
            state.completions.extend([now] * min(new, state.completions.maxlen or new))
            state.early_ends.clear()
        state.encoded = done
        # One that listed them later may have found more.
        listings = [answer.listing for answer in answers if answer.listing is not None]
        state.listing = max(listings, key=lambda each: each.clips, default=state.listing)
        state.sets = {name: max(answer.sets.get(name, 0) for answer in answers) for name in state.sets}
        # Each encoder tries a clip that failed elsewhere, so it has failed when it has failed for all.
        current = _of_this_attempt(tracked, pods)
        at_work = sum(pod.reported.state == "Working" and not pod.ended for pod in current)
        everywhere = set.intersection(*(set(answer.failed) for answer in answers)) if len(answers) >= at_work else set()
        state.failed = {clip: answers[0].failed[clip] for clip in sorted(everywhere)}
    _take_ends(tracked, pods)
    return before != _shown(state)


def _shown(state: EncoderReports) -> tuple[object, ...]:
    counts = state.encoded, dict(state.sets), state.left, state.answering
    return *counts, state.listing, dict(state.failed), len(state.early_ends), state.silence


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
