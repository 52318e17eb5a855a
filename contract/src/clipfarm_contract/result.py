"""What the supervisor reports of a clip, and what a renderer may tell the supervisor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from clipfarm_contract import regular
from clipfarm_contract.attempts import Attempts
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.fields import ContractError, Fields, dump, load
from clipfarm_contract.machine import Machine
from clipfarm_contract.text import printable


@dataclass(frozen=True, slots=True)
class ChildReport:
    """What a renderer may write to the path in ``CLIP_REPORT``; every part may be left out."""

    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall time by stage: import, simulate, background, render, save; ``cycles`` is the part of it inside Cycles."""
    checks: Mapping[str, Any] = field(default_factory=dict)
    """What the renderer checked, with the values found; goes into ``clip.json``, so nothing of the moment."""
    reason: str = ""
    """Why it failed, in one line."""

    @classmethod
    def read(cls, path: Path) -> "ChildReport":
        """Read a report; an empty one where there is no file.

        Raises:
            ContractError: the file is not such a report.
        """
        try:
            text = regular.read(path, "report", MOST_REPORT_BYTES)
        except FileNotFoundError:
            return cls()
        fields = Fields(load(text, "report"), "report")
        report = cls(
            seconds=take_seconds(fields),
            checks=fields.take("checks", dict, {}),
            reason=printable(" ".join(fields.take("reason", str, "").split())),
        )
        fields.done()
        try:
            dump(report.checks).encode()
        except (ValueError, RecursionError) as error:
            raise ContractError(f"report.checks: cannot be written again ({error})") from None
        return report

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"seconds": dict(self.seconds), "checks": dict(self.checks), "reason": self.reason}


MOST_REPORT_BYTES = 2**20
MIB = 2**20
"""Bytes. Sizes of GPU memory are in MiB, as NVIDIA's tools have them."""
MOST_MIB = 2.0**30
"""A pebibyte: no GPU has so much memory."""
LAST_SECOND = 253402300800.0
"""After the year 9999."""


class Way(Enum):
    """How a clip's GPU memory is known."""

    PROCESS = "process"
    """NVIDIA's driver, of the clip's processes."""
    GPU = "gpu"
    """NVIDIA's driver, of the whole GPU: what it had in use beyond what it had before the clip."""
    CYCLES = "cycles"
    """Cycles' own count, and a margin for all that it does not count."""


@dataclass(frozen=True, slots=True)
class VramUse:
    """GPU memory that a clip took."""

    peak_mib: float
    """The most at a time, MiB."""
    average_mib: float
    """On average while it rendered, MiB."""
    deviation_mib: float
    """Standard deviation of that, over the time it rendered, MiB."""
    allocated_after: float
    """Seconds from the start of its process until that had allocated it."""
    way: Way = Way.CYCLES

    @classmethod
    def parse(cls, value: object, where: str) -> "VramUse":
        """Parse the JSON form.

        Raises:
            ContractError: it is not such an object, or has numbers that cannot be.
        """
        fields = Fields(value, where)  # a later version may have more of them
        names = ("peakMiB", "averageMiB", "deviationMiB", "allocatedAfter")
        numbers = [fields.take(name, float) for name in names]
        way = fields.take("by", str, Way.CYCLES.value)  # renderers of before measured nothing else
        for name, number in zip(names, numbers, strict=True):
            if not 0 <= number <= MOST_MIB:
                raise ContractError(f"{where}.{name}: found {number}, expected a number from 0 to {MOST_MIB:.0f}")
        if way not in {each.value for each in Way}:
            raise ContractError(f"{where}.by: found {way!r}, expected one of {[each.value for each in Way]}")
        return cls(numbers[0], numbers[1], numbers[2], numbers[3], Way(way))

    def to_json(self) -> dict[str, float | str]:
        """Return the JSON form."""
        return {
            "peakMiB": round(self.peak_mib, 1),
            "averageMiB": round(self.average_mib, 1),
            "deviationMiB": round(self.deviation_mib, 1),
            "allocatedAfter": round(self.allocated_after, 1),
            "by": self.way.value,
        }


