"""Objects that have a name that a run needs, and are not the run's."""

from clipfarm.cluster.api.client import Manifest


class ForeignError(Exception):
    """Such an object exists; the message names its owner."""


def foreign(manifest: Manifest) -> str:
    """Return who owns an object that is in the way, and what to do."""
    metadata = manifest["metadata"]
    owner = next(iter(metadata.get("ownerReferences", ())), None)
    fields = metadata.get("managedFields", ())
    if owner is not None:
        whose = f"belongs to the {owner['kind']} {owner['name']}"
    elif fields:
        whose = f"belongs to no run; {fields[0].get('manager', 'an unknown program')} made it"
    else:
        whose = "belongs to no run"
    since = metadata["creationTimestamp"]
    return f"one of that name has been there since {since}, and {whose}; delete it, or rename the run"
