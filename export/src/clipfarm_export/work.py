"""Clips, made ready on all processors, in order, and only a few ahead of the one that is written."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from clipfarm_contract.cpus import available_cpus
from clipfarm_export.errors import LeftOutError
from clipfarm_export.survey import Candidate, LeftOut

T = TypeVar("T")


def in_order(
    clips: Sequence[Candidate], make: Callable[[Candidate], T], left_out: list[LeftOut], tick: Callable[[], None]
) -> Iterator[T]:
    """Return what ``make`` makes of each clip, in their order.

    Decoding, hashing and encoding leave Python's lock, so threads are enough.

    Args:
        clips: the clips.
        make: of one clip; raises LeftOutError where that cannot be exported.
        left_out: gets those.
        tick: called after each clip.
    """
    workers = available_cpus()
    waiting: deque[tuple[Candidate, Future[T]]] = deque()
    todo = iter(clips)
    with ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                while len(waiting) < 2 * workers and (clip := next(todo, None)):
                    waiting.append((clip, pool.submit(make, clip)))
                if not waiting:
                    return
                clip, future = waiting.popleft()
                try:
                    made = future.result()
                except LeftOutError as error:
                    left_out.append(LeftOut(clip.name, str(error)))
                else:
                    yield made
                tick()
        finally:
            for _, future in waiting:
                future.cancel()
