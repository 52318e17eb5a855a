"""From folders to features: decode, copy to the device, compute, copy back and save, all at the same time."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

from clipfarm_contract import regular
from clipfarm_encode.batches import Batches, Prepared, Shape
from clipfarm_encode.files.clips import ClipError
from clipfarm_encode.files.decoding import Decoders
from clipfarm_encode.files.recipe import Encoded
from clipfarm_encode.models.base import Computed
from clipfarm_encode.models.batch import EncodeError, OutOfMemoryError
from clipfarm_encode.models.encoder import Encoder
from clipfarm_encode.passes import Extracting, passes
from clipfarm_encode.reporting.progress import Reporter
from clipfarm_encode.saving import Saver, Work
from clipfarm_encode.selection import Source, Turn, first
from clipfarm_encode.stopping import Latch

IDLE_SECONDS = 5.0
"""After this long without a clip a device gives its cached memory back."""
SAVERS = 8
"""For each device. Hash and file of 8 MiB take 10 to 30 ms, and a GPU has a clip each 9 ms."""

UnderWay = tuple[list[Prepared], Extracting, float]
"""A batch on a device, and when it was launched."""


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
    memory; clips are saved in whatever order they are done. A clip counts once for each feature set that it is in for.
    """

    def __init__(
        self,
        works: Sequence[Work],
        source: Source,
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
            works: the feature sets, by their numbers; all on the same devices.
            source: of the clips.
            reporter: of all sets.
            saving: passed by each clip that is saved.
            batch_size: clips of a batch, at most.
            decoders: entered, perhaps started; ended once all clips are decoded.
            linger: how long a batch may wait for clips to fill it, seconds.
            vanishing: a clip that goes away meanwhile is no failure.
            again: replace features that are as wanted, too.
        """
        self.out_of_memory = False
        """Whether a clip failed because a device's memory is too small."""
        self._works = works
        self._source = source
        self._reporter = reporter
        self._devices = [each.device for each in works[0].encoders]
        self._room = threading.BoundedSemaphore(decoders.count + 4 * batch_size * len(self._devices))
        self._saver = Saver(works, source, reporter, saving, self._room.release, vanishing=vanishing, again=again)
        self._batches = Batches(linger)
        # With a GPU all cores are for decoding, one thread each; on a CPU the model's threads are resized with.
        alone = (lambda: torch.set_num_threads(1)) if self._devices[0].type == "cuda" else None
        self._decode_pool = ThreadPoolExecutor(decoders.count, "decode", alone)
        self._save_pool = ThreadPoolExecutor(SAVERS * len(self._devices), "save")
        self._decoders = decoders
        self._broken: BaseException | None = None

    def run(self, limit: int | None = None) -> None:
        """Encode the source's clips until there are no more, or until there were ``limit`` of them for each set.

        A clip that cannot be encoded is reported, and the rest goes on.
        """
        devices = [
            threading.Thread(target=self._compute, args=(i,), name=f"device {i}", daemon=True)
            for i in range(len(self._devices))
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
        for turn in first(limit, self._source, len(self._works)):
            if self._broken is not None:
                return
            if turn is None:
                self._reporter.update(at_once=True)
                continue
            if not self._room.acquire(blocking=False):
                self._batches.full_up(True)
                while not self._room.acquire(timeout=1):
                    if self._broken is not None:
                        return
                self._batches.full_up(False)
            self._batches.expect()
            self._works[turn.number].account.started()
            self._decode_pool.submit(self._decode, turn)

    def _decode(self, turn: Turn) -> None:
        try:
            prepared = self._prepared(turn)
        except (ClipError, OSError) as error:
            self._batches.drop()
            self._saver.fail(turn, error)
        except BaseException as error:  # noqa: BLE001  a mistake of ours: ends the run, from its main thread
            self._break(error)
            self._batches.drop()
        else:
            self._batches.put(prepared)

    def _prepared(self, turn: Turn) -> Prepared:
        work = self._works[turn.number]
        encoder, extraction = work.encoders[0], work.destination.recipe.extraction
        start = time.monotonic()
        decoded = self._decoders.read(turn.found.clip)
        read = time.monotonic()
        count = len(decoded.frames)
        try:
            passes(extraction, count, encoder.model)
            pixels = encoder.prepare(decoded.frames)
        except ValueError as error:
            clip = turn.found.clip
            where = clip.excerpt if regular.may_exist(clip.excerpt) else clip.rgb
            raise ClipError(f"{where.name}: {error}") from None
        _, rows, columns = encoder.model.grid(encoder.model.step, *pixels.shape[-2:])
        self._reporter.spent("io", read - start)
        self._reporter.spent("preprocess", time.monotonic() - read)
        return Prepared(turn, pixels, Encoded(turn.found.name, count, decoded.sha256, rows, columns))

    def _compute(self, number: int) -> None:
        try:
            self._serve(number)
        except BaseException as error:  # noqa: BLE001  as above
            self._break(error)

    def _serve(self, number: int) -> None:
        """Run batches on a device: while one is computed, the next is launched, and only then the first is fetched."""
        under_way: UnderWay | None = None
        overlaps = self._devices[number].type == "cuda"
        idle = False
        done_at = time.monotonic()
        encoders = [work.encoders[number] for work in self._works]

        def size(kind: int, shape: Shape) -> int:
            return encoders[kind].sizes.size(shape)

        while True:
            batch = self._batches.take(size, 0 if under_way else IDLE_SECONDS)
            if not under_way and not batch:
                if batch is None:
                    return
                if not idle:
                    for encoder in encoders:
                        encoder.give_back()
                    idle = True
                continue
            idle = False
            before, under_way = under_way, None
            if batch:
                under_way = self._launch(encoders, batch)
            for each in (before, None if overlaps else under_way):
                if each is not None:
                    done_at = self._deliver(number, each, done_at)
            under_way = under_way if overlaps else None

    def _launch(self, encoders: Sequence[Encoder], batch: list[Prepared]) -> UnderWay:
        began, kind = time.monotonic(), batch[0].turn.number
        extraction = self._works[kind].destination.recipe.extraction
        return batch, Extracting(encoders[kind], extraction, [each.pixels for each in batch]), began

    def _deliver(self, number: int, under_way: UnderWay, done_before: float) -> float:
        """Hand a batch's features on to be saved, and return when they were there."""
        clips, batch, began = under_way
        done = done_before
        for prepared, result in zip(clips, batch.results(), strict=True):
            done = time.monotonic()
            if isinstance(result, EncodeError):
                self.out_of_memory |= isinstance(result, OutOfMemoryError)
                self._saver.fail(prepared.turn, result)
            else:
                self._save_pool.submit(self._save, prepared, result)
        tokens, flop = batch.work
        # Since the batch before it was done: the two were on the device at the same time.
        seconds = done - max(began, done_before)
        self._reporter.computed(number, clips=len(clips), tokens=tokens, flop=flop, seconds=seconds)
        self._reporter.update()
        return done

    def _save(self, prepared: Prepared, result: Computed) -> None:
        try:
            self._saver.save(prepared.turn, prepared.encoded, result)
        except BaseException as error:  # noqa: BLE001  as above
            self._break(error)

    def _break(self, error: BaseException) -> None:
        self._broken = self._broken or error
        self._batches.close()
