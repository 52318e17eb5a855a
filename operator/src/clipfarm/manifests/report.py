"""The report: a Job of one pod that writes ``report.md`` and ``report.json`` onto the volume when a run has ended.

The operator itself mounts no volume. It creates the Job once for each attempt, after the status with the run's end was
written, and waits for nothing: a run has ended whether or not its report gets written.
"""

import json
from collections.abc import Mapping
from typing import Any

from clipfarm.manifests.common import CLIPS, Images, Manifest, Owner, labels, literal, metadata, pod_spec
from clipfarm.run import Run
from clipfarm_contract.objects import ATTEMPT_ANNOTATION

ROLE = "report"
STATUS = "CLIPFARM_STATUS"
"""JSON: the run's status at its end."""
LONGEST_SECONDS = 3600
"""Then the Job gives up. With 100,000 clips on a slow volume the pod reads for some minutes."""
TRIES = 3


def name(run: Run) -> str:
    """Return the Job's name."""
    return f"{run.name}-report"


def attempt(run: Run, owner: Owner) -> str:
    """Return what distinguishes the end of one attempt at a run from another: an end with more feature sets is one."""
    sets = ",".join(each.name for each in run.spec.encode.features)
    return f"{owner.attempt or 1}.{owner.encode_attempt or 1}" + (f".{sets}" if sets else "")


def job(run: Run, owner: Owner, images: Images, status: Mapping[str, Any], created: str) -> Manifest:
    """Return the whole Job.

    Args:
        run: the run that has ended.
        owner: the run as the API server knows it.
        images: the operator's own images.
        status: of the run, as it was written at its end.
        created: when the run was created, as the API server writes it.
    """
    called, end = name(run), attempt(run, owner)
    pod = _pod(run, owner, images, status, created)
    marks = labels(run, ROLE)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(run, owner, called, marks) | {"annotations": {ATTEMPT_ANNOTATION: end}},
        "spec": {
            "backoffLimit": TRIES,
            "activeDeadlineSeconds": LONGEST_SECONDS,
            "template": {"metadata": {"labels": marks}, "spec": pod},
        },
    }


def _pod(run: Run, owner: Owner, images: Images, status: Mapping[str, Any], created: str) -> Manifest:
    encode = run.spec.encode
    container = {
        "name": "report",
        "image": images.operator,
        "imagePullPolicy": images.pull_policy,
        "args": [
            "report",
            *("--output", CLIPS),
            *("--name", run.name, "--namespace", owner.namespace),
            *(["--videos"] if run.spec.source else ["--clips", str(run.spec.numbers)]),
            *("--threads", str(run.spec.render.threads)),
            *(["--workers", str(run.spec.workers)] if run.spec.workers else []),
            *(["--model", encode.sets[0].model] if encode.enabled else []),
            *(["--created", created] if created else []),
        ],
        "env": [{"name": STATUS, "value": literal(json.dumps(status, sort_keys=True, ensure_ascii=False))}],
    }
    # A quota on limits.cpu asks for one.
    needs = {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}
    # It goes where renderers go, or encoders of videos, because they reach the volume there. It needs no GPU.
    workers = run.spec.encode.pod if run.spec.source else run.spec.render.pod
    return {"restartPolicy": "Never", **pod_spec(run, workers.without_gpu, container, needs, [])}
