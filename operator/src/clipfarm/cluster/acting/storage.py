"""The claim of a run's volume: made if the run names none, and if it is not there."""

from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.observing.asked import Asked
from clipfarm.manifests import storage


def claim_change(asked: Asked, phase: str | None) -> Change | None:
    """Return the request that makes the claim, if there is to be one; ``phase`` is that of the one that is there."""
    claim = storage.claim(asked.run, asked.owner)
    if claim is None or phase not in (None, "Missing"):
        return None
    path = f"/api/v1/namespaces/{asked.owner.namespace}/persistentvolumeclaims"
    return Change("create", path, "PersistentVolumeClaim", claim["metadata"]["name"], claim)
