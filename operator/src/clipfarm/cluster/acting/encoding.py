"""The Deployment of a run's encoders: made when they are needed, scaled, and renewed if the run asks otherwise."""

from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.api.client import Manifest, pointer
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.views import DeploymentView
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.decide.plan import Plan
from clipfarm.manifests import encoder
from clipfarm.manifests.common import Images
from clipfarm_contract.objects import ASKED_ANNOTATION, TEMPLATE_ANNOTATION


def encoder_change(plan: Plan, tracked: Tracked, store: Store, images: Images) -> Change | None:
    """Return the request that the run's encoders need now."""
    key, name = tracked.key, tracked.names.encoder
    path, there = f"/apis/apps/v1/namespaces/{key[0]}/deployments", tracked.memory.deployment
    if there is None:
        # Of videos, an encoder is what the run begins with.
        if (
            tracked.run.spec.storage is None
            or not plan.encoders
            or any(old.owner for old in store.deployments.of(key).values())
        ):
            return None
        made = encoder.deployment(tracked.run, tracked.owner, images, plan.encoders)
        return Change("create", path, "Deployment", name, made)
    patch: list[Manifest] = []
    if there.replicas != plan.encoders:
        patch.append({"op": "add", "path": "/spec/replicas", "value": plan.encoders})
    if plan.encoders or (not there.asked and tracked.run.spec.encode.enabled):
        patch += _renewed(tracked, there, images)
    return Change("patch", f"{path}/{name}", "Deployment", name, patch) if patch else None


def _renewed(tracked: Tracked, there: DeploymentView, images: Images) -> list[Manifest]:
    """Return the patch that recreates a run's encoders, if the run asks for something else than when they were made.

    An operator of another version, or with other images, changes no encoder that is at work: it would lose the clips
    that are being encoded, and features of one run would come from two versions.
    """
    meant = encoder.deployment(tracked.run, tracked.owner, images, there.replicas)
    annotations = meant["metadata"]["annotations"]
    if there.asked == annotations[ASKED_ANNOTATION]:
        return []
    # An operator that kept no such note has seen the run as it is now, or the run was changed since.
    taken_over = not there.asked and tracked.status.get("observedGeneration") == tracked.generation
    if taken_over or there.template == annotations[TEMPLATE_ANNOTATION]:
        del annotations[TEMPLATE_ANNOTATION]
        patch: list[Manifest] = []
    else:
        patch = [{"op": "replace", "path": "/spec/template", "value": meant["spec"]["template"]}]
    return patch + [
        {"op": "add", "path": f"/metadata/annotations/{pointer(name)}", "value": value}
        for name, value in annotations.items()
    ]
