"""The rights that docs/operator.md lists are enough, and the operator asks for no others."""

from pathlib import Path

import pytest
import yaml

from helpers.cluster import ControlPlane, Namespace
from helpers.local import wait_until
from helpers.operators import DEPLOYMENTS, Operator, Runs, is_evicted, strand

DOCUMENT = Path(__file__).parents[3] / "docs" / "operator.md"


@pytest.fixture
def restricted(definition: ControlPlane, namespace: Namespace, tmp_path: Path) -> ControlPlane:
    """The control plane as a service account with those rights sees it."""
    role = yaml.safe_load(DOCUMENT.read_text().partition("```yaml\n")[2].partition("```")[0])
    name = f"clipfarm-{namespace.name}"
    role["metadata"]["name"] = name
    api = definition.api
    namespace.create("v1/serviceaccounts", {"metadata": {"name": "clipfarm"}})
    api.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", role)
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "clipfarm", "namespace": namespace.name}],
    }
    api.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    path = api.path("v1/serviceaccounts", namespace.name, "clipfarm", "token")
    token = api.request("POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
    config = yaml.safe_load(Path(definition.kubeconfig).read_text())
    config["users"][0]["user"] = {"token": token["status"]["token"]}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    made = ControlPlane.__new__(ControlPlane)
    made.kubeconfig = str(tmp_path / "kubeconfig")
    return made


def test_a_run_is_carried_out_with_the_rights_that_the_documentation_lists(
    restricted: ControlPlane, namespace: Namespace, tmp_path: Path
):
    operator = Operator(restricted, namespace, tmp_path).start()
    try:
        runs = Runs(namespace)
        runs.create(clips=4, ttlAfterFinished="1h", encode={"enabled": True, "weights": {"source": "random"}})
        runs.create("other", clips=4, ends={1: [1]})
        assert runs.finished("other")["failed"] == 1
        runs.create("stray", clips=1, suspend=True)
        stray = strand(runs, "stray")
        wait_until(lambda: is_evicted(runs, stray), "the pod to be evicted")
        runs.create("refused", clips=1, render={"pod": {"priorityClassName": "none"}})
        wait_until(lambda: runs.condition("Ready", "refused")["reason"] == "PodsRefused", "the refusal to be found")
        wait_until(lambda: runs.status()["phase"] == "Encoding", "all clips to be rendered")
        assert namespace.list(DEPLOYMENTS)
    finally:
        operator.end()
    assert "forbidden" not in operator.log()
    assert "WARNING" not in operator.log()
