"""Why no pod is made: the API server is asked to take one, by a dry run.

The Job controller reports a refusal in Events alone. These expire, may be forbidden to read, and outlive their cause.
A dry run passes the same admission (classes, quotas, limit ranges, pod security, webhooks), stores nothing, and its
answer holds now. For an encoder, the Deployment's condition ReplicaFailure has the answer.
"""

import re

from clipfarm.cluster.api.client import Api, Manifest
from clipfarm.cluster.api.errors import FAULTS, ApiError
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.observing.work import Trial
from clipfarm.manifests import job as job_manifest
from clipfarm.manifests.common import Images

MISSING_SECONDS = 5.0
"""How long pods may be missing before the API server is asked; the Job controller needs up to a second."""
AGAIN_SECONDS = 10.0
"""Between two dry runs of a run whose pods are missing."""

UNABLE = re.compile(r'cannot create resource "pods"|does not support dry.?run|namespace \S+ is being terminated')
"""Answers that say nothing about pods which the Job controller would make."""
WEBHOOK = re.compile(r"failed calling webhook|admission webhook")
SUBJECT = re.compile(r'^(pods( "[^"]*")? is forbidden: |Pod "[^"]*" is invalid: |Internal error occurred: )+')
"""The name of a pod that never was."""

ADVICE: tuple[tuple[str, str], ...] = (
    (r"cannot \w+ resource", "give the operator the rights that the chart gives it"),
    (r"PriorityClass", "create the PriorityClass, or create a new run with another {role}.pod.priorityClassName"),
    (r"RuntimeClass", "create the RuntimeClass, or create a new run with another {role}.pod.runtimeClassName"),
    (r"exceeded quota", "raise the quota, or free some of it in this namespace"),
    (r"failed quota", "the quota counts a resource that the pod does not name: give it a default by a LimitRange"),
    (
        r"(maximum|minimum) .* usage per|limit to request ratio",
        "change the LimitRange, or create a new run with {size}",
    ),
    (r"violates PodSecurity", "label the namespace for a level that allows it, or remove what changes the pods"),
    (r"failed calling webhook", "restart that webhook, or remove its configuration"),
    (
        r"admission webhook|ValidatingAdmissionPolicy",
        "ask the owner of that policy, or create a run that complies with it",
    ),
    (r"service ?account", "create the service account"),
    (r"security context constraint", "allow the namespace's default service account a constraint that fits"),
)
"""What to do, by what the API server answers; the first that matches."""
SIZE = {"render": "other render.threads and render.memory", "encode": "another encode.memory"}


def is_due(tracked: Tracked, now: float) -> bool:
    """Return whether the API server is to be asked about a run's pods now."""
    since = tracked.memory.rendering.missing_since
    return since is not None and now >= since + MISSING_SECONDS and now >= tracked.answers.tried_at + AGAIN_SECONDS


async def ask(api: Api, tracked: Tracked, images: Images) -> Trial:
    """Ask the API server to take a pod of the run's Job, without storing it."""
    namespace = tracked.owner.namespace
    try:
        await api.create(f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod(tracked, images))
    except ApiError as error:
        return judge(error)
    except FAULTS as error:
        return Trial(unknown=str(error) or "no answer in time")
    return Trial()


def pod(tracked: Tracked, images: Images) -> Manifest:
    """Return a pod as the Job controller makes it: a policy may look at its labels and its owner."""
    made = job_manifest.job(tracked.run, tracked.owner, images, 1)
    name, template = made["metadata"]["name"], made["spec"]["template"]
    labels = {"batch.kubernetes.io/job-name": name, "batch.kubernetes.io/job-completion-index": "0", "job-name": name}
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": name,
        "uid": tracked.memory.rendering.job,
        "controller": True,
    }
    metadata = template["metadata"] | {
        "generateName": f"{name}-0-",
        "labels": template["metadata"]["labels"] | labels,
        "ownerReferences": [owner],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def judge(error: ApiError) -> Trial:
    """Return what a refused dry run means for the run's pods."""
    if UNABLE.search(error.message) or (error.passing and not WEBHOOK.search(error.message)):
        return Trial(unknown=error.message)
    return Trial(refusal=explained(error.message, "render"))


def explained(message: str, role: str) -> str:
    """Return why the API server refuses pods, and what to do about it.

    Args:
        message: as the API server words it.
        role: ``render`` or ``encode``, as the part of a run's spec is called.
    """
    return SUBJECT.sub("", message).strip() + advice(message, role)


def advice(message: str, role: str) -> str:
    """Return what to do about a refusal, as the end of a sentence; empty if nothing is known of it."""
    found = next((text for pattern, text in ADVICE if re.search(pattern, message)), "")
    return f"; {found.format(role=role, size=SIZE[role])}" if found else ""
