"""The Job that exports a run: made when the run has ended, and made anew when it is asked for otherwise."""

from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.manifests import export
from clipfarm.manifests.common import Images


def export_change(tracked: Tracked, images: Images, *, ended: bool) -> Change | None:
    """Return the request that the run's export needs now.

    Args:
        tracked: the run.
        images: the operator's own images.
        ended: whether the run has, and its status says so.
    """
    found, name = tracked.memory.exporting, tracked.names.export
    path = f"/apis/batch/v1/namespaces/{tracked.owner.namespace}/jobs"
    if found.other is not None:
        # In the foreground its pods are gone before it is: two exports would be in each other's way.
        body = {"uid": found.other.uid, "propagation": "Foreground"}
        return Change("delete", f"{path}/{name}", export.KIND, name, body, optional=True)
    if not (ended and found.asked) or found.taken or found.was_made:
        return None
    return Change("create", path, export.KIND, name, export.job(tracked.run, tracked.owner, images), optional=True)
