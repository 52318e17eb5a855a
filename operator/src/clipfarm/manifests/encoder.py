"""The encoders: one Deployment a run, scaled up with the first clip and down after the last."""

import hashlib
import json
from typing import Any

from clipfarm.manifests.common import (
    CLIPS,
    Images,
    Manifest,
    Owner,
    labels,
    literal,
    metadata,
    nvidia,
    pod_spec,
    resources,
)
from clipfarm.run import Run
from clipfarm.source import MOUNTED, Videos
from clipfarm_contract.environment import RUN_EXPERIMENT
from clipfarm_contract.objects import ASKED_ANNOTATION, ENCODE_ATTEMPT_ANNOTATION, TEMPLATE_ANNOTATION, UID_LABEL

ROLE = "encode"
CONTAINER = "encode"
PORT = 8080
"""Of /metrics and /progress."""
GRACE_SECONDS = 30
CPUS_REQUESTED = 0.5
"""Unless the run says. Beside a renderer and the operator it fits on a node of two CPUs. Without a limit it takes what
renderers leave, and of CPUs that both want, the larger request gets more: clips are what an encoder waits for."""


def name(run: Run) -> str:
    """Return the Deployment's name."""
    return f"{run.name}-encode"


def deployment(run: Run, owner: Owner, images: Images, replicas: int) -> Manifest:
    """Return the whole Deployment."""
    options, called, wish = run.spec.encode.pod, name(run), asked(run, owner)
    pod = _pod(run, images)
    marks = labels(run, ROLE)
    template = {
        "metadata": {
            "labels": options.labels | marks | {UID_LABEL: owner.uid},
            # Another attempt is another template, so pods of the one before are replaced.
            "annotations": options.annotations | {ENCODE_ATTEMPT_ANNOTATION: attempt(owner)},
        },
        "spec": pod,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(run, owner, called, marks)
        | {"annotations": {TEMPLATE_ANNOTATION: _hash(template), ASKED_ANNOTATION: wish}},
        "spec": {
            "replicas": replicas,
            "selector": {
                "matchLabels": {key: value for key, value in marks.items() if key.startswith("clipfarm.dev/")}
            },
            # A new encoder beside the old one would want a second GPU that may not be there.
            "strategy": {"type": "Recreate"},
            "template": template,
        },
    }


def attempt(owner: Owner) -> str:
    """Return which attempt at encoding a run's encoders are of, as their pods say."""
    return owner.encode_attempt or "1"


def asked(run: Run, owner: Owner) -> str:
    """Return a hash of what a person asks of the run's encoders; another attempt changes it.

    Fields that have their defaults are left out, so that a field which a later version adds changes no hash.
    """
    spec = run.spec.encode.model_dump(mode="json", exclude={"enabled", "replicas"}, exclude_defaults=True)
    return _hash([spec, owner.attempt, owner.encode_attempt])


def _hash(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def _pod(run: Run, images: Images) -> Manifest:
    encode, source = run.spec.encode, run.spec.source
    on_gpu = encode.pod.runtime_class_name is not None or encode.pod.gpu_request is not None
    arguments = [
        *("--data-dir", CLIPS, "--in-place", "--watch"),
        # All clips of the run, whatever a retry renders again: another run's may be on the same volume.
        *(_of_videos(source.videos) if source else ("--clips", str(run.spec.numbers))),
        *map(literal, encode.options()),
        *("--host", "0.0.0.0", "--port", str(PORT)),  # noqa: S104 - inside the pod's own network
        *("--log-json", f"{CLIPS}/.clipfarm/encode/{run.name}/$(POD_NAME).json"),
        *([] if source else _of_the_run(run)),
    ]
    container = {
        "name": CONTAINER,
        "image": images.encode,
        "imagePullPolicy": images.pull_policy,
        # The image's own entrypoint hands signals on to clipfarm-encode from the first moment.
        "args": arguments,
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            *([] if source else [{"name": RUN_EXPERIMENT, "value": literal(run.spec.recipes_json())}]),
            {"name": "HOME", "value": "/tmp"},  # noqa: S108 - a volume of the pod's own
            # Weights that were fetched are there for the other replicas, and for the next start.
            {"name": "XDG_CACHE_HOME", "value": f"{CLIPS}/.clipfarm/cache"},
            *(nvidia("compute,utility", encode.pod) if on_gpu else []),
        ],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/progress", "port": "http"}, "periodSeconds": 5, "timeoutSeconds": 5},
    }
    needs = resources(encode.cpu or CPUS_REQUESTED, encode.memory, encode.pod, cpu_limit=encode.cpu is not None)
    volumes = _volumes(source.videos) if source else []
    return {"terminationGracePeriodSeconds": GRACE_SECONDS, **pod_spec(run, encode.pod, container, needs, volumes)}


def _of_the_run(run: Run) -> list[str]:
    """Return what tells the run's clips from another run's: how they are made."""
    command = run.spec.render.command
    return ["--seed", str(run.spec.seed), *(["--", *map(literal, command)] if command else [])]


def _of_videos(videos: Videos) -> list[str]:
    return ["--videos", literal(videos.in_a_pod), *videos.options()]


def _volumes(videos: Videos) -> list[Manifest]:
    """Return the volume of the videos, if it is not the run's."""
    if videos.claim_name is None:
        return []
    claim = {"claimName": videos.claim_name, "readOnly": True}
    return [{"name": "videos", "persistentVolumeClaim": claim, "mountPath": f"{MOUNTED}/{videos.claim_name}"}]