@dataclass(frozen=True, slots=True)
class GpuReading:
    """Memory of the whole GPU, or instance of it, that clips were made on, used by any program."""

    uuid: str
    """Of the whole GPU."""
    instance: str
    """Number of the GPU instance (MIG); empty: the GPU as a whole."""
    used_mib: float
    total_mib: float
    """What may be allocated, MiB."""
    at: float
    """When it was measured: after the clips' processes had ended. Unix time."""

    @classmethod
    def parse(cls, value: object, where: str) -> "GpuReading":
        """Parse the JSON form.

        Raises:
            ContractError: it is not such an object, or has numbers that cannot be.
        """
        fields = Fields(value, where)  # a later version may have more of them
        found = cls(
            uuid=fields.take("uuid", str),
            instance=fields.take("instance", str, ""),
            used_mib=fields.take("usedMiB", float),
            total_mib=fields.take("totalMiB", float),
            at=fields.take("at", float),
        )
        sizes = 0 <= found.used_mib <= found.total_mib <= MOST_MIB and found.total_mib > 0
        if not (found.uuid and sizes and 0 < found.at < LAST_SECOND):
            raise ContractError(f"{where}: found {value}, expected a UUID, no more memory used than there is, a time")
        return found

    def to_json(self) -> dict[str, str | float]:
        """Return the JSON form."""
        return {
            "uuid": self.uuid,
            **({"instance": self.instance} if self.instance else {}),
            "usedMiB": round(self.used_mib, 1),
            "totalMiB": round(self.total_mib, 1),
            "at": round(self.at, 1),
        }


@dataclass(frozen=True, slots=True)
class ClipResult:
    """One attempt at one clip, as the supervisor saw it end."""

    index: int
    exit_code: ExitCode
    reason: str
    """One line; empty when the clip is complete."""
    seconds: Mapping[str, float]
    """Wall time by stage, and ``total``."""
    cpu_seconds: float
    """User and system time of the renderer and all that it started."""
    peak_rss_mib: float
    """The largest resident set of the renderer's process, MiB."""
    vram: VramUse | None = None
    """None where it rendered on no GPU, or did not tell."""
    machine: Machine | None = None
    """What it was made on; None where a version before this field made it."""
    attempts: Attempts | None = None
    """How often the clip ran out of GPU memory; None: the supervisor did not count."""

    @classmethod
    def read(cls, path: Path) -> "ClipResult":
        """Read a result.

        Raises:
            OSError: it cannot be read.
            ContractError: it is not a result.
        """
        where = path.name
        fields = Fields(load(regular.read(path, where), where), where)  # a later version may have more of them
        code = fields.take("exitCode", int)
        if code not in set(ExitCode):
            raise ContractError(f"{where}.exitCode: found {code}, expected one of {[int(c) for c in ExitCode]}")
        return cls(
            index=fields.take("index", int),
            exit_code=ExitCode(code),
            reason=printable(fields.take("reason", str)),
            seconds=take_seconds(fields),
            cpu_seconds=fields.take("cpuSeconds", float),
            peak_rss_mib=fields.take("peakRssMiB", float),
            vram=fields.take_object("vram", VramUse.parse) if fields.has("vram") else None,
            machine=fields.take_object("machine", Machine.parse) if fields.has("machine") else None,
            attempts=fields.take_object("attempts", Attempts.parse) if fields.has("attempts") else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "index": self.index,
            "exitCode": int(self.exit_code),
            "reason": self.reason,
            "seconds": {stage: round(value, 3) for stage, value in self.seconds.items()},
            "cpuSeconds": round(self.cpu_seconds, 3),
            "peakRssMiB": round(self.peak_rss_mib, 1),
            **({"vram": self.vram.to_json()} if self.vram else {}),
            **({"machine": self.machine.to_json()} if self.machine else {}),
            **({"attempts": self.attempts.to_json()} if self.attempts else {}),
        }


def take_seconds(fields: Fields) -> dict[str, float]:
    """Take ``seconds`` out of an object: time by stage; none where it is left out."""
    stages = Fields(taken := fields.take("seconds", dict, {}), fields.path("seconds"))
    return {stage: stages.take(stage, float) for stage in taken}
