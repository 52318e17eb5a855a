"""The Helm chart: what it renders, and what it says."""

import json
import os
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from helpers.cluster import Object, cluster

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "clipfarm"
DEFINITION = ROOT / "crds" / "benchmarkruns.clipfarm.dev.yaml"


@cache
def program() -> str:
    """Path of helm; where it cannot be built, the test is skipped, but never in continuous integration."""
    done = cluster("build", "helm")
    if done.returncode == 2 and not os.environ.get("CI"):
        pytest.skip(done.stderr.strip())
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def helm(*arguments: object, kubeconfig: str = "/nonexistent") -> subprocess.CompletedProcess[str]:
    """Run helm as a user does."""
    return subprocess.run(
        [program(), *map(str, arguments)],
        env=os.environ | {"KUBECONFIG": kubeconfig},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def settings(values: dict[str, object]) -> list[str]:
    """Options of helm that set values, each as JSON."""
    return [part for path, value in values.items() for part in ("--set-json", f"{path}={json.dumps(value)}")]


def text(*arguments: object, namespace: str = "clipfarm") -> str:
    """What the chart renders, as helm prints it."""
    done = helm("template", "clipfarm", CHART, "--namespace", namespace, *arguments)
    assert not done.returncode, done.stderr
    return done.stdout


def objects(*arguments: object, **values: object) -> list[Object]:
    """What the chart renders; ``values`` are set, with __ for a dot."""
    chosen = settings({path.replace("__", "."): value for path, value in values.items()})
    return [each for each in yaml.safe_load_all(text(*arguments, *chosen)) if each]


def only(kind: str, found: list[Object], name: str = "") -> Object:
    """The one object of a kind, and of a name where there are several."""
    [one] = [each for each in found if each["kind"] == kind and name in ("", each["metadata"]["name"])]
    return one


def pod_of(manifest: Object) -> Object:
    """The pod's spec in an object that has one."""
    return manifest["spec"] if manifest["kind"] == "Pod" else manifest["spec"]["template"]["spec"]


def pods(found: list[Object]) -> dict[str, Object]:
    """Specs of all pods that objects ask for, by the objects' kinds and names."""
    kinds = ("Pod", "Deployment", "DaemonSet", "Job")
    return {f"{each['kind']}/{each['metadata']['name']}": pod_of(each) for each in found if each["kind"] in kinds}
