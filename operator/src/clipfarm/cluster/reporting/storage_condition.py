"""The condition StorageReady: whether there is a volume for the clips, and if not, why."""

from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.reporting.standard_conditions import Finding


def storage_ready(tracked: Tracked) -> Finding:
    """Whether there is a volume for the clips."""
    if tracked.run.spec.storage is None:
        return ("False", "NotAsked", "spec.storage: missing, expected {claimName: NAME} or {size: SIZE}; set it")
    name = tracked.names.claim
    match tracked.answers.claim:
        case "Bound":
            return ("True", "Bound", f"clips go to the volume claim {name}")
        case "Missing" if tracked.run.spec.storage.claim_name:
            return ("False", "Missing", f"there is no volume claim {name}; create it, pods wait for it")
        case "Lost":
            return ("False", "Lost", f"the volume of the claim {name} is gone")
        case _:
            return ("Unknown", "Pending", f"the volume claim {name} is not bound yet; it may wait for the first pod")
