"""The definition of runs: what the API server refuses, fills in and explains."""

import copy
import math
import re
from typing import Any

import pytest
import yaml

from clipfarm.crd.generate import as_yaml
from clipfarm_contract.experiments.module import MOST_SOURCE
from helpers.bad_runs import BAD, GOOD, put
from helpers.chart import DEFINITION
from helpers.cluster import ApiError, Namespace
from helpers.local import wait_until
from helpers.operators import RUNS, Runs


def test_the_file_is_what_the_types_say():
    assert as_yaml() == DEFINITION.read_text(), "run `make crds`"


@pytest.fixture
def made(runs: Runs, namespace: Namespace) -> Namespace:
    """A namespace with one good run."""
    document = yaml.safe_load(GOOD)
    document["spec"]["storage"] = {"size": "1Gi"}
    namespace.create(RUNS, document)
    return namespace


NAMED_OTHERWISE = {
    "spec.experiment.phases[0].clips": "spec.experiment.phases",
    "apiVersion": 'in version "v9"',
    "metadata.labels.a": "ObjectMeta.labels",
    # Rules of all sets together.
    **dict.fromkeys(
        (
            "spec.encode.features[0].layers",
            "spec.encode.features[1].layers",
            "spec.encode.features[0].stride",
            "spec.encode.features[1].stride",
            "spec.encode.features[0].cropSize",
        ),
        "spec.encode.features",
    ),
    "spec.experiment.objects[1]": "spec.experiment.objects",
    "spec.experiment.phases[1].friction": "spec.experiment.phases",
    # The API server names the map, and that it is one of its factors.
    **dict.fromkeys(
        (
            "spec.experiment.factors.sice",
            "spec.experiment.factors.object",
            "spec.experiment.factors.floor",
            "spec.experiment.factors.size",
            "spec.experiment.factors.atFrame",
            "spec.experiment.factors.true",
            "spec.experiment.factors.pushes",
            "spec.experiment.phases[1].factors.x",
        ),
        "spec.experiment.factors",
    ),
    "spec.experiment.phases[1].factors.mass": "spec.experiment.phases[1].factors",
    "spec.source": "spec.experiment",
    "spec.experiment.phases[1].objects[0]": "spec.experiment.objects",
    "spec.experiment.phases[1].exclude[0].factors.sice": "spec.experiment.exclude",
    "spec.experiment.exclude[0].objects[1]": "spec.experiment.exclude",
    "spec.experiment.phases[1].exclude[0].objects[0]": "spec.experiment.exclude",
}


# JSON knows no infinity.
@pytest.mark.parametrize(
    ("field", "value", "line"),
    [entry for entry in BAD if entry[1] != math.inf],
    ids=[f"{field}={value}"[:60] for field, value, _ in BAD if value != math.inf],
)
def test_a_mistake_is_refused_by_the_api_server_with_the_fields_name(runs: Runs, namespace, field, value, line):
    document = yaml.safe_load(GOOD)
    put(document, field, value)
    named = line.partition(":")[0]
    with pytest.raises(ApiError) as error:
        namespace.api.request("POST", namespace.api.path(RUNS, namespace.name) + "?fieldValidation=Strict", document)
    assert error.value.status in (400, 422)
    # The API server writes the key of a map in brackets.
    found = re.sub(r"\bfactors\[(\w+)\]", r"factors.\1", error.value.message)
    assert NAMED_OTHERWISE.get(named, named) in found


def test_a_module_comes_with_its_run_and_cannot_be_changed(made: Namespace):
    """The longest that there is: rules that look at it must not cost too much."""
    document = yaml.safe_load(GOOD)
    document["metadata"]["name"] = "own"
    document["spec"]["experiment"] |= {
        "name": "slide",
        "module": {"source": "#" * MOST_SOURCE},
        "factors": {"speed": {"value": 9}},
    }
    found = made.create(RUNS, document)
    assert found["spec"]["experiment"]["module"] == {"source": "#" * MOST_SOURCE}
    with pytest.raises(ApiError) as error:
        made.patch(RUNS, "own", body={"spec": {"experiment": {"module": {"source": "x"}}}})
    assert "cannot be changed; make a new run" in error.value.message


IMMUTABLE: list[tuple[str, Any]] = [
    ("seed", 43),
    ("clips.end", 19),
    ("storage", {"size": "2Gi"}),
    ("experiment.frames", 16),
    ("render.threads", 2),
    ("render.clipsPerPod", 2),
    ("render.pod.nodeSelector.pool", "other"),
    ("retry.limit", 3),
    ("encode.enabled", False),
    ("encode.model", "vjepa2_vith16"),
    ("encode.weights.source", "other.pt"),
    ("encode.cropSize", 384),
    ("encode.dtype", "fp32"),
]
MUTABLE: list[tuple[str, Any]] = [
    ("workers", 7),
    ("priority", 3),
    ("suspend", True),
    ("vram.high", 0.9),
    ("vram.whenUnknown", "Admit"),
    ("retry.delay", "1m"),
    ("retry.stopAfter", 0),
    ("render.scaleUp.pending", 5),
    ("render.keepPods", "all"),
    ("encode.batchSize", 2),
    ("encode.replicas", 2),
    ("encode.memory", "4Gi"),
    ("ttlAfterFinished", "1d"),
]


@pytest.mark.parametrize(("field", "value"), IMMUTABLE, ids=[field for field, _ in IMMUTABLE])
def test_what_the_clips_depend_on_cannot_be_changed(made: Namespace, field, value):
    patch: dict[str, Any] = {"spec": {}}
    put(patch, f"spec.{field}", value)
    with pytest.raises(ApiError) as error:
        made.patch(RUNS, "friction", body=patch)
    assert error.value.status == 422
    assert "cannot be changed; make a new run" in error.value.message
    assert f"spec.{'.'.join(field.split('.')[:1])}" in error.value.message


