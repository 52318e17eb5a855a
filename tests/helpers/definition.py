"""The definition of runs, as an API server has it that an older chart has installed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from helpers.cluster import ApiError, ControlPlane
from helpers.operators import Runs

DEFINITIONS = "apiextensions.k8s.io/v1/customresourcedefinitions"


@contextmanager
def without_rules(definition: ControlPlane, *fields: str) -> Iterator[None]:
    """Have the API server forget the rules of one part of a run."""
    path = definition.api.path(DEFINITIONS, None, "benchmarkruns.clipfarm.dev")
    at = "".join(f"/properties/{field}" for field in fields)
    rules = f"/spec/versions/0/schema/openAPIV3Schema{at}/x-kubernetes-validations"
    before = definition.api.request("GET", path)
    definition.api.request("PATCH", path, [{"op": "remove", "path": rules}], "application/json-patch+json")
    try:
        yield
    finally:
        patch = [{"op": "replace", "path": "/spec", "value": before["spec"]}]
        definition.api.request("PATCH", path, patch, "application/json-patch+json")


def is_taken(runs: Runs, name: str = "run", **spec: Any) -> bool:
    """Tell whether the API server, which takes a definition in with a delay, takes this run."""
    try:
        runs.create(name, **spec)
    except ApiError as error:
        if error.status != 422:
            raise
        return False
    return True
