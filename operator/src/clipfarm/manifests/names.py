"""What the objects of a run are called. They follow from the run alone, so they are worked out when it is taken in."""

from dataclasses import dataclass

from clipfarm.manifests import encoder, export, job, report
from clipfarm.manifests.common import claim_name
from clipfarm.run import Run


@dataclass(frozen=True, slots=True)
class Names:
    """Names of a run's objects. Its ConfigMaps are not among them: their names depend on their content."""

    claim: str
    job: str
    encoder: str
    """Of the Deployment."""
    report: str
    """Of the Job that writes it."""
    export: str
    """Of the Job that makes it."""


def names(run: Run) -> Names:
    """Return what a run's objects are called."""
    return Names(claim_name(run), job.name(run), encoder.name(run), report.name(run), export.name(run))
