"""What all pods of a Job read alike, stored once: its clips and the experiment, in one immutable ConfigMap.

A pod has only its index, and refers to the ConfigMap. The kubelet fills both texts in as variables, and the clips on
the command line, so a supervisor of any version finds them where it always did. A text that is longer than the kernel
allows for one argument comes as a file.
"""

import hashlib
import json
from dataclasses import dataclass

from clipfarm.manifests.blocks import Blocks
from clipfarm.manifests.common import Manifest, Owner, labels, metadata, shortened
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


@dataclass(frozen=True, slots=True)
class RunFiles:
    """Both texts, and how the Job's pods read them."""

    name: str
    """Of the ConfigMap: no other attempt, and no other run of the same name, has the same."""
    digest: str
    """Of the attempt and its texts."""
    clips: str
    experiment: str

    @property
    def arguments(self) -> list[str]:
        """The supervisor's arguments that say which clips there are, and what they show."""
        clips = ["--clips-from", f"{FOLDER}/{CLIPS_KEY}"] if _is_long(self.clips) else ["--clips", f"$({RUN_CLIPS})"]
        return [*clips, *(["--experiment", f"{FOLDER}/{EXPERIMENT_KEY}"] if _is_long(self.experiment) else [])]

    @property
    def variables(self) -> list[Manifest]:
        """The container's variables that the kubelet fills in."""
        texts = {RUN_CLIPS: (CLIPS_KEY, self.clips), RUN_EXPERIMENT: (EXPERIMENT_KEY, self.experiment)}
        return [
            {"name": variable, "valueFrom": {"configMapKeyRef": {"name": self.name, "key": key}}}
            for variable, (key, text) in texts.items()
            if not _is_long(text)
        ]

    @property
    def volumes(self) -> list[Manifest]:
        """The volume, with its ``mountPath``, of a Job one of whose texts comes as a file; else none."""
        if not (_is_long(self.clips) or _is_long(self.experiment)):
            return []
        return [{"name": "run-files", "configMap": {"name": self.name}, "mountPath": FOLDER}]


def of(run: Run, owner: Owner) -> RunFiles:
    """Return what the pods of this attempt at a run read."""
    clips, experiment = str(Blocks.of(run, owner.only).clips), run.spec.experiment_json()
    text = json.dumps([owner.uid, owner.attempt, _data(clips, experiment)], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    end = f"-render-{digest}"
    return RunFiles(shortened(run.name, MOST_NAME - len(end)) + end, digest, clips, experiment)


def config_map(run: Run, owner: Owner) -> Manifest:
    """Return the whole ConfigMap.

    The run owns it. So it is there before the Job is, and goes with the run.
    """
    files = of(run, owner)
    made = metadata(run, owner, files.name, labels(run, ROLE) | {FILES_LABEL: files.digest})
    data = _data(files.clips, files.experiment)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": made, "immutable": True, "data": data}


def others(run: Run, owner: Owner) -> str:
    """Return a selector of labels: the ConfigMaps of earlier attempts."""
    return f"{RUN_LABEL}={run.name},{ROLE_LABEL}={ROLE},{FILES_LABEL},{FILES_LABEL}!={of(run, owner).digest}"


def _data(clips: str, experiment: str) -> dict[str, str]:
    return {CLIPS_KEY: clips, EXPERIMENT_KEY: experiment}


def _is_long(text: str) -> bool:
    return len(text.encode()) > MOST_ARGUMENT
