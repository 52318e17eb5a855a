"""A GPU that has less memory than a clip needs takes none, however empty it is."""

from clipfarm.decide.rules.rule import PlaceRule
from clipfarm.decide.rules.subjects import Situation
from clipfarm.decide.vram.place import Place
from clipfarm.units import format_mib


def _holds(place: Place, situation: Situation) -> str | None:
    per_clip = situation.sure_per_clip
    if not situation.run.spec.vram.enabled or per_clip is None or place.fullest is None:
        return None
    if place.node.sharing == "Whole":
        totals = [state.reading.total_mib for state in place.states if state.reading is not None]
        if not totals or per_clip.alone <= max(totals):
            return None
        largest, clip = format_mib(max(totals)), format_mib(per_clip.alone)
        return f"the largest GPU of {place.node.name} has {largest}, less than a clip takes ({clip})"
    reading, first = place.fullest.reading, place.empty
    most = per_clip.alone if first else per_clip.most
    if reading is None or most <= reading.total_mib or not (first or per_clip.given):
        return None
    has, takes = f"{place.fullest.gpu} has {format_mib(reading.total_mib)}", format_mib(most)
    if per_clip.given:
        return f"{has}, less than vram.perClip ({takes}); lower it if clips take less"
    return f"{has}, less than a clip takes ({takes})"


RULE = PlaceRule(
    word="VRAMTooSmall",
    means="A clip takes more than the GPU has, by `vram.perClip` or by what clips took so far.",
    remedy="Lower `vram.perClip` if it is too high, or exclude that node by `render.pod.nodeSelector`.",
    passes=False,
    about_vram=True,
    holds=_holds,
)
