"""Which of the objects that bear a run's label are the run's own."""

from collections.abc import Mapping
from dataclasses import dataclass

from clipfarm.cluster.api.endings import FailedPod
from clipfarm.cluster.api.pod_views import EncoderPod, PodView
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.views import DeploymentView, JobView
from clipfarm.cluster.observing.tracked import Tracked


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


def own_objects(tracked: Tracked, store: Store) -> Own:
    """Gather a run's objects."""
    return Own(
        own_job(tracked, store),
        own_deployment(tracked, store),
        own_encoders(tracked, store),
        store.pods.of(tracked.key),
        store.failed.of(tracked.key),
    )


def own_job(tracked: Tracked, store: Store) -> JobView | None:
    """Return the Job that makes the run's clips.

    Not one that is on its way out, of an earlier run of that name, or of an earlier attempt.
    """
    owner = tracked.owner
    jobs = store.jobs.of(tracked.key).values()
    return next(
        (job for job in jobs if job.owner == owner.uid and job.attempt == owner.attempt and not job.deleting), None
    )


def own_deployment(tracked: Tracked, store: Store) -> DeploymentView | None:
    """Return the run's encoders; not those of an earlier run of that name."""
    return next((each for each in store.deployments.of(tracked.key).values() if each.owner == tracked.owner.uid), None)


def own_encoders(tracked: Tracked, store: Store) -> dict[str, EncoderPod]:
    """Return the pods of the run's encoders, by UID: those that the ReplicaSets of its Deployment have made.

    Anybody may give a pod the labels of a run's encoders.
    """
    deployment, key = own_deployment(tracked, store), tracked.key
    if deployment is None:
        return {}
    sets = {each.uid for each in store.replica_sets.of(key).values() if each.owner == deployment.uid}
    return {uid: pod for uid, pod in store.encoders.of(key).items() if pod.owner in sets}
