"""The Deployment of a run's encoders: made when they are needed, scaled, and renewed if the run asks otherwise."""

from collections.abc import Iterable

from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.api.client import Manifest, pointer
from clipfarm.cluster.api.views import DeploymentView
from clipfarm.cluster.observing.asked import Asked
from clipfarm.manifests import encoder
from clipfarm.manifests.common import Images
from clipfarm_contract.objects import ASKED_ANNOTATION, TEMPLATE_ANNOTATION


def encoder_change(
    asked: Asked,
    wanted: int,
    there: DeploymentView | None,
    named: Iterable[DeploymentView],
    images: Images,
    *,
    seen: bool,
) -> Change | None:
    """Return the request that the run's encoders need now.

    Args:
        asked: the run.
        wanted: how many there are to be.
        there: its Deployment; None: it has none.
        named: Deployments that have its name, those of earlier runs included.
        images: the operator's own images.
        seen: whether an operator has seen the run as it is asked for now.
    """
    name, path = asked.names.encoder, f"/apis/apps/v1/namespaces/{asked.owner.namespace}/deployments"
    if there is None:
        # Of videos, an encoder is what the run begins with.
        if asked.run.spec.storage is None or not wanted or any(old.owner for old in named):
            return None
        return Change("create", path, "Deployment", name, encoder.deployment(asked.run, asked.owner, images, wanted))
    patch: list[Manifest] = []
    if there.replicas != wanted:
        patch.append({"op": "add", "path": "/spec/replicas", "value": wanted})
    if wanted or (not there.asked and asked.run.spec.encode.enabled):
        patch += _renewed(asked, there, images, seen=seen)
    return Change("patch", f"{path}/{name}", "Deployment", name, patch) if patch else None


def _renewed(asked: Asked, there: DeploymentView, images: Images, *, seen: bool) -> list[Manifest]:
    """Return the patch that recreates a run's encoders, if the run asks for something else than when they were made.

    An operator of another version, or with other images, changes no encoder that is at work: it would lose the clips
    that are being encoded, and features of one run would come from two versions.
    """
    meant = encoder.deployment(asked.run, asked.owner, images, there.replicas)
    annotations = meant["metadata"]["annotations"]
    if there.asked == annotations[ASKED_ANNOTATION]:
        return []
    # An operator that kept no such note has seen the run as it is now, or the run was changed since.
    taken_over = not there.asked and seen
    if taken_over or there.template == annotations[TEMPLATE_ANNOTATION]:
        del annotations[TEMPLATE_ANNOTATION]
        patch: list[Manifest] = []
    else:
        patch = [{"op": "replace", "path": "/spec/template", "value": meant["spec"]["template"]}]
    return patch + [
        {"op": "add", "path": f"/metadata/annotations/{pointer(name)}", "value": value}
        for name, value in annotations.items()
    ]
