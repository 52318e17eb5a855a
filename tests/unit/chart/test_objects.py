"""What the chart makes of values."""

import ast
import importlib
import json
import re
import shutil
import time
import typing
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY

from clipfarm.cli.operator import operator
from clipfarm.cli.vram_agent import vram_agent
from clipfarm.cluster.process.vram_metrics import GpuMetrics
from clipfarm.cluster.vram.gpus import Gpus
from clipfarm.decide.vram.ledger import Ledger
from clipfarm.manifests import preview
from clipfarm.run import Run
from clipfarm.run_status import RunStatus
from helpers.chart import CHART, DEFINITION, helm, objects, only, pods, settings, text

DEMO = CHART.parents[1] / "examples" / "demo.yaml"
ALL = CHART.parents[1] / "tests" / "golden" / "chart" / "values" / "everything.yaml"


def operator_of(**values: object) -> dict:
    return pods(objects(**values))["Deployment/clipfarm"]


def test_helm_finds_nothing_to_complain_about():
    for values in sorted(ALL.parent.glob("*.yaml")):
        done = helm("lint", "--strict", CHART, "--values", values)
        assert not done.returncode, done.stdout


def test_the_chart_and_the_operator_have_one_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (CHART.parents[1] / "operator" / "pyproject.toml").read_text()
    assert f'version = "{chart["appVersion"]}"' in project


