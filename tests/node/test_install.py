"""What `helm install` says to do next, on a node where pods find services by their names."""

import subprocess

from helpers.cluster import Object, program
from helpers.node import OPERATOR, RELEASE, SYSTEM, Node, Place


def test_helm_test_finds_the_operator_by_its_service_and_is_told_that_it_goes_round(node: Node):
    command = [program("helm"), "test", RELEASE, "--namespace", SYSTEM, "--timeout", "2m"]
    done = subprocess.run([*command, "--kubeconfig", node.kubeconfig], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
    assert "Phase:          Succeeded" in done.stdout


def test_pods_find_services_by_their_short_and_long_names_and_no_others(place: Place):
    service: Object = {
        "metadata": {"name": "nobody"},
        "spec": {"selector": {"app": "nobody"}, "ports": [{"port": 80}]},
    }
    place.namespace.create("v1/services", service)
    names = [
        "kubernetes.default",
        f"{RELEASE}.{SYSTEM}.svc",
        f"{RELEASE}.{SYSTEM}.svc.cluster.local",
        "nobody",
        "no.such",
    ]
    code = f"""
import socket
for name in {names}:
    try:
        print(name, *sorted({{found[4][0] for found in socket.getaddrinfo(name, 8081, socket.AF_INET)}}))
    except socket.gaierror as error:
        print(name, error.strerror)
"""
    ended, said = place.once("asks", OPERATOR, ["python", "-c", code])
    assert ended["phase"] == "Succeeded", said
    operators = [pod for pod in place.node.api.request("GET", f"/api/v1/namespaces/{SYSTEM}/pods")["items"]
                 if pod["metadata"]["labels"].get("app.kubernetes.io/component") == "operator"]  # fmt: skip
    address = " ".join(sorted(pod["status"]["podIP"] for pod in operators))
    assert len(operators) == 2
    assert said.splitlines() == [
        "kubernetes.default 10.96.0.1",
        f"{names[1]} {address}",
        f"{names[2]} {address}",
        "nobody No address associated with hostname",
        "no.such Name or service not known",
    ]
