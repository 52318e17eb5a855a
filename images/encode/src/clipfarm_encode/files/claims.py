"""Which encoder is at work on which clip, when several share a folder: claims, as files on the volume.

Each encoder keeps one file whose time of modification is its heartbeat. A claim on a clip is a hard link to that
file::

    .clipfarm/claims/vjepa2_vitl16/owners/node-7-4711-1f3a9c04     the heartbeat, renewed while its owner lives
    .clipfarm/claims/vjepa2_vitl16/clip_00042.0                    the same file: clip 42 is that encoder's
    .clipfarm/claims/vjepa2_vitl16/clip_00042.1                    another's, who took the clip over

Making a link is atomic and fails where its name is taken, on NFS too, and one renewal renews every claim of an
encoder. A claim whose heartbeat stands still is taken over by the next number: of several who try, one succeeds, and
nobody removes a claim that somebody else has just made. "Stands still" is measured on the observer's own clock,
between two looks of its own, so clocks of machines need not agree. The file says which process its owner is, so
that one known to be dead is not waited for (:mod:`clipfarm_encode.files.owner`).

An encoder that was only slow may find its clip taken over. Then both work on it, and the one that saves first wins
(:func:`clipfarm_encode.files.features.save`): a claim saves work, it is not what keeps features whole.
"""

import errno
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from clipfarm_contract import regular
from clipfarm_contract.fields import ContractError
from clipfarm_encode.files.owner import Owner

BEATS_BEFORE_STALE = 6
_CLAIM = re.compile(r"(clip_\d+)\.(\d+)")
MOST_BYTES = 4096
"""What is read of a heartbeat: no encoder writes more."""
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
"""What file systems without hard links answer."""