def test_the_definition_is_the_one_in_crds():
    copy = CHART / "files" / DEFINITION.name
    assert copy.read_bytes() == DEFINITION.read_bytes(), "run `make chart`"
    made = only("CustomResourceDefinition", objects())
    assert made["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert made["spec"] == yaml.safe_load(DEFINITION.read_text())["spec"]


def test_the_definition_goes_with_the_release_only_where_that_is_asked_for():
    made = only("CustomResourceDefinition", objects(crds__keep=False))
    assert "annotations" not in made["metadata"]
    assert not [each for each in objects(crds__install=False) if each["kind"] == "CustomResourceDefinition"]


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": ["a", "b"], "vram__endpoints": ["http://a/metrics"]}])
def test_the_operator_understands_its_options(values: dict):
    [container] = operator_of(**values)["containers"]
    assert "command" not in container, "the image's own hands signals on"
    command, *options = container["args"]
    context = operator.make_context(command, options)
    assert context.params["namespaces"] == tuple(values.get("watchNamespaces", ()))
    assert context.params["endpoints"] == tuple(values.get("vram__endpoints", ()))
    assert (context.params["host"], context.params["port"]) == ("0.0.0.0", 8081)


def test_the_agent_understands_its_options():
    [container] = pods(objects("--values", ALL))["DaemonSet/farm-vram-agent"]["containers"]
    command, *options = container["args"]
    context = vram_agent.make_context(command, options)
    [port] = container["ports"]
    assert (context.params["host"], context.params["port"]) == ("0.0.0.0", port["containerPort"])
    [name] = [each["name"] for each in container["env"] if "fieldRef" in each.get("valueFrom", {})]
    assert name == next(each.envvar for each in vram_agent.params if each.name == "node")


def test_an_agent_gets_what_it_asks_for_and_no_more():
    def agent(**values: bool) -> dict:
        return pods(objects(vram__agent__enabled=True, **values))["DaemonSet/clipfarm-vram-agent"]

    plain, telling, mig = agent(), agent(vram__agent__tellHolders=True), agent(vram__agent__mig=True)
    assert "hostPID" not in plain
    assert telling["hostPID"]
    assert telling["containers"][0]["volumeMounts"][-1] == {
        "name": "pods", "mountPath": "/var/log/pods", "readOnly": True
    }  # fmt: skip
    assert telling["containers"][0]["securityContext"] == plain["containers"][0]["securityContext"]
    [container] = mig["containers"]
    assert {"name": "NVIDIA_MIG_MONITOR_DEVICES", "value": "all"} in container["env"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["SYS_ADMIN"]}


def test_images_are_the_charts_version_where_none_is_named():
    [container] = operator_of()["containers"]
    assert container["image"] == "clipfarm-operator:0.1.0"
    assert {"--render-image=clipfarm-render:0.1.0", "--encode-image=clipfarm-encode:0.1.0"} <= set(container["args"])
    [container] = operator_of(image__tag="2", images__render="r.example:5000/render@sha256:" + "0" * 64)["containers"]
    assert container["image"] == "clipfarm-operator:2"
    assert f"--render-image=r.example:5000/render@sha256:{'0' * 64}" in container["args"]


def test_a_digest_counts_in_place_of_a_tag():
    digests = [f"sha256:{number:064}" for number in range(4)]
    values = {"image__digest": digests[0], "image__tag": "2"}
    for name, digest in zip(("render", "encode", "export"), digests[1:], strict=True):
        values |= {f"images__{name}__repository": f"r.example/{name}", f"images__{name}__digest": digest}
    found = pods(objects(**values))
    [container] = found["Deployment/clipfarm"]["containers"]
    assert (
        container["image"] == f"clipfarm-operator@{digests[0]}" == found["Pod/clipfarm-test"]["containers"][0]["image"]
    )
    named = {option.partition("-image=")[2] for option in container["args"] if "-image=" in option}
    runs = {f"r.example/{name}@{digests[i]}" for i, name in enumerate(("render", "encode", "export"), start=1)}
    assert named == {container["image"], *runs}


def test_secrets_of_a_chart_around_this_one_open_the_registry_for_all_pods():
    outer = {"global__imagePullSecrets": ["mirror", {"name": "registry"}], "imagePullSecrets": [{"name": "registry"}]}
    for pod in pods(objects(vram__agent__enabled=True, **outer)).values():
        assert pod["imagePullSecrets"] == [{"name": "registry"}, {"name": "mirror"}]
    assert all("imagePullSecrets" not in pod for pod in pods(objects(vram__agent__enabled=True)).values())


def test_the_recipe_for_k3s_works_in_a_chart_around_this_one(tmp_path: Path):
    section = (CHART.parents[1] / "docs" / "install.md").read_text().partition("\n## k3s\n")[2].partition("\n## ")[0]
    recipe = yaml.safe_load(section.partition("```yaml\n")[2].partition("```")[0])
    shutil.copytree(CHART, tmp_path / "charts" / "clipfarm")
    part = {"name": "clipfarm", "version": "0.1.0", "condition": "clipfarm.enabled"}
    outer = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [part]}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(outer))
    (tmp_path / "values.yaml").write_text(yaml.safe_dump({"clipfarm": {"enabled": True, **recipe}}))
    done = helm("template", "platform", tmp_path)
    assert not done.returncode, done.stderr
    found = pods([each for each in yaml.safe_load_all(done.stdout) if each])
    assert found["DaemonSet/platform-clipfarm-vram-agent"]["nodeSelector"] == {"kubernetes.io/hostname": "gpu-box"}


def test_agents_run_on_nodes_with_a_label_of_their_own_or_with_those_that_are_named():
    for named, selector in [
        ({}, {"nvidia.com/gpu.present": "true"}),
        ({"pool": "gpu"}, {"pool": "gpu"}),
        # As the values of earlier versions had it.
        ({"nvidia.com/gpu.present": None, "pool": "gpu"}, {"pool": "gpu"}),
    ]:
        found = pods(objects(vram__agent__enabled=True, vram__agent__nodeSelector=named))
        assert found["DaemonSet/clipfarm-vram-agent"]["nodeSelector"] == selector


