"""The export: a Job of one pod that writes a run's complete clips as a data set, when the run has ended.

It only reads the run. A folder of the same volume is mounted at a second path, where alone it can write.
"""

import hashlib
import json

from clipfarm.export import Export
from clipfarm.manifests.common import CLIPS, Images, Manifest, Owner, labels, literal, metadata, pod_spec, resources
from clipfarm.run import Run
from clipfarm_contract.exit_codes import STOPPED
from clipfarm_contract.objects import ATTEMPT_ANNOTATION

ROLE = "export"
CONTAINER = "export"
KIND = "export Job"
"""How messages name it."""
REFUSED = 2
"""Exit code of an export that would end the same way again: the destination holds something else, for example."""
PLACE = "/export"
"""Where the volume lies a second time, if the destination is a folder on it."""
TRIES = 3
"""Further pods after the first; each continues what the one before has made."""
CPUS_REQUESTED = 1.0


def name(run: Run) -> str:
    """Return the Job's name."""
    return f"{run.name}-export"


def asked(run: Run, owner: Owner) -> str:
    """Return a hash of what is exported, how and where: if it changes, another Job makes the export.

    Fields that have their defaults are left out, so that a field which a later version adds changes no hash.
    """
    export = run.spec.export
    assert export is not None, "only of a run that is exported"
    sets = [each.name for each in run.spec.encode.features] if export.features is None else []
    document = [export.model_dump(mode="json", exclude_defaults=True), owner.attempt, owner.encode_attempt, sets]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def destination(run: Run, export: Export) -> str:
    """Return the destination as a person knows it: a folder on the volume, or an address."""
    return export.destination or f"exports/{run.name}-{export.format}"


def job(run: Run, owner: Owner, images: Images) -> Manifest:
    """Return the whole Job of a run that is exported."""
    export = run.spec.export
    assert export is not None, "only of a run that is exported"
    called, wish = name(run), asked(run, owner)
    pod = _pod(run, export, images)
    marks = labels(run, ROLE)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(run, owner, called, marks) | {"annotations": {ATTEMPT_ANNOTATION: wish}},
        "spec": {
            "backoffLimit": TRIES,
            # Two pods would be in each other's way at the destination.
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    # Evicted, or its node is gone: not counted.
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {
                        "action": "Ignore",
                        "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [STOPPED]},
                    },
                    {
                        "action": "FailJob",
                        "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [REFUSED]},
                    },
                ]
            },
            "template": {"metadata": {"labels": marks}, "spec": pod},
        },
    }


def _pod(run: Run, export: Export, images: Images) -> Manifest:
    place = destination(run, export)
    on_volume = "://" not in place
    # It goes where renderers go, because they reach the volume there. It needs no GPU.
    where = run.spec.render.pod.without_gpu
    arguments = [
        *(CLIPS, f"{PLACE}/{place}" if on_volume else place),
        *export.options(run.name, encodes=run.spec.encode.enabled),
        # Another run's clips may be on the same volume.
        f"--clips={run.spec.numbers}",
        # A run that ended with failures is exported, too; what is left out is in the message.
        "--allow-left-out",
        "--termination-message=/dev/termination-log",
    ]
    container = {
        "name": CONTAINER,
        "image": export.image or images.export,
        "imagePullPolicy": images.pull_policy,
        "args": [literal(each) for each in arguments],
        **({"envFrom": [{"secretRef": {"name": export.secret_name}}]} if export.secret_name else {}),
    }
    needs = resources(export.cpu or CPUS_REQUESTED, export.memory, where, cpu_limit=export.cpu is not None)
    mounts = [{"name": "clips", "mountPath": CLIPS, "readOnly": True}]
    mounts += [{"name": "clips", "mountPath": PLACE}] if on_volume else []
    return {"restartPolicy": "Never", **pod_spec(run, where, container, needs, [], mounts)}