class Claims:
    """This encoder's claims, and what it knows of the others'.

    ``look``, ``take`` and ``known`` belong to one thread; ``release`` and ``release_all`` may come from any.
    """

    def __init__(
        self, folder: Path, stale_after: float, clock: Callable[[], float] = time.monotonic, owner: str | None = None
    ) -> None:
        """Prepare to share the work; entering makes the heartbeat.

        Args:
            folder: where all encoders of a run with the same model keep their claims.
            stale_after: seconds without a heartbeat after which a claim may be taken over.
        """
        host = re.sub("[^A-Za-z0-9-]", "-", socket.gethostname())
        self.owner = owner or f"{host}-{os.getpid()}-{secrets.token_hex(4)}"
        self._folder = folder
        self._owners = folder / "owners"
        self._heartbeat = self._owners / self.owner
        self._stale_after = stale_after
        self._clock = clock
        self._process = Owner.this()
        self._inode = 0
        self._beats: dict[int, tuple[int, float]] = {}
        """By inode: the newest heartbeat seen, and when this encoder first saw it."""
        self._others: dict[str, tuple[int, bool]] = {}
        """By clip: the highest claim's number, and whether it is stale; as of the last look."""
        self._held: dict[str, tuple[int, tuple[Path, ...]]] = {}
        """By clip: this encoder's number, and the claims that it took over."""
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.nothing_left = False
        """To be set once every clip has its features or cannot get any: then leaving tidies up."""
        self.works = True
        """False if the file system has no hard links from folder to folder: without claims every clip is free."""

    def __enter__(self) -> Self:
        self._make_heartbeat()
        probe = self._folder / f".{self.owner}"  # in another folder, as claims are
        try:
            os.link(self._heartbeat, probe)
            probe.unlink()
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            self.works = False
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self.release_all()
        if self.nothing_left:
            self._sweep()

    def look(self) -> None:
        """Read what the others claim: two listings, and one file opened for each encoder."""
        now = self._clock()
        found: dict[str, tuple[int, int]] = {}
        for entry in self._list(self._folder):
            if (match := _CLAIM.fullmatch(entry.name)) and entry.inode() != self._inode:
                found[match[1]] = max(found.get(match[1], (-1, 0)), (int(match[2]), entry.inode()))
        owners = {entry.inode(): Path(entry.path) for entry in self._list(self._owners)}
        # An owner whose heartbeat file is gone shows itself by its claims only.
        files = {inode: self._path(name, number) for name, (number, inode) in found.items()} | owners
        files.pop(self._inode, None)
        beats, stale = {}, set()
        for inode, path in files.items():
            (beat, owner), before = _read(path), self._beats.get(inode)
            beats[inode] = before if before and before[0] == beat else (beat, now)
            if now - beats[inode][1] >= self._stale_after or (owner and owner.has_ended(self._process)):
                stale.add(inode)
        self._beats = beats
        self._others = {name: (number, inode in stale) for name, (number, inode) in found.items()}
        for inode in (stale & owners.keys()) - {inode for _, inode in found.values()}:
            owners[inode].unlink(missing_ok=True)  # dead, and without a claim

    def take(self, clip: str) -> bool:
        """Claim a clip; False where another encoder has it, or was faster."""
        if clip in self._held:
            return False
        number = 0
        taken_over: tuple[Path, ...] = ()
        if clip in self._others:
            last, stale = self._others[clip]
            if not stale:
                return False
            number, taken_over = last + 1, (self._path(clip, last),)
        if self.works and not self._link(self._path(clip, number)):
            return False
        with self._lock:
            self._held[clip] = (number, taken_over)
        return True

    def holds(self, clip: str) -> bool:
        """Tell whether this encoder is at work on a clip."""
        return clip in self._held

    @property
    def held(self) -> int:
        """Number of clips that this encoder is at work on."""
        return len(self._held)

    def release(self, clip: str) -> None:
        """Give a claim up, done or not."""
        with self._lock:
            held = self._held.pop(clip, None)
        if held is None or not self.works:
            return
        number, taken_over = held
        for path in (*taken_over, self._path(clip, number)):
            with suppress(OSError):  # a claim on a clip that is done does no harm
                path.unlink()

    def release_all(self) -> None:
        """Give everything up, so that no encoder has to wait until it is stale."""
        for clip in list(self._held):
            self.release(clip)
        with suppress(OSError):
            self._heartbeat.unlink()

    def _make_heartbeat(self) -> None:
        self._owners.mkdir(parents=True, exist_ok=True)
        self._heartbeat.touch()
        self._inode = self._heartbeat.stat().st_ino
        if self._process:
            with suppress(OSError):  # the disk is full: then the heartbeat alone has to tell
                self._heartbeat.write_text(self._process.to_json())

    def _link(self, path: Path) -> bool:
        for _ in range(2):
            try:
                os.link(self._heartbeat, path)
            except FileExistsError:
                # An NFS server whose answer was lost is asked again, and then finds the link that it has made.
                return _inode(path) == self._inode
            except FileNotFoundError:  # it was cleaned up: make the heartbeat again
                self._make_heartbeat()
            else:
                return True
        return False

    def _beat(self) -> None:
        while not self._ended.wait(self._stale_after / BEATS_BEFORE_STALE):
            try:
                os.utime(self._heartbeat)  # without a time: an NFS server takes its own clock
            except OSError:
                continue  # the volume is away for the moment, or the file was removed: `_link` makes it again

    def _list(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return list(entries)
        except FileNotFoundError:
            return []  # tidied up by another encoder that found nothing left; `_link` makes it again

    def _sweep(self) -> None:
        """Remove what is left; whoever still lives has no need of it, and makes it again if it has."""
        for folder in (self._owners, self._folder):
            for entry in self._list(folder):
                if entry.is_file():
                    Path(entry.path).unlink(missing_ok=True)
        for folder in (self._owners, self._folder, self._folder.parent):
            try:
                folder.rmdir()
            except OSError:
                return  # another encoder has made something again

    def _path(self, clip: str, number: int) -> Path:
        return self._folder / f"{clip}.{number}"


def _read(path: Path) -> tuple[int, Owner | None]:
    """Return a heartbeat, as ns of the server's clock, and whose it is; 0 where the file is gone.

    Opened, because an NFS client may answer stat from what it knew up to a minute ago, but asks again at each open.
    """
    try:
        with regular.opened(path, path.name) as file:
            beat, text = os.fstat(file.fileno()).st_mtime_ns, file.read(MOST_BYTES)
    except (OSError, ContractError):
        return 0, None
    return beat, Owner.parse(text.decode("utf-8", "replace"))


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0
