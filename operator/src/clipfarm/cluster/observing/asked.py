"""What is asked for: a run's document, and who the API server says it is."""

from dataclasses import dataclass, field

from clipfarm.cluster.api.owners import RunKey
from clipfarm.manifests.common import Owner
from clipfarm.manifests.names import Names, names
from clipfarm.run import Run


@dataclass(frozen=True, slots=True)
class Asked:
    """A run as it is asked for. A change of it is another value; what is known of the run is no part of it."""

    run: Run
    owner: Owner
    generation: int
    names: Names = field(init=False)
    """What its objects are called."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", names(self.run))

    @property
    def key(self) -> RunKey:
        """The run's namespace and name."""
        return self.owner.namespace, self.run.name
