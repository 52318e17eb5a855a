"""The termination message: what a renderer's container reports of its block of clips, in at most 4096 bytes.

Kubernetes takes that much from a container and shows it in the pod's status. It is JSON::

    {"clips": [{"index": 3, "exitCode": 1, "reason": "it never moved", "seconds": {"total": 3.2}, "cpuSeconds": 2.9,
                "peakRssMiB": 512.0, "vram": {...}},                  # VramUse; left out on a CPU
               {"index": 4, "exitCode": 0, "reason": "", ..., "skipped": true},    # complete before
               {"index": 5, "exitCode": 2, "reason": "GPU memory ran out", ..., "again": true}],
     "gpu": {...},                                                    # GpuReading; left out if it is not known
     "slow": ["the image has no kernels for sm_90, so ..."]}          # left out if nothing is

A message that would be too long loses details step by step. Of a very large block only the counts are left:
``{"done": 1, "failed": 1}``. Then ``"vram": [...]`` has the memory of some of its complete clips. Readers ignore keys
that they do not know: a later version may add some.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from clipfarm_contract.bounds import LAST_CLIP
from clipfarm_contract.fields import ContractError, Fields, load, show
from clipfarm_contract.result import ClipResult, GpuReading, VramUse, take_seconds

MAX_BYTES = 4096
"""The kubelet cuts a longer message."""
MOST_SLOW, MOST_LINE = 3, 300
"""Lines about what is slow, and characters of each."""
SAMPLES = (8, 3)
"""Clips whose memory a shortened message keeps, as there is room: what later clips take is estimated from a mean and
the largest peak."""


@dataclass(frozen=True, slots=True)
class ClipEnd:
    """How one clip of a block ended."""

    index: int
    exit_code: int
    """0 if the clip is complete; a later version may have more than :class:`~clipfarm_contract.exit_codes.ExitCode`."""
    reason: str = ""
    """One line; empty if the clip is complete, or if the message had no room for it."""
    seconds: Mapping[str, float] | None = None
    """Wall time by stage; None if the message had no room for it."""
    cpu_seconds: float | None = None
    peak_rss_mib: float | None = None
    vram: VramUse | None = None
    skipped: bool = False
    """Whether the clip was complete before: nothing was done."""
    again: bool = False
    """Whether the clip ran out of GPU memory and has attempts left, by the supervisor's count: it is the last one."""

    @classmethod
    def of(cls, result: ClipResult, *, skipped: bool, again: bool = False) -> "ClipEnd":
        """Return what a result says, whole."""
        return cls(
            index=result.index,
            exit_code=int(result.exit_code),
            reason=result.reason,
            seconds=result.seconds,
            cpu_seconds=result.cpu_seconds,
            peak_rss_mib=result.peak_rss_mib,
            vram=result.vram,
            skipped=skipped,
            again=again,
        )

    @classmethod
    def parse(cls, value: object, where: str) -> "ClipEnd":
        """Parse the JSON form. Impossible GPU memory is unknown; what became of the clip counts anyway.

        Raises:
            ContractError: it is not such an object.
        """
        fields = Fields(value, where)
        return cls(
            index=_count(fields, "index"),
            exit_code=fields.take("exitCode", int),
            reason=fields.take("reason", str, ""),
            seconds=take_seconds(fields) if fields.has("seconds") else None,
            cpu_seconds=fields.maybe("cpuSeconds", float),
            peak_rss_mib=fields.maybe("peakRssMiB", float),
            vram=_vram(fields),
            skipped=fields.take("skipped", bool, False),
            again=fields.take("again", bool, False),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        whole = self.seconds is not None
        made: dict[str, Any] = {"index": self.index, "exitCode": self.exit_code}
        if self.reason or whole:
            made["reason"] = self.reason
        if self.seconds is not None:
            made["seconds"] = {stage: round(value, 3) for stage, value in self.seconds.items()}
        if self.cpu_seconds is not None:
            made["cpuSeconds"] = round(self.cpu_seconds, 3)
        if self.peak_rss_mib is not None:
            made["peakRssMiB"] = round(self.peak_rss_mib, 1)
        if self.vram is not None:
            made["vram"] = self.vram.to_json()
        return made | ({"skipped": True} if self.skipped else {}) | ({"again": True} if self.again else {})


@dataclass(frozen=True, slots=True)
class Termination:
    """What a block of clips came to. Without arguments: a message that reports nothing."""

    clips: tuple[ClipEnd, ...] | None = None
    """None if the message has only counts."""
    done: int = 0
    """Clips that are complete."""
    failed: int = 0
    gpu: GpuReading | None = None
    """Memory of the clips' GPU after their processes had ended."""
    sample: tuple[VramUse, ...] = ()
    """GPU memory of some complete clips, if the message had no room for that of each."""
    slow: tuple[str, ...] = ()
    """What makes clips slower on this machine than they could be, and what to do, one line each."""

    @property
    def vram(self) -> tuple[VramUse, ...]:
        """GPU memory of the clips that were made and are complete: of all, or of some if there was no room."""
        return _made(self.clips or ()) or self.sample

    @classmethod
    def of(cls, clips: Iterable[ClipEnd], gpu: GpuReading | None = None, slow: Sequence[str] = ()) -> "Termination":
        """Return the message about some clips."""
        clips = tuple(clips)
        failed = sum(clip.exit_code != 0 for clip in clips)
        lines = tuple(line[:MOST_LINE] for line in slow[:MOST_SLOW])
        return cls(clips, len(clips) - failed, failed, gpu, slow=lines)

    @classmethod
    def parse(cls, text: str) -> "Termination":
        """Parse a message. Impossible GPU memory is unknown; what became of the clips counts anyway.

        Raises:
            ContractError: it is not such a message.
        """
        fields = Fields(load(text, "message"), "message")
        gpu, sample, slow = _gpu(fields), _sample(fields), _slow(fields)
        if fields.has("clips"):
            return replace(cls.of(fields.take_list("clips", ClipEnd.parse), gpu, slow), sample=sample)
        done, failed = (_count(fields, name) if fields.has(name) else 0 for name in ("done", "failed"))
        return cls(None, done, failed, gpu, sample, slow)

    def dump(self) -> str:
        """Return the message, shortened step by step until it fits.

        First the reasons are cut, then clips lose their details, then their reasons; at last only the counts are left.
        The GPU stays, and the memory of some complete clips.
        """
        for form in self._forms():
            text = json.dumps(form, separators=(",", ":"), ensure_ascii=False)
            if len(text.encode()) <= MAX_BYTES:
                return text
        raise AssertionError("two numbers, a GPU and the memory of some clips fit")

    def _forms(self) -> Iterator[dict[str, Any]]:
        gpu: dict[str, Any] = {"gpu": self.gpu.to_json()} if self.gpu else {}
        left = gpu | ({"slow": list(self.slow)} if self.slow else {})
        samples = [{"vram": [use.to_json() for use in _spread(self.vram, most)]} for most in SAMPLES if self.vram]
        if self.clips is not None:
            for clips in (self.clips, _cut(self.clips)):
                yield {"clips": [clip.to_json() for clip in clips]} | left
            # Which clips have failed matters more than what is slow, and that more than their memory.
            for rest in (left, gpu) if self.failed and self.slow else (left,):
                for clips in (_without_details(self.clips), _without_reasons(self.clips)):
                    for sample in (*samples, {}):
                        yield {"clips": [clip.to_json() for clip in clips]} | sample | rest
        for rest in (*(sample | left for sample in (*samples, {})), gpu):
            yield {"done": self.done, "failed": self.failed} | rest


def _made(clips: Iterable[ClipEnd]) -> tuple[VramUse, ...]:
    return tuple(clip.vram for clip in clips if clip.vram and not clip.exit_code and not clip.skipped)


def _spread(uses: Sequence[VramUse], most: int) -> list[VramUse]:
    """Return so many of them, from the smallest peak to the largest."""
    if len(uses) <= most:
        return list(uses)
    by_peak = sorted(uses, key=lambda use: use.peak_mib)
    return [by_peak[round(place * (len(uses) - 1) / (most - 1))] for place in range(most)]


def _cut(clips: Sequence[ClipEnd]) -> list[ClipEnd]:
    return [replace(clip, reason=clip.reason[:200]) for clip in clips]


def _without_details(clips: Sequence[ClipEnd]) -> list[ClipEnd]:
    return [ClipEnd(clip.index, clip.exit_code, clip.reason[:120], again=clip.again) for clip in clips]


def _without_reasons(clips: Sequence[ClipEnd]) -> list[ClipEnd]:
    return [ClipEnd(clip.index, clip.exit_code, again=clip.again) for clip in clips]


def _vram(fields: Fields) -> VramUse | None:
    try:
        return fields.take_object("vram", VramUse.parse) if fields.has("vram") else None
    except ContractError:
        return None


def _sample(fields: Fields) -> tuple[VramUse, ...]:
    try:
        return tuple(fields.take_list("vram", VramUse.parse))[: max(SAMPLES)] if fields.has("vram") else ()
    except ContractError:
        return ()


def _slow(fields: Fields) -> tuple[str, ...]:
    try:
        found = fields.take("slow", list, [])
    except ContractError:
        return ()
    return tuple(line[:MOST_LINE] for line in found[:MOST_SLOW] if isinstance(line, str))


def _gpu(fields: Fields) -> GpuReading | None:
    try:
        return fields.take_object("gpu", GpuReading.parse) if fields.has("gpu") else None
    except ContractError:
        return None


def _count(fields: Fields, name: str) -> int:
    """Take a number of a clip, or of how many there are."""
    found = fields.take(name, int)
    if not 0 <= found <= LAST_CLIP + 1:
        raise ContractError(f"{fields.path(name)}: found {show(found)}, expected 0 to {LAST_CLIP + 1}")
    return found
