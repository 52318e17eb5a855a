"""Claims of GPU memory of all ``clipfarm local`` on this machine, whichever user started them.

Each process has a file in one folder. It holds a lock on that file for as long as it lives, so a file without a lock is
of a process that is gone, however it ended, and counts no more. A lock on the folder makes one process decide at a
time: what it starts is in its file before the next one looks.
"""

import fcntl
import json
import math
import os
import pwd
import re
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from clipfarm.decide.plan import Plan
from clipfarm.decide.vram.encoders import SUFFIX
from clipfarm.decide.vram.expected import FEW, Expected
from clipfarm.decide.vram.ledger import Claim
from clipfarm.units import format_bytes
from clipfarm.world import ClipMemory, GpuId, OtherRun, Running, RunStanding, World
from clipfarm_contract.text import printable

FOLDER = Path("/tmp/clipfarm-vram")  # noqa: S108 - users share it; what is found there is checked
VARIABLE = "CLIPFARM_VRAM_LEDGER"
"""Names another folder: containers with a /tmp of their own need one that all of them mount."""
MOST_BYTES = 1 << 20
MOST_FILES = 256
MOST_MIB = 1e9
"""Larger than any GPU; sums and squares of it stay finite."""
NAME = re.compile(r"[0-9]+-[0-9a-f]+\.json")
"""Other files in the folder are not of clipfarm, and are left alone."""
TRIES_SECONDS = 0.5
"""How long one tick waits for the folder's lock."""


_ADAPTER = TypeAdapter(OtherRun)


class ClaimsError(Exception):
    """Claims of other processes cannot be read, or this process's not written."""


@dataclass
class Claims:
    """This process's file, and what it reads in the others'."""

    folder: Path = field(default_factory=lambda: Path(os.environ.get(VARIABLE) or FOLDER))
    _file: int | None = None

    @property
    def path(self) -> Path:
        """This process's file."""
        return self.folder / f"{os.getpid()}-{id(self):x}.json"

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let no other process decide meanwhile.

        Raises:
            ClaimsError: the folder cannot be used, or another process has held its lock for too long.
        """
        try:
            self._prepare()
            lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise ClaimsError(_unusable(self.folder, error)) from error
        try:
            deadline = time.monotonic() + TRIES_SECONDS
            while True:
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if time.monotonic() > deadline:
                    raise ClaimsError(f"{self.folder}: another process holds the lock on the claims of GPU memory")
                time.sleep(0.01)
            yield
        finally:
            os.close(lock)

    def others(self) -> tuple[OtherRun, ...]:
        """Return what other processes that live claim. Files that make no sense are left out."""
        found: list[OtherRun] = []
        with suppress(OSError):
            for path in sorted(self.folder.iterdir()):
                if len(found) >= MOST_FILES:
                    break
                if NAME.fullmatch(path.name) and path != self.path:
                    with suppress(OSError, ValidationError):
                        other = _read(path)
                        if other is not None:
                            found += [other, other.encoders] if other.encoders else [other]
        return tuple(found)

    def write(self, mine: OtherRun) -> None:
        """Write this process's claims.

        Raises:
            ClaimsError: that is not possible.
        """
        data = _bounded(mine)
        if len(data) > MOST_BYTES:
            raise ClaimsError(
                f"{self.path}: the claims of {len(mine.running)} clips take {format_bytes(len(data))}, expected at most"
                f" {format_bytes(MOST_BYTES)}, which others read; lower workers"
            )
        try:
            if self._file is not None and not self.path.exists():
                os.close(self._file)  # a folder for passing files may be cleaned up
                self._file = None
            if self._file is None:
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
                os.fchmod(self._file, 0o644)
                fcntl.flock(self._file, fcntl.LOCK_EX)
            os.pwrite(self._file, data, 0)
            os.ftruncate(self._file, len(data))
        except OSError as error:
            raise ClaimsError(_unusable(self.folder, error)) from error

    def close(self) -> None:
        """Remove this process's file."""
        if self._file is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None

    def _prepare(self) -> None:
        with suppress(FileExistsError):
            self.folder.mkdir(mode=0o700)
            self.folder.chmod(0o1777)  # as /tmp: all may write, and nobody remove what others wrote
        found = self.folder.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise NotADirectoryError(f"{self.folder}: found no folder, expected one for the claims of GPU memory")