def test_every_pod_keeps_to_the_standard_restricted():
    found = pods(objects("--values", ALL))
    assert set(found) == {"Deployment/farm", "DaemonSet/farm-vram-agent", "Pod/farm-test"}
    for name, pod in found.items():
        security = pod["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 65532), name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
        assert all(set(volume) <= {"name", "emptyDir", "secret"} for volume in pod.get("volumes", ())), name


def test_only_the_operator_gets_a_token():
    found = pods(objects("--values", ALL))
    assert {name for name, pod in found.items() if pod["automountServiceAccountToken"]} == {"Deployment/farm"}


def test_of_two_operators_one_acts():
    spec = only("Deployment", objects())["spec"]
    assert (spec["replicas"], spec["strategy"]) == (2, {"type": "Recreate"}), "an older version knows no Lease"
    [container] = spec["template"]["spec"]["containers"]
    environment = {entry["name"]: entry for entry in container["env"]}
    assert environment["CLIPFARM_INSTALLATION"]["value"] == "clipfarm/clipfarm"
    assert environment["POD_UID"]["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.uid"}}
    assert environment["CLIPFARM_LEASE_DURATION"]["value"] == "15"


def test_operators_go_to_different_nodes_unless_the_values_say_otherwise():
    spread = operator_of()["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert spread[0]["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    chosen = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
    assert operator_of(affinity=chosen)["affinity"] == chosen


def test_labels_of_the_user_do_not_hide_those_by_which_pods_are_found():
    made = only("Deployment", objects(podLabels={"team": "a", "app\\.kubernetes\\.io/component": "b"}))["spec"]
    labels = made["template"]["metadata"]["labels"]
    assert made["selector"]["matchLabels"].items() <= labels.items()
    assert labels["team"] == "a"


def granted(found: list[dict]) -> dict[str, set[tuple[str, str]]]:
    """What the operator may do, as (verb, resource), by namespace; the cluster's is empty."""
    rights: dict[str, set[tuple[str, str]]] = {}
    for each in found:
        if each["kind"] in ("Role", "ClusterRole") and each["metadata"]["name"] in ("clipfarm", "clipfarm-lease"):
            pairs = {(v, r) for rule in each["rules"] for v in rule["verbs"] for r in rule["resources"]}
            rights[each["metadata"].get("namespace", "")] = pairs
    return rights


NODES = {("list", "nodes"), ("watch", "nodes")}
LEASE = {("create", "leases"), ("get", "leases"), ("patch", "leases")}
FIND = {("list", "pods"), ("watch", "pods")}


def test_rights_in_some_namespaces_are_rights_in_no_others():
    everywhere = granted(objects())
    assert (set(everywhere), everywhere["default"]) == ({"", "default"}, LEASE)
    some = granted(objects(watchNamespaces=["a", "b"], vram__dcgm__podSelector=""))
    assert some[""] == NODES
    assert some["a"] == some["b"] == (everywhere[""] - NODES - {("list", "leases")}) | LEASE


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"vram__dcgm__podSelector": ""}, {"": NODES}),
        ({}, {"": NODES, "gpu-operator": FIND}),
        ({"vram__dcgm__namespace": "monitoring"}, {"": NODES, "monitoring": FIND}),
        ({"vram__dcgm__namespace": ""}, {"": NODES | FIND}),
        ({"vram__dcgm__podSelector": "", "vram__agent__enabled": True}, {"": NODES, "clipfarm": FIND}),
        ({"vram__dcgm__namespace": "a"}, {"": NODES}),
    ],
)
def test_pods_that_measure_gpu_memory_may_be_listed_where_they_are(values: dict, expected: dict):
    found = granted(objects(watchNamespaces=["a"], **values))
    del found["a"]
    assert found == expected | {"default": {("get", "leases")}}


@pytest.mark.parametrize(
    ("namespace", "said"),
    [
        (
            "monitoring",
            "is read from DCGM exporters in the namespace monitoring. If yours run in another namespace, set it:",
        ),
        ("", "anyone who may create a pod with the labels app=nvidia-dcgm-exporter, in any namespace"),
    ],
)
def test_the_notes_say_whose_readings_of_gpu_memory_count(namespace: str, said: str):
    chosen = settings({"vram.dcgm.namespace": namespace})
    done = helm("install", "clipfarm", CHART, "--dry-run=client", "--namespace", "clipfarm", *chosen)
    assert not done.returncode, done.stderr
    notes = done.stdout.partition("NOTES:")[2]
    assert said in notes
    assert "--set vram.dcgm.namespace=NAMESPACE" in notes