def test_what_they_do_not_depend_on_can(made: Namespace):
    for field, value in MUTABLE:
        patch: dict[str, Any] = {"spec": {}}
        put(patch, f"spec.{field}", value)
        made.patch(RUNS, "friction", body=patch)


def test_feature_sets_come_and_go_but_none_is_changed(runs: Runs, namespace: Namespace):
    frames, means = {"name": "frames", "context": "frame", "layers": [8, 16]}, {"name": "means", "pool": "space"}
    runs.create("sets", encode={"weights": {"source": "random"}})
    for features in ([frames], [frames, means], [means], [means, frames]):
        runs.patch("sets", encode={"features": features})
    for changed in (frames | {"layers": [8]}, frames | {"context": "prefix"}, frames | {"cropSize": 128}):
        with pytest.raises(ApiError, match=r"spec\.encode\.features: .*give the new one another name"):
            runs.patch("sets", encode={"features": [means, changed]})


def test_one_clip_per_pod_which_was_a_default_once_may_be_left_out_later(runs: Runs, namespace: Namespace):
    for clips in (1, 2):
        runs.create(f"with-{clips}", render={"clipsPerPod": clips})
    runs.patch("with-1", render={"clipsPerPod": None})
    assert "clipsPerPod" not in runs.get("with-1")["spec"]["render"]
    for name, clips in (("with-1", 1), ("with-2", None)):
        with pytest.raises(ApiError, match=r"spec\.render\.clipsPerPod: .*cannot be changed; make a new run"):
            runs.patch(name, render={"clipsPerPod": clips})


def test_defaults_are_shown(made: Namespace):
    spec = made.get(RUNS, "friction")["spec"]
    assert spec["vram"] == {
        "enabled": True,
        "high": 0.85,
        "low": 0.7,
        "checkInterval": "5s",
        "staleAfter": "1m",
        "whenUnknown": "Hold",
        "allocationTime": "30s",
        "heldWarningAfter": "10m",
    }
    assert (spec["retry"], spec["suspend"]) == ({"limit": 1, "delay": "30s", "stopAfter": 20, "lostAfter": "5m"}, False)
    assert spec["experiment"]["resolution"] == 256
    assert spec["render"]["memory"] == "2Gi"
    assert "workers" not in spec, "its default depends on the nodes"


def test_a_misspelt_field_is_dropped_by_the_server_and_refused_by_kubectl(runs: Runs, kubectl):
    text = GOOD.replace("fps: 30", "fsp: 30")
    refused = kubectl("apply", "-f", "-", text=text)
    assert refused.returncode == 1
    assert 'unknown field "spec.experiment.fsp"' in refused.stderr


def test_kubectl_explains_every_field(runs: Runs, kubectl):
    document = yaml.safe_load(DEFINITION.read_text())
    schema = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    expected = schema["spec"]["properties"]["vram"]["properties"]["high"]["description"]
    # The API server publishes a definition's fields some time after it takes its objects. kubectl breaks lines.
    wait_until(
        lambda: expected in " ".join(kubectl("explain", "bmr.spec.vram").stdout.split()), "the fields to be explained"
    )
    silent = [path for part in ("spec", "status") for path in _without_description(schema[part], part)]
    assert silent == []


def _without_description(schema: dict[str, Any], path: str) -> list[str]:
    found = [] if schema.get("description") else [path]
    for name, each in schema.get("properties", {}).items():
        found += _without_description(each, f"{path}.{name}")
    items = schema.get("items", {})
    return found + [
        each
        for name, sub in items.get("properties", {}).items()
        for each in _without_description(sub, f"{path}[].{name}")
    ]


def test_a_list_of_runs_shows_where_they_stand(made: Namespace, kubectl):
    held = [{"reason": "VRAMHigh", "clips": "7-8", "count": 2, "message": "GPU 0 on a at 91%"}]
    status = _status(phase="Running", reason="Rendering", rendered=5, held=held, heldClips=2, eta="3m 10s")
    made.patch(RUNS, "friction", "status", body={"status": status})
    header, line = kubectl("get", "bmr").stdout.splitlines()
    assert header.split() == ["NAME", "PHASE", "REASON", "RENDERED", "ENCODED", "FAILED", "TOTAL", "HELD", "ETA", "AGE"]
    assert line.split()[:10] == ["friction", "Running", "Rendering", "5", "0", "0", "30", "2", "3m", "10s"]


def _status(**fields: Any) -> dict[str, Any]:
    counters = dict.fromkeys(("observedGeneration", "rendered", "encoded", "failed", "running", "retried"), 0)
    return copy.deepcopy({"total": 30, **counters, **fields})


def test_the_rules_cost_the_api_server_little(runs: Runs, namespace: Namespace):
    """The largest run that the definition lets through is taken in, and does not exceed what rules may cost."""
    document = yaml.safe_load(GOOD)
    size = math.ceil(10_000 / 64)
    document["spec"]["clips"] = {"start": 0, "end": 64 * size - 1}
    document["spec"]["experiment"]["phases"] = [
        {
            "name": f"phase-{number}",
            "clips": {"start": number * size, "end": (number + 1) * size - 1},
            "friction": {"min": 0.5, "max": 0.9},
            "mass": {"min": 1, "max": 1},
            "factors": {"size": {"values": [1 + i / 1000 for i in range(64)]}, "x": {"min": -1, "max": 1}},
            "exclude": [{"objects": ["cone"], "factors": {"size": {"min": 1.4}}}],
        }
        for number in range(64)
    ]
    assert namespace.create(RUNS, document)["spec"]["experiment"]["phases"][63]["name"] == "phase-63"
