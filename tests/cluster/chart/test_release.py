"""Install, upgrade and uninstall on a real API server, into a namespace that enforces the standard "restricted"."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import urllib3
import yaml

from helpers.chart import CHART, DEFINITION, helm
from helpers.cluster import ApiError, ControlPlane, Namespace, temporary_namespace
from helpers.local import wait_until
from helpers.operators import RUNS, run_document
from helpers.releases import Process, Release

SLICES = "discovery.k8s.io/v1/endpointslices"
DEFINITIONS = "apiextensions.k8s.io/v1/customresourcedefinitions"
NAME = "benchmarkruns.clipfarm.dev"


def definition(control_plane: ControlPlane) -> dict:
    return control_plane.api.request("GET", control_plane.api.path(DEFINITIONS, None, NAME))


def test_an_installed_operator_runs_and_helm_says_what_comes_next(release: Callable[..., Release]):
    installed = release()
    assert [pod["status"]["phase"] for pod in installed.pods("operator")] == ["Running"] * 2
    assert "kubectl apply --namespace default -f examples/run.yaml" in installed.helm("status").stdout


def test_the_agents_run_where_gpus_are(control_plane: ControlPlane, release: Callable[..., Release]):
    name, *_ = (node["metadata"]["name"] for node in control_plane.api.request("GET", "/api/v1/nodes")["items"])
    label = {"metadata": {"labels": {"nvidia.com/gpu.present": "true"}}}
    control_plane.api.request("PATCH", f"/api/v1/nodes/{name}", label, "application/merge-patch+json")
    runtime = {"metadata": {"name": "nvidia"}, "handler": "nvidia"}
    control_plane.api.request("POST", "/apis/node.k8s.io/v1/runtimeclasses", runtime)
    installed = release(vram__agent__enabled=True)
    [pod] = wait_until(lambda: installed.pods("vram-agent"), "an agent's pod")
    assert pod["spec"]["nodeName"] == name
    # By this selector the operator looks for it.
    [container] = installed.deployment()["spec"]["template"]["spec"]["containers"]
    selector = next(entry["value"] for entry in container["env"] if entry["name"] == "CLIPFARM_AGENT_SELECTOR")
    assert installed.namespace.pods(selector) == [pod]


def test_the_right_to_look_for_exporters_comes_with_their_namespace(
    control_plane: ControlPlane, namespace: Namespace, release: Callable[..., Release]
):
    exporters = f"gpus-{namespace.name}"
    values = {"watchNamespaces": [namespace.name], "vram__dcgm__namespace": exporters}
    installed, right = release(**values), ("list", "", "pods", exporters)
    assert right not in installed.granted(), "a Role takes a namespace that is there"
    assert f"namespace {exporters} does not exist yet" in installed.helm("status").stdout
    with temporary_namespace(control_plane.api, exporters):
        assert f"namespace {exporters} does not exist" not in installed.upgrade(**values)
        assert right in installed.granted()


def test_an_upgrade_changes_the_operator_and_the_definition(
    control_plane: ControlPlane, release: Callable[..., Release], tmp_path: Path
):
    older = shutil.copytree(CHART, tmp_path / "older")
    file = older / "files" / DEFINITION.name
    document = yaml.safe_load(file.read_text())
    columns = document["spec"]["versions"][0].pop("additionalPrinterColumns")
    # As the real one, it begins with a comment and has its name where the chart puts labels.
    file.write_text("# older\n" + yaml.safe_dump(document, sort_keys=False))
    installed = release(older)
    assert "additionalPrinterColumns" not in definition(control_plane)["spec"]["versions"][0]
    installed.chart = CHART
    installed.upgrade(image__tag="9.9.9")
    assert definition(control_plane)["spec"]["versions"][0]["additionalPrinterColumns"] == columns
    [container] = installed.deployment()["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "clipfarm-operator:9.9.9"


def test_runs_stay_when_the_release_goes_and_are_there_for_the_next_one(
    control_plane: ControlPlane, namespace: Namespace, release: Callable[..., Release]
):
    installed = release()
    namespace.create(RUNS, run_document("kept"))
    assert "kept due to the resource policy" in installed.uninstall()
    assert [run["metadata"]["name"] for run in namespace.list(RUNS)] == ["kept"]
    left = control_plane.kubectl(
        "get", "clusterroles,clusterrolebindings", "-l", f"app.kubernetes.io/instance={installed.name}"
    )
    assert "No resources found" in left.stderr
    installed.install()
    assert [run["metadata"]["name"] for run in namespace.list(RUNS)] == ["kept"]


def test_the_definition_goes_with_the_release_where_that_was_asked_for(
    control_plane: ControlPlane, release: Callable[..., Release]
):
    installed = release(crds__keep=False)
    assert f"`helm uninstall {installed.name}` deletes every run in the cluster" in installed.helm("status").stdout
    installed.uninstall()
    with pytest.raises(ApiError):
        definition(control_plane)


def test_a_second_release_says_that_the_definition_belongs_to_the_first(
    control_plane: ControlPlane, release: Callable[..., Release]
):
    first = release()
    done = helm("install", "second", CHART, "--namespace", first.namespace.name, kubeconfig=control_plane.kubeconfig)
    assert done.returncode
    assert NAME in done.stderr
    assert first.name in done.stderr


def test_what_is_behind_switches_is_taken_by_the_api_server(
    control_plane: ControlPlane, release: Callable[..., Release]
):
    # An API server that listens on 127.0.0.1 alone makes none itself.
    ports = [{"name": "https", "port": 7443, "protocol": "TCP"}]
    slice_ = {"metadata": {"name": "kubernetes"}, "addressType": "IPv4", "ports": ports}
    default = Namespace(control_plane.api, "default")
    default.create(SLICES, slice_ | {"endpoints": [{"addresses": ["192.0.2.1"]}]})
    installed = release(
        podDisruptionBudget__enabled=True, metrics__dashboard__enabled=True, networkPolicy__runs__namespaces=["default"]
    )
    default.delete(SLICES, "kubernetes")
    policies = "networking.k8s.io/v1/networkpolicies"
    assert default.get(policies, f"{installed.name}-render")
    rules = installed.namespace.get(policies, installed.name)["spec"]["egress"]
    asked = {each["port"] for rule in rules for each in rule["ports"]}
    assert {443, 7443} <= asked, "the API server's own port, which helm has found, and that of its service"
    assert 6443 not in asked
    assert installed.namespace.get("policy/v1/poddisruptionbudgets", installed.name)
    dashboard = installed.namespace.get("v1/configmaps", f"{installed.name}-dashboard")
    assert json.loads(dashboard["data"]["clipfarm.json"])["title"] == "clipfarm"


def test_an_operator_of_some_namespaces_is_installed_where_there_is_no_namespace_of_exporters(
    control_plane: ControlPlane, namespace: Namespace, release: Callable[..., Release]
):
    installed = release(watchNamespaces=[namespace.name])
    roles = "/apis/rbac.authorization.k8s.io/v1/roles"
    found = control_plane.api.request("GET", f"{roles}?labelSelector=app.kubernetes.io/instance={installed.name}")
    assert {each["metadata"]["namespace"] for each in found["items"]} == {namespace.name, "default"}


def test_the_operators_requests_have_seats_of_their_own(control_plane: ControlPlane, release: Callable[..., Release]):
    installed = release(flowControl__enabled=True)
    flows = "flowcontrol.apiserver.k8s.io/v1"
    asked = {
        installed.name: "/api/v1/nodes",
        f"{installed.name}-lease": "/apis/coordination.k8s.io/v1/namespaces/default/leases/clipfarm-all-namespaces",
    }
    operator = control_plane.api.with_token(installed.token())
    for name, path in asked.items():
        schema = control_plane.api.request("GET", control_plane.api.path(f"{flows}/flowschemas", None, name))
        level = schema["spec"]["priorityLevelConfiguration"]["name"]
        levels = control_plane.api.path(f"{flows}/prioritylevelconfigurations", None, level)
        uids = (schema["metadata"]["uid"], control_plane.api.request("GET", levels)["metadata"]["uid"])

        def classified(path: str = path) -> tuple[str | None, str | None]:
            headers = operator.headers(path)
            kinds = ("FlowSchema", "PriorityLevel")
            return tuple(headers.get(f"X-Kubernetes-PF-{kind}-UID") for kind in kinds)

        wait_until(lambda uids=uids, look=classified: look() == uids, f"requests to be classified as {name}")


ROLES = [
    # (role, verb, allowed)
    ("view", "get", "yes"),
    ("view", "watch", "yes"),
    ("view", "create", "no"),
    ("view", "delete", "no"),
    ("edit", "get", "yes"),
    ("edit", "create", "yes"),
    ("edit", "patch", "yes"),
    ("edit", "delete", "yes"),
    ("admin", "create", "yes"),
    ("admin", "deletecollection", "yes"),
]


def test_whoever_may_view_or_edit_a_namespace_may_view_or_edit_its_runs(
    control_plane: ControlPlane, namespace: Namespace, release: Callable[..., Release]
):
    release()
    for role in ("view", "edit", "admin"):
        binding = control_plane.kubectl(
            "create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}", "-n", namespace.name
        )
        assert not binding.returncode, binding.stderr

    def may(role: str, verb: str, *options: str) -> str:
        who = ("--as", role, "-n", namespace.name)
        done = control_plane.kubectl("auth", "can-i", verb, "benchmarkruns.clipfarm.dev", *who, *options)
        return done.stdout.strip()

    # The controller that aggregates roles takes a moment.
    wait_until(lambda: may("admin", "create") == "yes", "roles to be aggregated")
    assert [(role, verb, may(role, verb)) for role, verb, _ in ROLES] == ROLES
    # Status is the operator's alone.
    assert may("admin", "patch", "--subresource=status") == "no"


def test_helm_test_finds_a_working_operator_and_says_what_is_wrong_with_one_that_is_not(
    control_plane: ControlPlane, release: Callable[..., Release], tmp_path: Path
):
    installed = release()
    hooks = installed.helm("get hooks").stdout
    [container] = yaml.safe_load(hooks)["spec"]["containers"]

    def run(address: str) -> subprocess.CompletedProcess[str]:
        # Its pod would be played; its command is run here, against the operator that is started here.
        command = [sys.executable, *container["command"][1:]]
        environment = {"OPERATOR": address, "LIMIT": "0" if address.endswith(":1") else "30"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    with Process(installed, Path(control_plane.kubeconfig).read_text(), tmp_path) as operator:
        done = run(operator.address())
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[0].startswith("/readyz: everything was read; ")
    done = run("http://127.0.0.1:1")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("http://127.0.0.1:1/readyz: ")


def test_probes_ask_where_the_operator_answers(
    control_plane: ControlPlane, release: Callable[..., Release], tmp_path: Path
):
    installed = release()
    [container] = installed.deployment()["spec"]["template"]["spec"]["containers"]
    with Process(installed, Path(control_plane.kubeconfig).read_text(), tmp_path) as operator:
        for probe in ("readinessProbe", "livenessProbe"):
            url = operator.address() + container[probe]["httpGet"]["path"]
            wait_until(lambda url=url: urllib3.request("GET", url, timeout=5).status == 200, url)