def test_the_way_through_the_api_server_is_a_right_of_its_own():
    assert granted(objects(encoderAccess="proxy"))[""] - granted(objects())[""] == {("get", "pods/proxy")}


def test_bindings_name_the_account_that_the_operator_runs_with():
    for values in ({}, {"serviceAccount__name": "other"}, {"serviceAccount__create": False}):
        found = objects(watchNamespaces=["a"], **values)
        account = pods(found)["Deployment/clipfarm"]["serviceAccountName"]
        for each in found:
            if each["kind"].endswith("RoleBinding"):
                subject = {"kind": "ServiceAccount", "name": account, "namespace": "clipfarm"}
                assert each["subjects"] == [subject]


def test_ports_of_the_network_policy_are_those_that_are_asked():
    values = {"vram__endpoints": ["http://a:1234/metrics", "https://[::1]/m"], "vram__prometheus__url": "http://p/x"}
    found = objects(networkPolicy__enabled=True, vram__agent__enabled=True, **values)
    egress = only("NetworkPolicy", found, "clipfarm")["spec"]["egress"]
    ports = sorted(port["port"] for rule in egress for port in rule["ports"])
    assert ports == [53, 53, 80, 443, 443, 1234, 5353, 5353, 6443, 8080, 8443, 9400, 9401, 16443]


