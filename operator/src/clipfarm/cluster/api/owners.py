"""Whose an object is. A label only helps to find one; the chain of owners' UIDs leads from a pod to its run."""

import re

from clipfarm.manifests.common import Manifest
from clipfarm.run import KIND
from clipfarm_contract.objects import RUN_LABEL

RunKey = tuple[str, str]
"""Namespace and name of a run."""

INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
COUNT = re.compile(r"[0-9]{1,9}")
"""A number that the Job controller writes into an annotation: an index, or a count of failures."""


def run_key(manifest: Manifest) -> RunKey | None:
    """Return the run that an object belongs to, by its label."""
    metadata = manifest["metadata"]
    name = metadata.get("labels", {}).get(RUN_LABEL)
    return (metadata["namespace"], name) if name else None


def controller(manifest: Manifest) -> str:
    """Return the UID of what an object was made for."""
    references = manifest["metadata"].get("ownerReferences", ())
    return next((str(reference["uid"]) for reference in references if reference.get("controller")), "")


def owning_run(manifest: Manifest) -> str:
    """Return the UID of the run that an object was made for; empty if it was made for none."""
    references = manifest["metadata"].get("ownerReferences", ())
    kinds = {reference["uid"]: reference.get("kind") for reference in references if reference.get("controller")}
    uid = controller(manifest)
    return uid if kinds.get(uid) == KIND else ""


def index_of(annotations: Manifest) -> int | None:
    """Return which index of its Job a pod is for; None where it is for none.

    Raises:
        ValueError: the annotation is there, and is no number.
    """
    text = annotations.get(INDEX_ANNOTATION)
    if text is None:
        return None
    if not COUNT.fullmatch(text):
        raise ValueError(f'annotation {INDEX_ANNOTATION}: found "{text[:60]}", expected a number')
    return int(text)
