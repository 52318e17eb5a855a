"""No clip starts on a GPU that is closed by its watermarks, or on which a clip has just run out of memory."""

from clipfarm.decide.rules.rule import PlaceRule
from clipfarm.decide.rules.subjects import Situation
from clipfarm.decide.vram.place import Place
from clipfarm.decide.vram.watermarks import holders_suffix, opens_below


def _holds(place: Place, situation: Situation) -> str | None:
    return _closed(place, situation) or _ran_out(place) if situation.run.spec.vram.enabled else None


def _closed(place: Place, situation: Situation) -> str | None:
    known = [(state, state.reading) for state in place.states if state.reading is not None]
    closed = [(state, reading) for state, reading in known if state.closed]
    if not closed or (place.node.sharing == "Whole" and len(closed) < len(known)):
        return None
    state, reading = closed[0]
    below = opens_below(situation.run.spec.vram, reading, state.neighbours)
    use = f"{state.gpu} at {reading.used_fraction:.0%}{holders_suffix(state)}; starts again below {below:.0%}"
    if place.empty:
        return f"{use}; no clip of this run is on it, so something else has to free the memory"
    return use


def _ran_out(place: Place) -> str | None:
    """A reading from before a clip ran out of memory says nothing: something else has the memory now."""
    if not (place.count.ran_out or place.others.ran_out):
        return None
    if place.fullest is None or place.fullest.reading is None:
        return None  # no newer reading will come; the delay of the retry has to be enough
    where = place.gpu or place.node.name
    return f"{where}: a clip ran out of memory there; waits for a reading that is newer than that"


RULE = PlaceRule(
    word="VRAMHigh",
    means=(
        "A GPU was above `vram.high`, and has not been below `vram.low` since (below `vram.high`, if only "
        "the run's own clips keep it above `low`). Or a clip ran out of memory there, and there is no newer "
        "reading."
    ),
    remedy=(
        "Nothing if the run's own clips fill it. If the message says that something else has to free the "
        "memory, find it with `nvidia-smi` on that node."
    ),
    passes=True,
    about_vram=True,
    holds=_holds,
)
