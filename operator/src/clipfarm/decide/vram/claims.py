"""Room for one more clip: memory that readings show, and memory that clips have claimed and readings do not show."""

import math

from clipfarm.decide.vram.expected import Expected
from clipfarm.decide.vram.place import Place
from clipfarm.world import Reading


def measured(place: Place, per_clip: Expected) -> float:
    """Return what readings show, the neighbours' next burst, and all claims of all runs, MiB; infinite if unknown.

    It is too much if young pods have allocated already, and too little if the others are between two peaks. Nodes that
    give out slices of their GPUs spread pods evenly over them.
    """
    state = place.fullest
    if state is None or state.reading is None:
        return math.inf
    share = len(place.states)
    freed = place.count.gone // share * per_clip.average + place.others.freed
    reserve = state.neighbours.reserve_mib if state.neighbours else 0.0
    now = max(0.0, state.reading.used_mib - freed)
    return now + reserve + math.ceil(place.count.unseen / share) * per_clip.mean + place.others.claimed


def counted(place: Place, clips_mib: float, per_clip: Expected) -> float:
    """Return what neighbours use and ``clips_mib`` for the clips of all runs together, MiB; infinite if unknown."""
    state = place.fullest
    if state is None or state.reading is None or state.neighbours is None:
        return math.inf
    floor = max(0.0, state.reading.used_mib - place.count.gone * per_clip.average - place.others.freed)
    return max(floor, state.neighbours.most_mib + clips_mib)


def needed(place: Place, per_clip: Expected) -> float:
    """Return the memory that one more clip has to find, MiB."""
    return per_clip.alone if place.empty else per_clip.most


def limit(place: Place, reading: Reading, high: float) -> float:
    """Return how much may be in use with one more clip, MiB.

    The first clip on a GPU may use all that is free: no clip of any run would ever free more memory.
    """
    return reading.total_mib * (1.0 if place.empty else high)


def missing(place: Place, reading: Reading, per_clip: Expected, high: float, *, surely: bool = False) -> float:
    """Return the memory that has to come free before one more clip fits, MiB; 0 or less: it fits, by one estimate."""
    together = per_clip.together(place.count.pods + 1, place.others, surely=surely)
    return min(
        measured(place, per_clip) + needed(place, per_clip) - limit(place, reading, high),
        counted(place, together, per_clip) - reading.total_mib,
    )


def has_room(place: Place, reading: Reading, per_clip: Expected, high: float, *, surely: bool = False) -> bool:
    """Tell whether one more clip fits on a GPU.

    Args:
        place: one GPU, or slices of several of which the fullest counts.
        reading: of that GPU.
        per_clip: memory that a clip takes.
        high: the high watermark, a fraction of the GPU.
        surely: whether no risk is taken: see :meth:`clipfarm.decide.vram.expected.Expected.together`.
    """
    most = limit(place, reading, high)
    if measured(place, per_clip) + needed(place, per_clip) <= most:
        return True
    # Together they have to fit; and those that are there, on average, must not be above the limit already.
    clips, others = place.count.pods, place.others
    usual = counted(place, clips * per_clip.average + others.usual, per_clip)
    together = per_clip.together(clips + 1, others, surely=surely)
    return usual <= most and counted(place, together, per_clip) <= reading.total_mib


def whole_gpus(place: Place, needed_mib: float) -> tuple[int, int]:
    """Return GPUs of a node with room for a clip, and how many of them are not claimed.

    Its device plugin gives each clip a GPU of its own, and which one is not known. Clips that readings show are counted
    on full GPUs that a clip can have filled, because it uses half of the memory there or more; the rest of them, and
    those that no reading shows yet, are on GPUs that have room.

    Args:
        place: the GPUs of one node.
        needed_mib: memory that a clip needs; 0: unknown.
    """
    known = [(state, state.reading) for state in place.states if state.reading is not None]
    full = [reading for state, reading in known if state.closed or reading.used_mib + needed_mib > reading.total_mib]
    filled = sum(not needed_mib or reading.used_mib <= 2 * needed_mib for reading in full)
    with_room, others = len(known) - len(full), place.others
    unseen = place.count.unseen + round(others.unseen)
    seen = place.count.seen + round(others.pods - others.unseen)
    return with_room, with_room - unseen - max(0, seen - filled)
