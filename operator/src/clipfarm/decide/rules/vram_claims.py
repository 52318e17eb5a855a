"""Clips that no reading shows yet have claimed the memory that they are expected to take.

While nothing is known of what clips take, admission starts slowly: at most twice as many clips as were there together
some time ago, and at least one, so 1, 2, 4, ... run. Each is then expected to take as much as those did.
"""

import math

from clipfarm.decide.rules.rule import PlaceRule
from clipfarm.decide.rules.subjects import Situation
from clipfarm.decide.vram.claims import has_room, limit, needed, whole_gpus
from clipfarm.decide.vram.expected import Expected
from clipfarm.decide.vram.place import Place
from clipfarm.units import format_clips, format_count, format_mib
from clipfarm.world import Reading

FASTER = "vram.perClip: SIZE makes this faster"


def _holds(place: Place, situation: Situation) -> str | None:
    state, per_clip = place.fullest, situation.sure_per_clip
    if not situation.run.spec.vram.enabled or state is None:
        return None
    if place.node.sharing == "Whole" and any(each.reading for each in place.states):
        return _no_gpu_left(place, per_clip)
    if state.reading is None:
        return None
    if place.others.unknown > 0.5:
        clips = format_clips(round(place.others.unknown))
        return f"{state.gpu}: waits for a reading that shows {clips} of other runs, of unknown size; {FASTER}"
    if per_clip is None:
        if place.empty:
            return None  # a guess may be wrong, and only a clip that runs can correct it
        if place.count.pods and place.count.pods >= max(1, 2 * place.count.proven):
            waits = f"waits for a reading that shows {format_clips(place.count.unseen)} started just now"
            return f"{state.gpu}: {waits}; {FASTER}"
        per_clip = _guess(place, state.reading, situation)
        if per_clip is None:
            return None
    high = situation.run.spec.vram.high
    # A clip that would fail for good is put at no risk.
    surely = situation.surely or place.count.last_attempts + place.others.last_attempts > 0.5
    if has_room(place, state.reading, per_clip, high, surely=surely):
        return None
    used, total = format_mib(state.reading.used_mib), format_mib(state.reading.total_mib)
    claims = _claims(place, per_clip)
    most = f"the {format_mib(limit(place, state.reading, high))} limit ({high:.0%} of {total})"
    another = f"another clip ({format_mib(needed(place, per_clip))})"
    return f"{state.gpu}: {used} in use{claims}; {another} would exceed {f'its {total}' if place.empty else most}"


def _claims(place: Place, per_clip: Expected) -> str:
    """Return what readings may not show yet, to follow the use; empty: they show all."""
    unseen, others = place.count.unseen, place.others
    share = math.ceil(unseen / len(place.states))
    found = f", {format_clips(unseen)} started just now ({format_mib(share * per_clip.mean)})" if unseen else ""
    clips, encoders = round(others.unseen - others.encoders), round(others.encoders)
    theirs = [f"{format_clips(clips)} of other runs"] if clips else []
    theirs += [format_count(encoders, "encoder")] if encoders else []
    if theirs:
        found += f", {' and '.join(theirs)} started just now ({format_mib(others.claimed)})"
    return found


def _guess(place: Place, reading: Reading, situation: Situation) -> Expected | None:
    """Return what a clip takes at most while that is not known; None: nothing points to it."""
    if not place.count.pods:
        # Clips of other runs are there, which a clip that takes too much would break.
        most = situation.largest_mib
        return None if most is None else Expected(most, most)
    if situation.per_clip is not None:
        return situation.per_clip
    # No clip takes more, on average, than all that is in use divided by those that readings show.
    share = max(0.0, reading.used_mib - place.others.showing) / place.count.proven
    return Expected(share, share)


def _no_gpu_left(place: Place, per_clip: Expected | None) -> str | None:
    """Hold if the device plugin may have no GPU with room left."""
    with_room, unclaimed = whole_gpus(place, per_clip.alone if per_clip else 0.0)
    if unclaimed > 0:
        return None
    measured = sum(state.reading is not None for state in place.states)
    return f"{place.node.name}: {with_room} of {measured} GPUs have room, {format_clips(place.count.pods)} there"


RULE = PlaceRule(
    word="VRAMClaims",
    means="No reading shows a clip that has just started, so the memory that it will take counts as used.",
    remedy="Nothing. If you know `vram.perClip`, set it: without it, clips start slowly.",
    passes=True,
    about_vram=True,
    holds=_holds,
)
