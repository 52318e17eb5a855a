"""The ConfigMap that the pods of a run's Job read: made with the Job, again if it is lost, cleared with the attempt."""

import re
from collections.abc import Iterable

from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.observing.asked import Asked
from clipfarm.manifests import run_files
from clipfarm.world import Running

NO_CONFIG_MAP = re.compile('configmap "([^"]*)" not found')
"""A kubelet's words, of a variable or of a volume."""


def config_map(asked: Asked) -> Change:
    """Return the request that makes the ConfigMap of this attempt."""
    made = run_files.config_map(asked.run, asked.owner)
    return Change("create", _path(asked), "ConfigMap", made["metadata"]["name"], made)


def config_map_change(asked: Asked, job: Change | None, pods: Iterable[Running]) -> Change | None:
    """Return what is to be done about ConfigMaps, beside what is done about the Job.

    Args:
        asked: the run.
        job: what is done about its Job; None: nothing.
        pods: the Job's pods that were released.
    """
    if job is None:
        return _missing(asked, pods)
    return _earlier(asked) if job.verb == "create" and asked.owner.attempt else None


def _missing(asked: Asked, pods: Iterable[Running]) -> Change | None:
    """Return the request that makes the ConfigMap again, if a kubelet does not find it."""
    missing = [found[1] for pod in pods if (found := NO_CONFIG_MAP.search(pod.standing.message))]
    if not missing:
        return None
    made = config_map(asked)
    return made if made.name in missing else None


def _earlier(asked: Asked) -> Change:
    """Return the request that deletes those of earlier attempts."""
    selector = {"labelSelector": run_files.others(asked.run, asked.owner)}
    return Change("clear", _path(asked), "ConfigMaps", "of earlier attempts", selector, optional=True)


def _path(asked: Asked) -> str:
    return f"/api/v1/namespaces/{asked.owner.namespace}/configmaps"
