"""What all pods of a Job read alike, stored once: its clips and the experiment, in one immutable ConfigMap.

A pod has only its index, and refers to the ConfigMap. The kubelet fills both texts in as variables, and the clips on
the command line, so a supervisor of any version finds them where it always did. A text that is longer than the kernel
allows for one argument comes as a file.
"""

import hashlib
import json

from clipfarm.manifests.blocks import Blocks
from clipfarm.manifests.common import Manifest, Owner, metadata, shortened
from clipfarm.run import Run
from clipfarm_contract.environment import RUN_CLIPS, RUN_EXPERIMENT
from clipfarm_contract.objects import FILES_LABEL, ROLE_LABEL, RUN_LABEL

ROLE = "render"
CLIPS_KEY, EXPERIMENT_KEY = "clips", "experiment.json"
FOLDER = "/etc/clipfarm"
"""Where its files lie in a container, if they are mounted."""
MOST_ARGUMENT = 100_000
"""Characters. The kernel takes 128 KiB as one argument or variable (MAX_ARG_STRLEN)."""
MOST_NAME = 63


def config_map(run: Run, owner: Owner) -> Manifest:
    """Return the whole ConfigMap.

    The run owns it. So it is there before the Job is, and goes with the run.
    """
    data = _data(run, owner)
    made = metadata(run, owner, name(run, owner), ROLE)
    made["labels"][FILES_LABEL] = _digest(owner, data)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": made, "immutable": True, "data": data}


def name(run: Run, owner: Owner) -> str:
    """Return its name: no other attempt, and no other run of the same name, has the same."""
    end = f"-render-{_digest(owner, _data(run, owner))}"
    return shortened(run.name, MOST_NAME - len(end)) + end


def others(run: Run, owner: Owner) -> str:
    """Return a selector of labels: the ConfigMaps of earlier attempts."""
    digest = _digest(owner, _data(run, owner))
    return f"{RUN_LABEL}={run.name},{ROLE_LABEL}={ROLE},{FILES_LABEL},{FILES_LABEL}!={digest}"


def arguments(run: Run, blocks: Blocks) -> list[str]:
    """Return the supervisor's arguments that say which clips there are, and what they show."""
    clips = ["--clips-from", f"{FOLDER}/{CLIPS_KEY}"] if _is_long(str(blocks.clips)) else ["--clips", f"$({RUN_CLIPS})"]
    long = _is_long(run.spec.experiment_json())
    return [*clips, *(["--experiment", f"{FOLDER}/{EXPERIMENT_KEY}"] if long else [])]


def variables(run: Run, owner: Owner, blocks: Blocks) -> list[Manifest]:
    """Return the container's variables that the kubelet fills in."""
    texts = {RUN_CLIPS: (CLIPS_KEY, str(blocks.clips)), RUN_EXPERIMENT: (EXPERIMENT_KEY, run.spec.experiment_json())}
    return [
        {"name": variable, "valueFrom": {"configMapKeyRef": {"name": name(run, owner), "key": key}}}
        for variable, (key, text) in texts.items()
        if not _is_long(text)
    ]


def volumes(run: Run, owner: Owner, blocks: Blocks) -> list[Manifest]:
    """Return the volume, with its ``mountPath``, of a Job one of whose texts comes as a file; else none."""
    if not (_is_long(str(blocks.clips)) or _is_long(run.spec.experiment_json())):
        return []
    return [{"name": "run-files", "configMap": {"name": name(run, owner)}, "mountPath": FOLDER}]


def _data(run: Run, owner: Owner) -> dict[str, str]:
    return {CLIPS_KEY: str(Blocks.of(run, owner.only).clips), EXPERIMENT_KEY: run.spec.experiment_json()}


def _digest(owner: Owner, data: dict[str, str]) -> str:
    text = json.dumps([owner.uid, owner.attempt, data], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _is_long(text: str) -> bool:
    return len(text.encode()) > MOST_ARGUMENT
