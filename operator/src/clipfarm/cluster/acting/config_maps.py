"""The ConfigMap that the pods of a run's Job read: made with the Job, again if it is lost, cleared with the attempt."""

import re

from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.manifests import run_files

NO_CONFIG_MAP = re.compile('configmap "([^"]*)" not found')
"""A kubelet's words, of a variable or of a volume."""


def config_map(tracked: Tracked) -> Change:
    """Return the request that makes the ConfigMap of this attempt."""
    made = run_files.config_map(tracked.run, tracked.owner)
    return Change("create", _path(tracked), "ConfigMap", made["metadata"]["name"], made)


def missing_config_map(tracked: Tracked) -> Change | None:
    """Return the request that makes it again, if a kubelet does not find it."""
    standings = (pod.standing for _, pod in tracked.memory.rendering.at_work.values())
    missing = [found[1] for each in standings if (found := NO_CONFIG_MAP.search(each.message))]
    if not missing:
        return None
    made = config_map(tracked)
    return made if made.name in missing else None


def earlier_config_maps(tracked: Tracked) -> Change:
    """Return the request that deletes those of earlier attempts."""
    selector = {"labelSelector": run_files.others(tracked.run, tracked.owner)}
    return Change("clear", _path(tracked), "ConfigMaps", "of earlier attempts", selector, optional=True)


def _path(tracked: Tracked) -> str:
    return f"/api/v1/namespaces/{tracked.owner.namespace}/configmaps"
