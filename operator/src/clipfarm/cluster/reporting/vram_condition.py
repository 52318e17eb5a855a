"""The condition VRAMHeld: whether GPU memory holds clips back, and which programs have it."""

from clipfarm.cluster.reporting.standard_conditions import Finding
from clipfarm.decide.status import Status
from clipfarm.decide.vram.watermarks import holders_suffix
from clipfarm.manifests.blocks import Blocks
from clipfarm.units import format_duration

MOST_GPUS = 4


def vram_held(blocks: Blocks, status: Status, warning_after: float) -> Finding:
    """Whether GPU memory keeps clips back.

    Args:
        blocks: the clips of each index.
        status: as it was decided.
        warning_after: seconds after which other programs that fill a GPU are named.
    """
    held = [entry for entry in status.held if entry.hold.about_vram]
    if not held:
        return ("False", "Open", "GPU memory holds no clip back")
    clips = sum(blocks.size(index) for entry in held for index in entry.indexes)
    message = f"{'1 clip' if clips == 1 else f'{clips} clips'} held: {held[0].hold.message}"
    if not status.kept_full:
        return ("True", held[0].hold.reason, message)
    return ("True", "VRAMTaken", f"{message}. {_taken(status, warning_after)}")


def _taken(status: Status, warning_after: float) -> str:
    """Return which GPUs other programs keep full, and their names."""
    after = format_duration(warning_after)
    told = [
        f"{state.gpu}{holders_suffix(state) or ' (by an unknown program)'}" for state in status.kept_full[:MOST_GPUS]
    ]
    more = len(status.kept_full) - len(told)
    which = ", ".join(told) + (f" and {more} more" if more else "")
    return f"Other programs have kept full for longer than {after}: {which}"
