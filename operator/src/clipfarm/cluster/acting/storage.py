"""The claim of a run's volume: made if the run names none, and if it is not there."""

from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.decide.plan import Plan
from clipfarm.manifests import storage


def claim_change(plan: Plan, tracked: Tracked) -> Change | None:
    """Return the request that makes the claim, if there is to be one."""
    claim = storage.claim(tracked.run, tracked.owner)
    if claim is None or tracked.answers.claim not in (None, "Missing") or plan.status.finished:
        return None
    path = f"/api/v1/namespaces/{tracked.owner.namespace}/persistentvolumeclaims"
    return Change("create", path, "PersistentVolumeClaim", claim["metadata"]["name"], claim)
