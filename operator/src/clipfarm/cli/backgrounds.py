"""What ``clipfarm plan`` says of the backgrounds that a run renders: one for each look."""

from collections.abc import Collection

from clipfarm.units import format_bytes, format_clips
from clipfarm_contract.experiments import looks
from clipfarm_contract.experiments.reading import Declared


def lines(made: Declared, clips: Collection[int]) -> list[str]:
    """Return what is to be known of the backgrounds of some clips; nothing if all have one, or if there are none.

    Args:
        made: the run's experiment.
        clips: all that are to be made.
    """
    scene, declaration = made.scene, made.scene.declaration
    if scene.background != "cached":
        return []
    shared = dict[tuple[tuple[str, ...], ...], int]()  # most looks, by what the laws allow
    own, also_views, varied = 0, False, dict[str, None]()
    for entry in made.phases:
        here, laws = sum(entry.start <= clip <= entry.end for clip in clips), entry.phase.laws
        for view in ("", *(view.name for view in scene.views)) if here else ():
            count = looks.count(declaration, laws, camera=not view)
            if count is None:
                own, also_views = own + (0 if view else here), also_views or bool(view)
                varied |= dict.fromkeys(looks.varied(declaration, laws))
                continue
            allowed = tuple(
                (factor.name, str(laws[factor.name]))
                for factor in declaration.factors
                if factor.look and not (view and factor.name in looks.CAMERA)
            )
            shared[(view,), *allowed] = min(count, shared.get(((view,), *allowed), 0) + here)
    said, count = [], sum(shared.values())
    size = looks.BYTES_PER_PIXEL * scene.resolution**2
    kept = max(1, looks.MOST_KEPT_BYTES // size)
    if count > 1:
        line = f"  backgrounds: at most {count}, one for each look, {format_bytes(size)} each"
        said.append(line if count <= kept else f"{line}; the {kept} used last are kept")
    if own:
        of_which = f"{format_clips(own)}{' and of their views' if also_views else ''}"
        line = (
            f"  backgrounds: one for each of {of_which}, because any value of {', '.join(varied)} may come;"
            f" each takes as long as {looks.FRAMES} full frames"
        )
        faster = f"; with {scene.frames} frames a clip, render.background: full is faster"
        said.append(line + (faster if scene.frames < looks.WORTH_FRAMES else ""))
    return said
