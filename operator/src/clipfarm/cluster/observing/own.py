"""Which of the objects that bear a run's label are the run's own."""

from collections.abc import Mapping
from dataclasses import dataclass

from clipfarm.cluster.api.endings import FailedPod
from clipfarm.cluster.api.pod_views import EncoderPod, PodView
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.views import DeploymentView, JobView
from clipfarm.cluster.observing.asked import Asked


@dataclass(frozen=True, slots=True)
class Own:
    """What watches have brought of a run's own objects, at one look."""

    job: JobView | None
    """The Job that makes its clips."""
    deployment: DeploymentView | None
    """Its encoders'."""
    encoders: Mapping[str, EncoderPod]
    """Encoders' pods, by UID."""
    pods: Mapping[str, PodView]
    """Renderers' pods that bear its label, by UID; ``owner`` names the Job of each."""
    failed: Mapping[str, FailedPod]
    """The same of those that have failed."""


def own_objects(asked: Asked, store: Store) -> Own:
    """Gather a run's objects."""
    return Own(
        own_job(asked, store),
        own_deployment(asked, store),
        own_encoders(asked, store),
        store.pods.of(asked.key),
        store.failed.of(asked.key),
    )


def own_job(asked: Asked, store: Store) -> JobView | None:
    """Return the Job that makes the run's clips.

    Not one that is on its way out, of an earlier run of that name, or of an earlier attempt.
    """
    owner = asked.owner
    jobs = store.jobs.of(asked.key).values()
    return next(
        (job for job in jobs if job.owner == owner.uid and job.attempt == owner.attempt and not job.deleting), None
    )


def own_deployment(asked: Asked, store: Store) -> DeploymentView | None:
    """Return the run's encoders; not those of an earlier run of that name."""
    return next((each for each in store.deployments.of(asked.key).values() if each.owner == asked.owner.uid), None)


def own_encoders(asked: Asked, store: Store) -> dict[str, EncoderPod]:
    """Return the pods of the run's encoders, by UID: those that the ReplicaSets of its Deployment have made.

    Anybody may give a pod the labels of a run's encoders.
    """
    deployment, key = own_deployment(asked, store), asked.key
    if deployment is None:
        return {}
    sets = {each.uid for each in store.replica_sets.of(key).values() if each.owner == deployment.uid}
    return {uid: pod for uid, pod in store.encoders.of(key).items() if pod.owner in sets}
