"""docs/export.md: the Job that it shows is one that the command and the volume take."""

import re

import yaml

from clipfarm.manifests.common import CLIPS, USER
from clipfarm_export.cli import command
from helpers.chart import ROOT


def test_the_job_of_the_document_calls_the_command_as_it_is():
    [text] = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "export.md").read_text(), re.DOTALL)
    claim, job = yaml.safe_load_all(text)
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    parsed = command.make_context("clipfarm-export", list(container["args"])).params
    assert (str(parsed["run_folder"]), parsed["format_"], parsed["features"]) == (CLIPS, "hf", ("all",))
    mounts = {each["name"]: each for each in container["volumeMounts"]}
    assert mounts["clips"]["mountPath"] == CLIPS
    assert mounts["clips"]["readOnly"]
    assert parsed["dest"].startswith(mounts["export"]["mountPath"] + "/")
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert volumes.keys() == mounts.keys()
    assert volumes["export"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert pod["securityContext"]["runAsUser"] == USER
