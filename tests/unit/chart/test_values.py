"""Values: each is in the schema and in values.yaml, and what makes no sense is refused by the field's name."""

import json
from collections.abc import Iterator

import pytest
import yaml

from helpers.chart import CHART, helm, settings

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())

AROUND = {"global.imagePullSecrets", "enabled"}
"""What a chart around this one sets."""

REFUSED = [
    # (path, value, the field that helm names, what else it says)
    ("replicas", 0, "'/replicas'", "minimum"),
    ("replica", 2, "''", "'replica' not allowed"),
    ("lease.seconds", 0, "'/lease/seconds'", "minimum"),
    ("lease.namespace", "", "'/lease/namespace'", "minLength"),
    ("image.taag", "1", "'/image'", "'taag' not allowed"),
    ("image.repository", "", "'/image/repository'", "does not match"),
    ("image.repository", "a@sha256:0", "'/image/repository'", "does not match"),
    ("image.tag", "a b", "'/image/tag'", "does not match"),
    ("image.digest", "0" * 64, "'/image/digest'", "does not match"),
    ("images.encode.digest", "sha256:0", "'/images/encode/digest'", "does not match"),
    ("images.encode.name", "a", "'/images/encode'", "'name' not allowed"),
    ("image.tag", 1.0, "'/image/tag'", "want string"),
    ("image.pullPolicy", "Sometimes", "'/image/pullPolicy'", "'Always', 'IfNotPresent', 'Never'"),
    ("images.render", "two words", "'/images/render'", "does not match"),
    ("images.encoder", "a", "'/images'", "'encoder' not allowed"),
    ("imagePullSecrets", ["registry"], "'/imagePullSecrets/0'", "want object"),
    ("imagePullSecrets", [{}], "'/imagePullSecrets/0'", "missing property 'name'"),
    ("global.imagePullSecrets", "registry", "'/global/imagePullSecrets'", "want array"),
    ("watchNamespaces", "a", "'/watchNamespaces'", "want array"),
    ("watchNamespaces", ["A"], "'/watchNamespaces/0'", "does not match"),
    ("watchNamespaces", ["a", "a"], "'/watchNamespaces'", "equal"),
    ("encoderAccess", "auto", "'/encoderAccess'", "'direct', 'proxy'"),
    ("crds.keep", "yes", "'/crds/keep'", "want boolean"),
    ("fullnameOverride", "Clipfarm", "'/fullnameOverride'", "does not match"),
    ("vram.endpoints", ["node:9400"], "'/vram/endpoints/0'", "does not match"),
    ("vram.dcgm.port", 0, "'/vram/dcgm/port'", "minimum"),
    ("vram.dcgm.port", "9400", "'/vram/dcgm/port'", "want integer"),
    ("vram.dcgm.interval", 0, "'/vram/dcgm/interval'", "exclusiveMinimum"),
    ("vram.prometheus.url", "prometheus:9090", "'/vram/prometheus/url'", "does not match"),
    ("vram.agent.port", 70000, "'/vram/agent/port'", "maximum"),
    ("vram.agent.tolerations", [{"key": "a", "operator": "Is"}], "'/vram/agent/tolerations/0/operator'", "'Exists'"),
    ("metrics.podMonitor.interval", "15", "'/metrics/podMonitor/interval'", "does not match"),
    ("metrics.prometheusRule.heldFor", "0h", "'/metrics/prometheusRule/heldFor'", "does not match"),
    ("metrics.prometheusRule.noProgressFor", "soon", "'/metrics/prometheusRule/noProgressFor'", "does not match"),
    ("metrics.prometheusRule.failedClips", -1, "'/metrics/prometheusRule/failedClips'", "minimum"),
    ("metrics.serviceMonitor.enabled", True, "'/metrics'", "'serviceMonitor' not allowed"),
    ("networkPolicy.apiServerPorts", [0], "'/networkPolicy/apiServerPorts/0'", "minimum"),
    ("networkPolicy.runs.namespaces", ["A"], "'/networkPolicy/runs/namespaces/0'", "does not match"),
    ("flowControl.shares", 0, "'/flowControl/shares'", "minimum"),
    ("admissionPolicy", True, "'/admissionPolicy'", "want object"),
    ("extraEnv", [{"value": "a"}], "'/extraEnv/0'", "missing property 'name'"),
    ("extraEnv", {"A": "b"}, "'/extraEnv'", "want array"),
    ("nodeSelector", {"gpu": True}, "'/nodeSelector/gpu'", "want string"),
    ("resources.limit", {"memory": "1Gi"}, "'/resources'", "'limit' not allowed"),
]


@pytest.mark.parametrize(("path", "value", "field", "words"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_value_that_makes_no_sense_is_refused_by_its_name(path: str, value: object, field: str, words: str):
    done = helm("template", "clipfarm", CHART, *settings({path: value}))
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if line.startswith("- at ")]
    assert line.startswith(f"- at {field}:")
    assert words in line


def sections(schema: dict, path: str = "") -> Iterator[str]:
    """Paths of all that the schema asks for and that is more than one value."""
    for name in schema.get("required", ()):
        each = schema["properties"][name]
        if each.get("type") in ("object", "array") or "properties" in each:
            yield path + name
            yield from sections(each, f"{path}{name}.")


@pytest.mark.parametrize("path", [*sections(SCHEMA), "image.repository", "lease.seconds", "vram.dcgm.port"])
def test_a_section_that_is_set_to_null_is_refused_by_its_name(path: str):
    # Helm removes what is null before it looks into the schema.
    done = helm("template", "clipfarm", CHART, "--set", f"{path}=null")
    above, _, name = path.rpartition(".")
    assert done.returncode == 1
    assert f"- at '{above and '/' + above.replace('.', '/')}': missing property '{name}'" in done.stderr.splitlines()


def test_the_schema_asks_for_every_section_that_has_a_default():
    assert {path for path in sections(SCHEMA) if "." not in path} == {
        name for name, value in VALUES.items() if isinstance(value, dict | list)
    }


def leaves(schema: dict, path: str = "") -> Iterator[str]:
    """Paths of all values that the schema knows; of a map that users fill the map alone."""
    for name, each in schema["properties"].items():
        if "properties" in each and "resources" not in name:
            assert name == "global" or each["additionalProperties"] is False, f"{path}{name} takes any field"
            yield from leaves(each, f"{path}{name}.")
        else:
            yield path + name


def test_every_value_has_its_default_and_its_place_in_the_schema():
    def defaults(values: dict, schema: dict, path: str = "") -> Iterator[str]:
        for name, value in values.items():
            inner = schema["properties"].get(name, {})
            if "properties" in inner and "resources" not in name:
                yield from defaults(value, inner, f"{path}{name}.")
            else:
                yield path + name

    assert set(defaults(VALUES, SCHEMA)) == set(leaves(SCHEMA)) - AROUND


def test_every_value_is_used():
    used = "".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())
    unused = [path for path in set(leaves(SCHEMA)) - AROUND if f".{path.rpartition('.')[2]}" not in used]
    assert not unused
