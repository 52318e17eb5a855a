"""Where a run keeps its clips in a cluster: ``storage`` of a run file."""

from typing import Literal

from pydantic import Field

from clipfarm.cel import Rule
from clipfarm.model import Model, PositiveBytes, Text


class Storage(Model):
    """The volume of a run in a cluster; on one machine ``--output`` says where clips go."""

    claim_name: Text | None = Field(default=None, min_length=1)
    """Name of an existing PersistentVolumeClaim."""
    size: PositiveBytes | None = None
    """Size of a claim to create for the run; it stays when the run is deleted."""
    storage_class_name: Text | None = None
    """Storage class of the created claim; default: the cluster's."""
    access_mode: Literal["ReadWriteMany", "ReadWriteOnce"] = "ReadWriteMany"
    """Access mode of the created claim. ReadWriteOnce is for clusters of one node, and for pods that a node selector
    keeps on one node; many default storage classes offer nothing else."""

    rules = (
        Rule(
            lambda storage: (
                "claimName: expected either claimName or size"
                if (storage.claim_name is None) == (storage.size is None)
                else None
            ),
            cel="has(self.claimName) != has(self.size)",
            message="expected either claimName or size",
            field=".claimName",
        ),
    )
