"""Room for one more clip: memory that readings show, and memory that clips have claimed and readings do not show."""

import math

from clipfarm.decide.vram.expected import Expected
from clipfarm.decide.vram.place import Place
from clipfarm.world import Reading


def measured(place: Place, per_clip: Expected) -> float:
    """Return what readings show, the neighbours' next burst, and all claims, MiB; infinite if unknown.

    It is too much if young pods have allocated already, and too little if the others are between two peaks. Nodes that
    give out slices of their GPUs spread pods evenly over them.
    """
    state = place.fullest
    if state is None or state.reading is None:
        return math.inf
    share = len(place.states)
    freed = place.count.gone // share * per_clip.average
    reserve = state.neighbours.reserve_mib if state.neighbours else 0.0
    now = max(0.0, state.reading.used_mib - freed)
    return now + reserve + math.ceil(place.count.unseen / share) * per_clip.mean


def counted(place: Place, clips_mib: float, per_clip: Expected) -> float:
    """Return what neighbours use and ``clips_mib`` for the run's clips together, MiB; infinite if unknown."""
    state = place.fullest
    if state is None or state.reading is None or state.neighbours is None:
        return math.inf
    floor = max(0.0, state.reading.used_mib - place.count.gone * per_clip.average)
    return max(floor, state.neighbours.most_mib + clips_mib)


def needed(place: Place, per_clip: Expected) -> float:
    """Return the memory that one more clip has to find, MiB."""
    return per_clip.most if place.count.pods else per_clip.alone


def limit(place: Place, reading: Reading, high: float) -> float:
    """Return how much may be in use with one more clip, MiB.

    The first clip on a GPU may use all that is free: no clip of this run would ever free more memory.
    """
    return reading.total_mib * (high if place.count.pods else 1.0)


def has_room(place: Place, reading: Reading, per_clip: Expected, high: float) -> bool:
    """Tell whether one more clip fits on a GPU.

    Args:
        place: one GPU, or slices of several of which the fullest counts.
        reading: of that GPU.
        per_clip: memory that a clip takes.
        high: the high watermark, a fraction of the GPU.
    """
    most = limit(place, reading, high)
    if measured(place, per_clip) + needed(place, per_clip) <= most:
        return True
    # Together they have to fit; and those that are there, on average, must not be above the limit already.
    clips = place.count.pods
    usual = counted(place, clips * per_clip.average, per_clip)
    return usual <= most and counted(place, per_clip.together(clips + 1), per_clip) <= reading.total_mib


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
    with_room = len(known) - len(full)
    return with_room, with_room - place.count.unseen - max(0, place.count.seen - filled)
