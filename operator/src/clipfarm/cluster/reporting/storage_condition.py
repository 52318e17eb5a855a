"""The condition StorageReady: whether there is a volume for the clips, and if not, why."""

from clipfarm.cluster.reporting.standard_conditions import Finding
from clipfarm.storage import Storage


def storage_ready(storage: Storage | None, name: str, phase: str | None) -> Finding:
    """Whether there is a volume for the clips.

    Args:
        storage: what the run asks for; None: nothing.
        name: of its volume claim.
        phase: of that claim; None: not known yet.
    """
    if storage is None:
        return ("False", "NotAsked", "spec.storage: missing, expected {claimName: NAME} or {size: SIZE}; set it")
    match phase:
        case "Bound":
            return ("True", "Bound", f"clips go to the volume claim {name}")
        case "Missing" if storage.claim_name:
            return ("False", "Missing", f"there is no volume claim {name}; create it, pods wait for it")
        case "Lost":
            return ("False", "Lost", f"the volume of the claim {name} is gone")
        case _:
            return ("Unknown", "Pending", f"the volume claim {name} is not bound yet; it may wait for the first pod")