def peers(found: list[dict], name: str) -> tuple[list, list]:
    """Sources and destinations that a policy allows."""
    spec = only("NetworkPolicy", found, name)["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    return spec.get("ingress", []), spec.get("egress", [])


def test_pods_of_runs_reach_what_they_need_and_only_the_operator_reaches_them():
    found = objects(watchNamespaces=["a"])
    assert {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found if is_network(each)} == {
        ("clipfarm", "clipfarm"), ("a", "clipfarm-render"), ("a", "clipfarm-encode"), ("a", "clipfarm-export")
    }  # fmt: skip
    assert peers(found, "clipfarm-render") == ([], [])
    [ingress], egress = peers(found, "clipfarm-encode")
    [operator] = ingress["from"]
    assert operator["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "clipfarm"}
    labels = only("Deployment", found)["spec"]["template"]["metadata"]["labels"]
    assert operator["podSelector"]["matchLabels"].items() <= labels.items()
    assert sorted(port["port"] for rule in egress for port in rule["ports"]) == [53, 53, 443, 5353, 5353]
    reached, egress = peers(found, "clipfarm-export")
    assert not reached
    assert sorted(port["port"] for rule in egress for port in rule["ports"]) == [53, 53, 443, 5353, 5353]
    # Through the API server the way has no pod that could be selected.
    [ingress], _ = peers(objects(watchNamespaces=["a"], encoderAccess="proxy"), "clipfarm-encode")
    assert "from" not in ingress


def test_policies_select_the_pods_of_a_run():
    run = yaml.safe_load(DEMO.read_text())
    run["spec"]["export"] = {"format": "hf", "license": "mit"}
    made = preview.objects(Run.model_validate(run))
    found = objects(watchNamespaces=["a"])
    chosen = {
        name: [each["kind"] for each in made if "template" in each.get("spec", ()) and selects(found, name, each)]
        for name in ("clipfarm-render", "clipfarm-encode", "clipfarm-export")
    }
    assert chosen == {
        "clipfarm-render": ["Job", "Job"],
        "clipfarm-encode": ["Deployment"],
        "clipfarm-export": ["Job"],
    }


def selects(found: list[dict], name: str, workload: dict) -> bool:
    selector, labels = only("NetworkPolicy", found, name)["spec"]["podSelector"], workload["spec"]["template"]
    labels = labels["metadata"]["labels"]
    wanted = all(labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", ()))
    return wanted and selector["matchLabels"].items() <= labels.items()


def is_network(manifest: dict) -> bool:
    return manifest["kind"] == "NetworkPolicy"


def test_namespaces_of_runs_can_be_named_for_their_network_policies_alone():
    found = objects(watchNamespaces=["a"], networkPolicy__runs__namespaces=["a", "b"])
    assert {each["metadata"]["namespace"] for each in found if is_network(each)} == {"a", "b", "clipfarm"}
    fewer = objects(watchNamespaces=["a"], networkPolicy__runs__enabled=False)
    assert [each["metadata"]["namespace"] for each in fewer if is_network(each)] == ["clipfarm"]
    assert not [each for each in objects(watchNamespaces=["a"], networkPolicy__enabled=False) if is_network(each)]


def test_the_admission_policy_is_there_unless_it_is_switched_off_or_the_api_server_has_none():
    def kinds(*options: object, **values: object) -> set[str]:
        return {each["kind"] for each in objects(*options, **values) if "AdmissionPolicy" in each["kind"]}

    both = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    assert kinds() == both
    assert kinds(admissionPolicy__enabled=False) == set()
    # An API server that lists its kinds.
    served = ("--api-versions", "v1/Pod", "--api-versions", "admissionregistration.k8s.io/v1")
    assert kinds(*served) == set()
    assert kinds(*served, "--api-versions", "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy") == both


def exported() -> set[str]:
    """Names of all series that the operator exports."""
    for module in ("process.operator", "acting.release", "api.client"):
        importlib.import_module(f"clipfarm.cluster.{module}")
    names = {sample.name for family in REGISTRY.collect() for sample in family.samples}
    # Of GPUs there are series once an operator is there to ask.
    names |= {family.name for family in GpuMetrics(Gpus(), {}, Ledger, time.monotonic).describe()}
    # A family with labels has no series before the first value.
    for family in REGISTRY.collect():
        names |= {family.name + suffix for suffix in {"counter": ["_total"], "gauge": [""]}.get(family.type, [])}
        names |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count") if family.type == "histogram"}
    return names


def expressions() -> dict[str, str]:
    """All questions to Prometheus, by the name of the alert or of the panel."""
    found = objects("--values", ALL)
    [group] = only("PrometheusRule", found)["spec"]["groups"]
    dashboard = json.loads(only("ConfigMap", found)["data"]["clipfarm.json"])
    return {rule["alert"]: rule["expr"] for rule in group["rules"]} | {
        panel["title"]: target["expr"] for panel in dashboard["panels"] for target in panel["targets"]
    }


def test_alerts_and_panels_ask_for_what_there_is():
    known = exported()
    for name, expression in expressions().items():
        asked = set(re.findall(r"\bclipfarm_\w+", expression))
        assert asked, name
        assert asked <= known, name


def test_alerts_name_phases_that_there_are():
    expression = expressions()["ClipfarmRunFailed"]
    [phases] = re.findall('phase=~"(.*?)"', expression)
    assert set(phases.split("|")) <= set(typing.get_args(RunStatus.model_fields["phase"].annotation))


def test_what_is_not_for_safety_is_off_unless_asked_for():
    kinds = {each["kind"] for each in objects()}
    roles = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
    policies = {"NetworkPolicy", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    assert kinds == roles | policies | {"CustomResourceDefinition", "Deployment", "Service", "Pod"}


def test_the_script_of_helm_test_is_python():
    [container] = pods(objects())["Pod/clipfarm-test"]["containers"]
    ast.parse(container["command"][2])


def test_a_long_name_of_a_release_still_makes_names_that_kubernetes_takes():
    for each in objects(nameOverride="a" * 60, fullnameOverride="b" * 60, vram__agent__enabled=True):
        assert len(each["metadata"]["name"]) <= 63


def test_nothing_of_the_rendered_text_is_a_hole():
    assert "<no value>" not in text("--values", ALL)
    assert Path(ALL).exists()
