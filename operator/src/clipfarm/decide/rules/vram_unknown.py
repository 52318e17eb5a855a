"""Without a fresh reading ``vram.whenUnknown`` decides; memory whose use is unknown never counts as free."""

from clipfarm.decide.rules.rule import PlaceRule
from clipfarm.decide.rules.subjects import Situation
from clipfarm.decide.vram.place import Place


def _holds(place: Place, situation: Situation) -> str | None:
    vram = situation.run.spec.vram
    if not (vram.enabled and place.needs_gpu) or vram.when_unknown == "Admit":
        return None
    if not place.states:
        return _message(f"GPU memory of {place.node.name} is unknown ({place.node.gpu_problem or 'no GPU found'})")
    blind = [state for state in place.states if state.reading is None]
    enough = len(blind) < len(place.states) if place.node.sharing == "Whole" else not blind
    return None if enough else _message(f"memory of {blind[0].gpu} is unknown ({blind[0].problem})")


def _message(what: str) -> str:
    return f"{what}; vram.whenUnknown: Admit starts clips anyway"


RULE = PlaceRule(
    word="VRAMUnknown",
    means="There is no reading, or none younger than `vram.staleAfter`; the message says why.",
    remedy=(
        "Check that the DCGM exporter or the agent of that node is running, and that the labels and the "
        "namespace in `vram` of the chart's values match it. An exporter that collects every 30 s needs a "
        "`staleAfter` well above that. `vram.whenUnknown: Admit` starts clips anyway."
    ),
    passes=False,
    about_vram=True,
    holds=_holds,
)
