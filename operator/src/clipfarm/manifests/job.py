"""The renderers: one Indexed Job a run. Kubernetes' own controller runs it; clipfarm only opens gates."""

from clipfarm.manifests import run_files
from clipfarm.manifests.blocks import Blocks
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
    shortened,
)
from clipfarm.run import Run
from clipfarm.units import quantity_text
from clipfarm_contract.environment import CLIP_PREPARING, GIVE_UP_AFTER, GPU, JOB, RETRY_LIMIT, thread_environment
from clipfarm_contract.exit_codes import STOPPED, WORTH_ANOTHER_ATTEMPT, ExitCode
from clipfarm_contract.objects import (
    ATTEMPT_ANNOTATION,
    CLIPS_PER_POD_ANNOTATION,
    GATE,
    GPU_UUID_ANNOTATION,
    QUEUE_LABEL,
)

ROLE = run_files.ROLE
CONTAINER = "render"
CONTROLLER_LABEL = "batch.kubernetes.io/controller-uid"
"""Of each pod of a Job: the Job's UID."""
MOST_HOST_NAME = 63
"""Characters of one part of a DNS name (RFC 1035): the API server refuses an Indexed Job with longer ones."""
PREPARING = "/tmp/clipfarm-preparing"  # noqa: S108 - of the pod's own
"""There while a renderer compiles kernels."""
ALIKE = 3
"""Clips of a pod that fail alike before it ends early, while no clip of the run is complete: so a run whose clips all
fail ends after some clips, and not after some blocks. A pod that was wrong about it costs ``retry.delay``."""
GRACE_SECONDS = 10
"""Between SIGTERM and SIGKILL; the supervisor needs 2."""


def name(run: Run) -> str:
    """Return the Job's name: the host names of its pods, which end with their index, have to fit, too.

    It goes by all clips of the run, so that a Job of those that are tried again has the same. Where the run does not
    say how many clips a pod makes it leaves room for the host names of pods with one each.
    """
    last = Blocks.of(run, per_index=run.spec.render.clips_per_pod or 1).count - 1
    return f"{shortened(run.name, MOST_HOST_NAME - len(f'-render-{last}'))}-render"


def job(run: Run, owner: Owner, images: Images, parallelism: int, workers: int | None = None) -> Manifest:
    """Return the whole Job.

    Args:
        run: whose clips it makes.
        owner: the same, as the API server knows it.
        images: the operator's own.
        parallelism: how many pods it begins with.
        workers: clips that may run at a time; None: unknown.
    """
    blocks, options, called = Blocks.of(run, owner.only, workers=workers), run.spec.render.pod, name(run)
    pod = _pod(run, owner, images, blocks)
    marks = labels(run, ROLE)
    queue = {QUEUE_LABEL: owner.queue} if owner.queue else {}
    attempt = {ATTEMPT_ANNOTATION: owner.attempt} if owner.attempt else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(run, owner, called, marks | queue)
        | {"annotations": {CLIPS_PER_POD_ANNOTATION: str(blocks.per_index)} | attempt},
        "spec": {
            "completionMode": "Indexed",
            "completions": blocks.count,
            "parallelism": min(parallelism, blocks.count),
            "backoffLimitPerIndex": run.spec.retry.limit,
            # A second pod of an index before the first is gone would be a second writer of its clips.
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    # Evicted, or its node is gone: not the clip's fault, and not counted.
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    # The pod was deleted, as by a drain without evictions: not the clip's fault. Or a clip of a block
                    # ran out of GPU memory, which its own result counts; for one clip the Job counts.
                    {
                        "action": "Ignore",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "In",
                            "values": [*([int(ExitCode.BROKE_OFF)] if blocks.per_index > 1 else []), STOPPED],
                        },
                    },
                    # Anything but these would end the same way again.
                    {
                        "action": "FailIndex",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "NotIn",
                            "values": [int(ExitCode.OK), *map(int, sorted(WORTH_ANOTHER_ATTEMPT))],
                        },
                    },
                ]
            },
            # From here on the queue decides; clipfarm does not touch it.
            **({"suspend": True} if owner.queue else {}),
            "template": {
                "metadata": {
                    "labels": options.labels | marks,
                    **({"annotations": options.annotations} if options.annotations else {}),
                },
                "spec": pod,
            },
        },
    }


