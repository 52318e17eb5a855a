"""From folders to features: decode, copy to the device, compute, copy back and save, all at the same time."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from clipfarm_contract import regular
from clipfarm_encode.batches import Batches, Prepared
from clipfarm_encode.files.clips import ClipError, Found, UnreadableError
from clipfarm_encode.files.decoding import Decoders
from clipfarm_encode.files.features import Encoded, all_finite, save
from clipfarm_encode.models.base import Computed
from clipfarm_encode.models.batch import Batch, EncodeError, OutOfMemoryError
from clipfarm_encode.models.encoder import Encoder
from clipfarm_encode.reporting.progress import Reporter
from clipfarm_encode.selection import Destination, Source, first
from clipfarm_encode.stopping import Latch

if TYPE_CHECKING:
    from collections.abc import Sequence

IDLE_SECONDS = 5.0
"""After this long without a clip a device gives its cached memory back."""
SAVERS = 8
"""For each device. Hash and file of 8 MiB take 10 to 30 ms, and a GPU has a clip each 9 ms."""


class Pipeline:
    """Encodes clips as they come, on one or several devices.

    ========  ====================================  ===========================================
    stage     runs in                               hands on
    ========  ====================================  ===========================================
    decode    a process and a thread each decoder   6 MiB a clip of 32 frames at 256 pixels
    compute   a thread each device                  8 MiB of features a clip
    save      eight threads each device
    ========  ====================================  ===========================================

    A clip is admitted only while fewer than ``decoders + 4 * batch_size * devices`` are inside: one in each decoder,
    and for each device a batch that waits, one that is copied there, one that is computed and one that is saved. So
    the host's memory holds at most that many clips, before the model or after it, and one more in each decoder's own
    memory; clips are saved in whatever order they are done.
    """

    def __init__(
        self,
        encoders: "Sequence[Encoder]",
        source: Source,
        destination: Destination,
        reporter: Reporter,
        saving: Latch,
        *,
        batch_size: int,
        decoders: Decoders,
        linger: float = float("inf"),
        vanishing: bool = False,
        again: bool = False,
    ) -> None:
        """Connect encoders with clips and disk.

        Args:
            encoders: one for each device, with copies of one model.
            decoders: entered, perhaps started; ended once all clips are decoded.
            linger: how long a batch may wait for clips to fill it, seconds.
            vanishing: a clip that goes away meanwhile is no failure.
            again: replace features that are as wanted, too.
        """
        self.out_of_memory = False
        """Whether a clip failed because a device's memory is too small."""
        self._encoders = encoders
        self._source = source
        self._destination = destination
        self._reporter = reporter
        self._saving = saving
        self._vanishing = vanishing
        self._again = again
        self._room = threading.BoundedSemaphore(decoders.count + 4 * batch_size * len(encoders))
        self._batches = Batches(linger)
        # With a GPU all cores are for decoding, one thread each; on a CPU the model's threads are resized with.
        alone = (lambda: torch.set_num_threads(1)) if encoders[0].device.type == "cuda" else None
        self._decode_pool = ThreadPoolExecutor(decoders.count, "decode", alone)
        self._save_pool = ThreadPoolExecutor(SAVERS * len(encoders), "save")
        self._decoders = decoders
        self._wider = False
        self._broken: BaseException | None = None

    def run(self, limit: int | None = None) -> None:
        """Encode the source's clips until there are no more, or until there were ``limit`` of them.

        A clip that cannot be encoded is reported, and the rest goes on.
        """
        devices = [
            threading.Thread(target=self._compute, args=(i, encoder), name=f"device {i}", daemon=True)
            for i, encoder in enumerate(self._encoders)
        ]
        with self._save_pool:
            for thread in devices:
                thread.start()
            try:
                with self._decode_pool:
                    self._feed(limit)
            finally:
                self._batches.close()
                self._decoders.end()
                for thread in devices:
                    thread.join()
        if self._broken is not None:
            raise self._broken

    def _feed(self, limit: int | None) -> None:
        for found in first(limit, self._source):
            if self._broken is not None:
                return
            if found is None:
                self._reporter.update(at_once=True)
                continue
            if not self._room.acquire(blocking=False):
                self._batches.full_up(True)
                while not self._room.acquire(timeout=1):
                    if self._broken is not None:
                        return
                self._batches.full_up(False)
            self._batches.expect()
            self._reporter.started()
            self._decode_pool.submit(self._decode, found)

    def _decode(self, found: Found) -> None:
        try:
            start = time.monotonic()
            decoded = self._decoders.read(found.clip)
            read = time.monotonic()
            pixels = self._encoders[0].prepare(decoded.frames)
            encoded = Encoded(found.name, len(decoded.frames), decoded.sha256)
            self._reporter.spent("io", read - start)
            self._reporter.spent("preprocess", time.monotonic() - read)
        except (ClipError, OSError) as error:
            self._batches.drop()
            self._fail(found, error)
        except BaseException as error:  # noqa: BLE001  a mistake of ours: ends the run, from its main thread
            self._break(error)
            self._batches.drop()
        else:
            self._batches.put(Prepared(found, pixels, encoded))

    def _compute(self, number: int, encoder: Encoder) -> None:
        try:
            self._serve(number, encoder)
        except BaseException as error:  # noqa: BLE001  as above
            self._break(error)

    def _serve(self, number: int, encoder: Encoder) -> None:
        """Run batches on a device: while one is computed, the next is launched, and only then the first is fetched."""
        under_way: tuple[list[Prepared], Batch, float] | None = None
        overlaps = encoder.device.type == "cuda"
        idle = False
        done_at = time.monotonic()
        while True:
            batch = self._batches.take(encoder.sizes.size, 0 if under_way else IDLE_SECONDS)
            if not under_way and not batch:
                if batch is None:
                    return
                if not idle:
                    encoder.give_back()
                    idle = True
                continue
            idle = False
            before, under_way = under_way, None
            if batch:
                began = time.monotonic()
                under_way = (batch, encoder.start([each.pixels for each in batch]), began)
            for each in (before, None if overlaps else under_way):
                if each is not None:
                    done_at = self._deliver(number, encoder, each, done_at)
            under_way = under_way if overlaps else None

    def _deliver(
        self, number: int, encoder: Encoder, under_way: tuple[list[Prepared], Batch, float], done_before: float
    ) -> float:
        """Hand a batch's features on to be saved, and return when they were there."""
        clips, batch, began = under_way
        done = done_before
        for prepared, result in zip(clips, batch.results(), strict=True):
            done = time.monotonic()
            if isinstance(result, EncodeError):
                self.out_of_memory |= isinstance(result, OutOfMemoryError)
                self._fail(prepared.found, result)
            else:
                self._mention(prepared.found, result)
                self._save_pool.submit(self._save, prepared.found, prepared.encoded, result)
        frames, _, height, width = clips[0].pixels.shape
        self._reporter.computed(
            number,
            clips=len(clips),
            tokens=len(clips) * encoder.model.tokens(frames, height, width),
            flop=len(clips) * encoder.model.flop(frames, height, width),
            # Since the batch before it was done: the two were on the device at the same time.
            seconds=done - max(began, done_before),
        )
        self._reporter.update()
        return done

    def _mention(self, found: Found, result: Computed) -> None:
        """Say once that a clip was not computed as the others are."""
        if result.compute != self._destination.recipe.compute and not self._wider:
            self._wider = True
            usual = self._destination.recipe.compute
            self._reporter.say(
                f"NOTE: {found.name}: a value exceeds {usual}'s range; this clip and others like it are computed in "
                f"{result.compute}, as their sidecars record"
            )

    def _save(self, found: Found, encoded: Encoded, result: Computed) -> None:
        try:
            start = time.monotonic()
            (features,) = result.features
            if not all_finite(features):
                raise ClipError("its features are not finite numbers")
            recipe = replace(self._destination.recipe, compute=result.compute)
            clip = self._destination.clip(found)
            with self._saving:
                if self._vanishing and _inode(found) != found.inode:
                    raise FileNotFoundError(2, "its folder is gone", found.name)
                if self._destination.out_dir is not None:
                    clip.folder.mkdir(parents=True, exist_ok=True)
                ours = save(features, encoded, clip, recipe, source=found.clip, again=self._again)
        except (ClipError, OSError) as error:
            self._fail(found, error)
        except BaseException as error:  # noqa: BLE001  as above
            self._break(error)
        else:
            self._reporter.spent("save", time.monotonic() - start)
            self._reporter.saved(found.name, ours=ours)
            self._settle(found)

    def _fail(self, found: Found, error: Exception) -> None:
        if self._vanishing and _inode(found) != found.inode:
            self._reporter.forget(found.name)  # whoever took it away may make it again: then it gets another turn
        else:
            if not regular.may_exist(found.path):
                reason = "its folder is gone"
            elif isinstance(error, OSError):
                reason = f"{error.filename or found.name}: {error.strerror}"
            else:
                reason = str(error)
            self._reporter.failed(found.name, reason)
        self._settle(found, unread=isinstance(error, UnreadableError))

    def _settle(self, found: Found, *, unread: bool = False) -> None:
        self._source.settled(found, unread=unread)
        self._reporter.ended()
        self._room.release()

    def _break(self, error: BaseException) -> None:
        self._broken = self._broken or error
        self._batches.close()


def _inode(found: Found) -> int:
    try:
        return found.path.stat().st_ino
    except OSError:
        return 0
