"""A Lease as an object: its holder, and how it is read and written."""

from dataclasses import dataclass
from datetime import UTC, datetime

from clipfarm.cluster.api.client import Manifest
from clipfarm_contract.objects import INSTALLATION_ANNOTATION, MANAGED_BY

ONE, ALL = "clipfarm", "clipfarm-all-namespaces"
"""Names of the Lease of one namespace, and of the Lease of all."""
DURATION = 15.0
"""Seconds without a renewal after which another operator may take over: the default of Kubernetes' own controllers."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who holds a Lease."""

    holder: str
    """One process, or one container that is started again: it takes up its own Lease at once."""
    installation: str
    """The Deployment that it belongs to; operators of one installation relieve each other."""


@dataclass(frozen=True, slots=True)
class Record:
    """A Lease as the API server holds it."""

    path: str
    holder: str
    """Empty: released."""
    installation: str
    seconds: float
    """How long it lasts after a renewal."""
    renewed: str
    """When its holder renewed it, by the holder's clock: only used to see a change."""
    version: str


def manifest(path: str, identity: Identity, duration: float, wall: float) -> Manifest:
    """Return the Lease as its holder writes it; ``wall`` is the time, Unix."""
    now = datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": path.rpartition("/")[2],
            "labels": {MANAGED_BY: "clipfarm"},
            "annotations": {INSTALLATION_ANNOTATION: identity.installation},
        },
        "spec": {
            "holderIdentity": identity.holder,
            "leaseDurationSeconds": max(1, round(duration)),
            "acquireTime": now,
            "renewTime": now,
        },
    }


def path(namespace: str, name: str) -> str:
    """Return where a Lease is."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"


def read(where: str, item: Manifest) -> Record:
    """Return a Lease as the API server holds it."""
    metadata, spec = item["metadata"], item.get("spec") or {}
    return Record(
        where,
        spec.get("holderIdentity") or "",
        (metadata.get("annotations") or {}).get(INSTALLATION_ANNOTATION, ""),
        # One without a duration is not clipfarm's doing; it lasts as long as clipfarm's own.
        float(spec.get("leaseDurationSeconds") or DURATION),
        spec.get("renewTime") or "",
        metadata["resourceVersion"],
    )


def held_by(record: Record) -> str:
    """Return who holds a Lease that this operator needs."""
    where = record.path.split("/")[5]
    whose = record.installation or "unknown"
    return (
        f"another installation ({whose}, {record.holder}) holds the Lease {record.path.rpartition('/')[2]} in"
        f" {where}, so it watches the same namespaces; this one waits until that one ends"
    )