def _bounded(mine: OtherRun) -> bytes:
    """Return the content of a file that others read whole: the oldest of the clips that have ended are left out.

    Their memory then counts as a neighbour's until a reading shows that it is free. Clips that run are never left out.
    """
    data = json.dumps(_plain(mine)).encode()
    while len(data) > MOST_BYTES and mine.departed:
        newest = sorted(mine.departed, key=lambda gone: gone.ended_at)[(len(mine.departed) + 1) // 2 :]
        mine = replace(mine, departed=tuple(newest))
        data = json.dumps(_plain(mine)).encode()
    return data


def _plain(value: object) -> object:
    """Return a value for JSON, in which whatever has fields is an object, a GPU too."""
    if isinstance(value, GpuId):
        return value._asdict()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return value


def claims_of(run: str, plan: Plan, world: World, allocation_time: float) -> OtherRun:
    """Return what other processes have to know of a run: its clips, with those that the plan starts."""
    clip = _size(plan.per_clip, allocation_time) if plan.per_clip else None
    started = tuple(Running(start.index, start.node, start.gpu, world.now) for start in plan.start)
    standing = RunStanding(plan.share, plan.waits, plan.wants, world.now)
    encoders = next((other for other in world.others if other.name == run + SUFFIX and other.encodes), None)
    return OtherRun(run, clip, allocation_time, (*world.running, *started), world.departed, standing, encoders=encoders)


def young(others: Iterable[OtherRun], now: float) -> dict[str, list[Claim]]:
    """Return claims by the GPU's UUID: of clips that began so lately that a reading may not show them in full."""
    found: dict[str, list[Claim]] = {}
    for other in others:
        began: dict[str, list[float]] = {}
        for pod in other.running:
            if pod.gpu is not None and pod.started_at is not None and now - pod.started_at < other.allocation_time:
                began.setdefault(pod.gpu.uuid, []).append(pod.started_at)
        for uuid, times in began.items():
            mib = len(times) * other.clip.mean_mib if other.clip else None
            found.setdefault(uuid, []).append(Claim(other.name, len(times), mib, min(times)))
    return found


def _size(found: Expected, allocation_time: float) -> ClipMemory:
    return ClipMemory(
        peak_mib=found.most,
        mean_mib=found.mean,
        average_mib=found.average,
        deviation_mib=found.deviation,
        allocated_after=min(found.allocated_after, allocation_time),
        clips=FEW,  # no margin on top of that in the largest
    )


def _read(path: Path) -> OtherRun | None:
    """Return what a file says; None if its process is gone, whose file is removed if that is allowed."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode) or about.st_size > MOST_BYTES:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            found = _ADAPTER.validate_json(os.read(file, MOST_BYTES))
            name = f"{printable(found.name)[:253]} of {_user(about.st_uid)} (pid {path.name.partition('-')[0]})"
            encoders = found.encoders
            if not _makes_sense(found) or (encoders and not _makes_sense(encoders)):
                return None
            if encoders is not None:
                encoders = replace(encoders, name=name + SUFFIX, nodes=(), standing=None, encoders=None)
            return replace(found, name=name, nodes=(), encoders=encoders)
        with suppress(OSError):
            path.unlink()
        return None
    finally:
        os.close(file)


def _makes_sense(other: OtherRun) -> bool:
    """Return whether all numbers are some that clipfarm writes: a negative size would be memory that is not there."""
    clip = other.clip
    sizes = [clip.peak_mib, clip.mean_mib, clip.average_mib] if clip else []
    if clip and math.isfinite(clip.deviation_mib):  # infinite: unknown
        sizes.append(clip.deviation_mib)
    times = [clip.allocated_after] if clip else []
    times += [pod.started_at for pod in other.running if pod.started_at is not None]
    times += [time for pod in other.departed for time in (pod.started_at, pod.ended_at)]
    standing = [other.standing.share, other.standing.at] if other.standing else []
    numbers = (*sizes, *times, *standing, other.allocation_time)
    unsure = clip is None or clip.deviation_mib >= 0
    return unsure and max(sizes, default=0.0) <= MOST_MIB and all(math.isfinite(each) and each >= 0 for each in numbers)


def _unusable(folder: Path, error: OSError) -> str:
    what = error.strerror or str(error)
    return f"{folder}: {what}; it holds the claims of GPU memory of all runs on this machine ({VARIABLE} names another)"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
