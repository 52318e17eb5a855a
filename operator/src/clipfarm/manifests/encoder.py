"""The encoders: one Deployment a run, scaled up with the first clip and down after the last."""

from clipfarm.manifests.common import CLIPS, Images, Manifest, Owner, labels, metadata, pod_spec, resources
from clipfarm.run import Run

ROLE = "encode"
PORT = 8080
"""Of /metrics and /progress."""
GRACE_SECONDS = 30


def name(run: Run) -> str:
    """Return the Deployment's name."""
    return f"{run.name}-encode"


def deployment(run: Run, owner: Owner, images: Images, replicas: int) -> Manifest:
    """Return the whole Deployment."""
    encode = run.spec.encode
    options = encode.pod
    selector = {key: value for key, value in labels(run, ROLE).items() if key.startswith("clipfarm.dev/")}
    made: Manifest = {"labels": options.labels | labels(run, ROLE)}
    if options.annotations:
        made["annotations"] = options.annotations
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(run, owner, name(run), ROLE),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": selector},
            # A new encoder beside the old one would want a second GPU that may not be there.
            "strategy": {"type": "Recreate"},
            "template": {"metadata": made, "spec": _pod(run, images)},
        },
    }


def _pod(run: Run, images: Images) -> Manifest:
    encode = run.spec.encode
    assert encode.weights is not None, "an enabled encoder has weights"
    arguments = [
        *("--data-dir", CLIPS, "--in-place", "--watch"),
        *("--model", encode.model),
        *encode.weights.options(),
        *("--batch-size", str(encode.batch_size)),
        *("--crop-size", str(encode.crop_size)),
        *("--dtype", encode.dtype),
        *("--host", "0.0.0.0", "--port", str(PORT)),  # noqa: S104 - inside the pod's own network
    ]
    container = {
        "name": "encode",
        "image": images.encode,
        "imagePullPolicy": images.pull_policy,
        "command": ["clipfarm-encode"],
        "args": arguments,
        "ports": [{"name": "http", "containerPort": PORT}],
        # No CPU limit: it takes what renderers leave, and its threads follow what the node has.
        "resources": resources(1, encode.memory, encode.pod, cpu_limit=False),
    }
    return {"terminationGracePeriodSeconds": GRACE_SECONDS, **pod_spec(run, encode.pod, container, [])}
