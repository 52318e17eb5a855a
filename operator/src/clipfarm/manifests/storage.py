"""The volume: a claim that the run makes where it names none. The clips outlive the run."""

from clipfarm.manifests.common import Manifest, Owner, claim_name, labels
from clipfarm.run import Run
from clipfarm.units import quantity_text

ROLE = "storage"


def claim(run: Run, owner: Owner) -> Manifest | None:
    """Return the claim to be made; None where the run uses one that is there.

    It has no owner: deleting a run must not delete days of rendering.
    """
    storage = run.spec.storage
    if storage is None or storage.size is None:
        return None
    spec: Manifest = {
        "accessModes": [storage.access_mode],
        "resources": {"requests": {"storage": quantity_text(storage.size)}},
    }
    if storage.storage_class_name:
        spec["storageClassName"] = storage.storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim_name(run), "namespace": owner.namespace, "labels": labels(run, ROLE)},
        "spec": spec,
    }
