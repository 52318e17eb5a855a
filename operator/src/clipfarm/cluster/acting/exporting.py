"""The Job that exports a run: made when the run has ended, and made anew when it is asked for otherwise."""

from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.exporting import Exporting
from clipfarm.manifests import export
from clipfarm.manifests.common import Images


def export_change(asked: Asked, found: Exporting, images: Images, *, ended: bool) -> Change | None:
    """Return the request that the run's export needs now.

    Args:
        asked: the run.
        found: its export.
        images: the operator's own images.
        ended: whether the run has, and its status says so.
    """
    name, path = asked.names.export, f"/apis/batch/v1/namespaces/{asked.owner.namespace}/jobs"
    if found.other is not None:
        # In the foreground its pods are gone before it is: two exports would be in each other's way.
        body = {"uid": found.other.uid, "propagation": "Foreground"}
        return Change("delete", f"{path}/{name}", export.KIND, name, body, optional=True)
    if not (ended and found.asked) or found.taken or found.was_made:
        return None
    return Change("create", path, export.KIND, name, export.job(asked.run, asked.owner, images), optional=True)