def _pod(run: Run, owner: Owner, images: Images, blocks: Blocks) -> Manifest:
    render, files = run.spec.render, run_files.of(run, owner)
    # "$(NAME)" is filled in by the kubelet; the supervisor makes clip numbers of the index.
    arguments = [
        *("--output", CLIPS),
        *("--seed", str(run.spec.seed)),
        *files.arguments,
        *("--block", "$(JOB_COMPLETION_INDEX)", "--count", str(blocks.per_index)),
        *("--device", render.device),
        *("--timeout", str(render.timeout)),
        *("--termination-message", "/dev/termination-log"),
        *(["--", *map(literal, render.command)] if render.command else []),
    ]
    threads = [{"name": key, "value": value} for key, value in thread_environment(render.threads).items()]
    attempts, probe = [*_give_up(run, blocks), *_retry(run, blocks)], _readiness(run)
    container = {
        "name": CONTAINER,
        "image": render.image or images.render,
        "imagePullPolicy": images.pull_policy,
        # The image's own entrypoint hands signals on to clipfarm-render from the first moment.
        "args": arguments,
        "env": files.variables + threads + attempts + _gpu(run),
        **probe,
    }
    needs = resources(render.threads, render.memory, render.pod)
    shm: Manifest = {
        "name": "shm",
        "emptyDir": {"medium": "Memory", "sizeLimit": quantity_text(render.shared_memory)},
        "mountPath": "/dev/shm",  # noqa: S108 - a volume of the pod's own
    }
    return {
        "restartPolicy": "Never",
        "schedulingGates": [{"name": GATE}],
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        **pod_spec(run, render.pod, container, needs, [shm, *files.volumes]),
    }


def _give_up(run: Run, blocks: Blocks) -> list[Manifest]:
    """Return the variable that says when a pod ends early; a supervisor of an earlier version knows none."""
    clips = min(ALIKE, run.spec.retry.stop_after)
    return [{"name": GIVE_UP_AFTER, "value": str(clips)}] if 0 < clips < blocks.per_index else []


def _retry(run: Run, blocks: Blocks) -> list[Manifest]:
    """Return the variables by which a pod counts the attempts of each of its clips; for one clip the Job counts them.

    A supervisor of an earlier version knows none, and ends with 2, which the Job counts.
    """
    if blocks.per_index == 1:
        return []
    path = f"metadata.labels['{CONTROLLER_LABEL}']"
    return [
        {"name": RETRY_LIMIT, "value": str(run.spec.retry.limit)},
        {"name": JOB, "valueFrom": {"fieldRef": {"fieldPath": path}}},
    ]


def _readiness(run: Run) -> Manifest:
    """Return the probe by which a pod is not ready while it compiles kernels for a GPU that is new to the run."""
    if not _compiles(run):
        return {}
    # What the file says is the message of the pod's event. A probe that a busy node does not answer once is no sign.
    command = ["sh", "-c", f"! cat {PREPARING} 2>/dev/null"]
    probe = {"exec": {"command": command}, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 2}
    return {"readinessProbe": probe}


def _compiles(run: Run) -> bool:
    return run.spec.render.device != "cpu" and not run.spec.render.command


def _gpu(run: Run) -> list[Manifest]:
    """Return the variables that bring a GPU into a pod.

    Which one, where the node's GPUs are shared without asking for one, says an annotation: it is made when the pod is
    let go, and the kubelet reads it after that.
    """
    render = run.spec.render
    if render.device == "cpu":
        return []
    shown = nvidia("compute,graphics,utility", render.pod)  # OptiX is in the libraries for graphics
    if _compiles(run):
        shown = [*shown, {"name": CLIP_PREPARING, "value": PREPARING}]
    if render.pod.gpu_request is not None:
        return shown
    path = f"metadata.annotations['{GPU_UUID_ANNOTATION}']"
    return [*shown, {"name": GPU, "valueFrom": {"fieldRef": {"fieldPath": path}}}]
