"""The renderers: one Indexed Job a run. Kubernetes' own controller runs it; clipfarm only opens gates."""

import math
from dataclasses import dataclass

from clipfarm.manifests.common import (
    CLIPS,
    GATE,
    QUEUE_LABEL,
    Images,
    Manifest,
    Owner,
    labels,
    metadata,
    pod_spec,
    resources,
)
from clipfarm.run import Run
from clipfarm.units import quantity_text
from clipfarm_contract.environment import RUN_EXPERIMENT, thread_environment
from clipfarm_contract.exit_codes import ExitCode

ROLE = "render"
MOST_INDEXES = 100_000
"""With backoffLimitPerIndex a Job has no more completions than these."""
CONTAINER = "render"
GRACE_SECONDS = 10
"""Between SIGTERM and SIGKILL; the supervisor needs 2."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """How clips are dealt out to a Job's indexes."""

    start: int
    clips: int
    per_index: int

    @classmethod
    def of(cls, run: Run) -> "Blocks":
        """Return the run's blocks: of ``clipsPerPod`` clips, or larger where that makes too many indexes."""
        clips = len(run.spec.clips)
        return cls(run.spec.clips.start, clips, max(run.spec.render.clips_per_pod, math.ceil(clips / MOST_INDEXES)))

    @property
    def count(self) -> int:
        """How many indexes there are."""
        return math.ceil(self.clips / self.per_index)

    def size(self, index: int) -> int:
        """Return how many clips an index has; the last may have fewer."""
        return min(self.per_index, self.clips - index * self.per_index)

    def first(self, index: int) -> int:
        """Return the first clip of an index."""
        return self.start + index * self.per_index


def name(run: Run) -> str:
    """Return the Job's name."""
    return f"{run.name}-render"


def job(run: Run, owner: Owner, images: Images, parallelism: int) -> Manifest:
    """Return the whole Job."""
    blocks, spec = Blocks.of(run), run.spec
    made = metadata(run, owner, name(run), ROLE)
    queue = owner.labels.get(QUEUE_LABEL)
    if queue:
        made["labels"][QUEUE_LABEL] = queue
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": made,
        "spec": {
            "completionMode": "Indexed",
            "completions": blocks.count,
            "parallelism": min(parallelism, blocks.count),
            "backoffLimitPerIndex": spec.retry.limit,
            # A second pod of an index before the first is gone would be a second writer of its clips.
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    # Evicted, or its node is gone: not the clip's fault, and not counted.
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    # Anything but success and VRAM would end the same way again.
                    {
                        "action": "FailIndex",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "NotIn",
                            "values": [int(ExitCode.OK), int(ExitCode.OUT_OF_VRAM)],
                        },
                    },
                ]
            },
            **({"suspend": True} if queue else {}),
            "template": {"metadata": _template_metadata(run), "spec": _pod(run, images, blocks)},
        },
    }


def _template_metadata(run: Run) -> Manifest:
    options = run.spec.render.pod
    made: Manifest = {"labels": options.labels | labels(run, ROLE)}
    return made | ({"annotations": options.annotations} if options.annotations else {})


def _pod(run: Run, images: Images, blocks: Blocks) -> Manifest:
    render = run.spec.render
    # "$(NAME)" is filled in by the kubelet; the supervisor makes clip numbers of the index.
    arguments = [
        *("--output", CLIPS),
        *("--seed", str(run.spec.seed)),
        *("--index", str(blocks.start), "--last", str(run.spec.clips.end)),
        *("--block", "$(JOB_COMPLETION_INDEX)", "--count", str(blocks.per_index)),
        *("--device", render.device),
        *("--timeout", str(render.timeout)),
        *("--termination-message", "/dev/termination-log"),
        *(["--", *render.command] if render.command else []),
    ]
    variables = {RUN_EXPERIMENT: run.spec.experiment_json(), **thread_environment(render.threads)}
    container = {
        "name": CONTAINER,
        "image": render.image or images.render,
        "imagePullPolicy": images.pull_policy,
        "command": ["clipfarm-render"],
        "args": arguments,
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "resources": resources(render.threads, render.memory, render.pod),
        "terminationMessagePolicy": "File",
    }
    shm = {
        "name": "shm",
        "emptyDir": {"medium": "Memory", "sizeLimit": quantity_text(render.shared_memory)},
        "mountPath": "/dev/shm",  # noqa: S108 - a volume of the pod's own
    }
    return {
        "restartPolicy": "Never",
        "schedulingGates": [{"name": GATE}],
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        **pod_spec(run, render.pod, container, [shm]),
    }
