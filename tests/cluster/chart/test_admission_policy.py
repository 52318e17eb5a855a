"""What the chart's admission policies let the operator's account do, and what they refuse: on a real API server."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clipfarm.cluster.acting.lost import failed_status
from clipfarm.cluster.observing.series import Series
from clipfarm.cluster.reporting.events import Notice, event
from clipfarm.manifests import encoder, export, job, report, run_files, storage
from clipfarm.manifests.common import Images, Owner
from helpers.cluster import Api, ApiError, ControlPlane, Namespace, Object
from helpers.local import wait_until
from helpers.operators import CLAIMS, DEPLOYMENTS, EVENTS, GATE, JOBS, PODS, RUNS, run_document
from helpers.releases import Release
from helpers.runs import make_run

CONFIG_MAPS, LEASES = "v1/configmaps", "coordination.k8s.io/v1/leases"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
ASKED = {"format": "hf", "license": "mit"}
RUN = make_run(4, storage={"size": "1Gi"}, encode={"weights": {"source": "random"}}, export=ASKED)


@dataclass
class Account:
    """The operator's account, in the namespace of a run."""

    api: Api
    namespace: Namespace

    def create(self, resource: str, body: Object, options: str = "") -> str:
        """Create an object; returns why that is refused, empty if it is not."""
        path = self.api.path(resource, self.namespace.name) + options
        return self._answer("POST", path, body, "application/json")

    def patch(self, resource: str, name: str, body: Any, *rest: str, options: str = "") -> str:
        kind = "application/json-patch+json" if isinstance(body, list) else "application/merge-patch+json"
        return self._answer("PATCH", self.api.path(resource, self.namespace.name, name, *rest) + options, body, kind)

    def delete(self, resource: str, *name: str, labels: str = "") -> str:
        path = self.api.path(resource, self.namespace.name, *name) + (f"?labelSelector={labels}" if labels else "")
        return self._answer("DELETE", path, None, "application/json")

    def _answer(self, method: str, path: str, body: Any, kind: str) -> str:
        try:
            self.api.request(method, path, body, kind)
        except ApiError as error:
            return error.message
        return ""


def changed(manifest: Object, path: str, value: Any) -> Object:
    """A copy with one field set; None: without it."""
    made = copy.deepcopy(manifest)
    *above, last = path.split("/")
    found: Any = made
    for part in above:
        found = found[int(part)] if isinstance(found, list) else found.setdefault(part, {})
    if value is None:
        del found[last]
    else:
        found[last] = value
    return made


OWNED, NOT_OWNED = "", "only what a BenchmarkRun owns"
POD = "spec/template/spec"
CONTAINER = f"{POD}/containers/0"


def volume(**source: Any) -> list[Object]:
    """The volumes of a Job as the operator makes it, and one more."""
    made = job.job(RUN, Owner("namespace", "uid", {}), Images(), 1)
    return [*made["spec"]["template"]["spec"]["volumes"], {"name": "more", **source}]


WORKLOADS: list[tuple[str, Any, str]] = [
    # what is changed in a Job as the operator makes it, and what is refused of it
    (f"{POD}/runtimeClassName", None, OWNED),
    ("metadata/ownerReferences", [], NOT_OWNED),
    ("metadata/ownerReferences/0/kind", "Job", NOT_OWNED),
    ("metadata/ownerReferences/0/controller", False, NOT_OWNED),
    (f"{CONTAINER}/securityContext", {"privileged": True}, "a container with privileges"),
    (f"{CONTAINER}/securityContext/allowPrivilegeEscalation", True, "a container with privileges"),
    (f"{CONTAINER}/securityContext/capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}, "with privileges"),
    (f"{CONTAINER}/securityContext/capabilities", {}, "with privileges"),
    (f"{CONTAINER}/securityContext/runAsUser", 0, "with privileges"),
    (f"{CONTAINER}/ports", [{"containerPort": 80, "hostPort": 80}], "a port of its node"),
    (f"{POD}/initContainers", [{"name": "a", "image": "a"}], "a container with privileges"),
    (f"{POD}/securityContext/runAsNonRoot", False, "a pod that may be root"),
    (f"{POD}/securityContext/seccompProfile", {"type": "Unconfined"}, "a pod that may be root"),
    (f"{POD}/hostNetwork", True, "shares its node's network"),
    (f"{POD}/hostPID", True, "shares its node's network"),
    (f"{POD}/hostIPC", True, "shares its node's network"),
    (f"{POD}/nodeName", "node-0", "names its node"),
    (f"{POD}/serviceAccountName", "admin", "a service account"),
    (f"{POD}/automountServiceAccountToken", True, "a service account or its token"),
    (f"{POD}/volumes", volume(hostPath={"path": "/"}), "another kind of volume"),
    (f"{POD}/volumes", volume(secret={"secretName": "a"}), "another kind of volume"),
    (f"{POD}/volumes", volume(projected={"sources": []}), "another kind of volume"),
    (f"{POD}/volumes", volume(configMap={"name": "a"}), OWNED),
    (f"{CONTAINER}/envFrom", [{"secretRef": {"name": "a"}}], "read from a Secret"),
    (f"{CONTAINER}/envFrom", [{"secretRef": {"name": "clipfarm-export-a"}}], "read from a Secret"),
    (f"{CONTAINER}/env", [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}], "from a Secret"),
    (f"{CONTAINER}/env", [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}], OWNED),
]  # fmt: skip


def test_the_operators_account_may_do_what_the_operator_does_and_nothing_else(
    control_plane: ControlPlane, namespace: Namespace, release: Callable[..., Release]
):
    installed = release()
    there = Account(control_plane.api.with_token(installed.token()), namespace)
    run = namespace.create(RUNS, run_document(RUN.name))
    owner = Owner(namespace.name, run["metadata"]["uid"], {})
    mine, images = job.job(RUN, owner, Images(), 1), Images()
    nobodys = changed(mine, "metadata/ownerReferences", [])
    wait_until(lambda: NOT_OWNED in there.create(JOBS, nobodys, "?dryRun=All"), "the policies to be followed")

    # Jobs, by dry runs: all rows have one name.
    for path, value, why in WORKLOADS:
        body = mine if value is None else changed(mine, path, value)
        said = there.create(JOBS, body, "?dryRun=All")
        assert (why in said) if why else not said, f"{path}: {value}: {said or 'taken'}"
    exports = export.job(RUN, owner, images)
    for name, why in (("clipfarm-export-a", ""), ("a", "read from a Secret")):
        body = changed(exports, f"{CONTAINER}/envFrom", [{"secretRef": {"name": name}}])
        said = there.create(JOBS, body, "?dryRun=All")
        assert (why in said) if why else not said, f"{name}: {said or 'taken'}"
    shown = changed(encoder.deployment(RUN, owner, images, 1), f"{POD}/hostPID", True)
    assert "shares its node" in there.create(DEPLOYMENTS, shown)

    # What belongs to others stays as it is.
    pod = {"metadata": {"name": "foreign"}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    namespace.create(PODS, pod)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod["spec"] | {"restartPolicy": "Never"}}
    namespace.create(JOBS, {"metadata": {"name": "foreign"}, "spec": {"suspend": True, "template": template}})
    note = {"metadata": {"annotations": {"clipfarm.dev/a": "b"}}}
    assert NOT_OWNED in there.patch(JOBS, "foreign", {"spec": {"parallelism": 2}})
    assert NOT_OWNED in there.delete(JOBS, "foreign")
    assert "only pods of a run's Job" in there.patch(PODS, "foreign", note)
    assert "only pods of a run's Job" in there.delete(PODS, "foreign")
    assert "by a dry run only" in there.create(PODS, changed(pod, "metadata/name", "another"))

    # What a run consists of is made, changed and deleted.
    claim = storage.claim(RUN, owner)
    assert claim is not None
    assert "that name their run" in there.create(CLAIMS, changed(claim, "metadata/labels", {}))
    assert "claims of new volumes" in there.create(CLAIMS, changed(claim, "spec/volumeName", "of-another"))
    for resource, made in [
        (CLAIMS, claim),
        (JOBS, mine),
        (DEPLOYMENTS, encoder.deployment(RUN, owner, images, 1)),
        (JOBS, report.job(RUN, owner, images, {}, "")),
        (JOBS, exports),
    ]:
        assert not there.create(resource, made), made["metadata"]["name"]
    files = run_files.config_map(RUN, owner)
    assert NOT_OWNED in there.create(CONFIG_MAPS, changed(files, "metadata/ownerReferences", []))
    assert not there.create(CONFIG_MAPS, files)
    assert not there.delete(CONFIG_MAPS, labels="clipfarm.dev/run=test")
    namespace.create(CONFIG_MAPS, {"metadata": {"name": "foreign", "labels": {"a": "b"}}})
    assert NOT_OWNED in there.delete(CONFIG_MAPS, labels="a=b")
    assert "whose an object is" in there.patch(JOBS, job.name(RUN), {"metadata": {"ownerReferences": []}})
    assert not there.patch(JOBS, job.name(RUN), {"spec": {"parallelism": 2}})
    privileged = [{"op": "replace", "path": f"/{CONTAINER}/securityContext", "value": {"privileged": True}}]
    assert "with privileges" in there.patch(DEPLOYMENTS, encoder.name(RUN), privileged)
    assert not there.patch(DEPLOYMENTS, encoder.name(RUN), {"spec": {"replicas": 2}})

    # Of its pods only the gate, the affinity and clipfarm's annotations; the two gates are the second pod's.
    labels = f"batch.kubernetes.io/job-name={job.name(RUN)}"
    name = wait_until(lambda: [each["metadata"]["name"] for each in namespace.pods(labels)], "a pod of the run")[0]
    for body, why in [
        ({"metadata": {"labels": {"a": "b"}}}, "no labels"),
        ({"metadata": {"finalizers": ["a/b"]}}, "finalizers"),
        ({"metadata": {"annotations": {"a": "b"}}}, "only its own annotations"),
        ({"metadata": {"annotations": {"batch.kubernetes.io/job-completion-index": None}}}, "only its own annotations"),
        ([{"op": "replace", "path": "/spec/containers/0/image", "value": "a"}], "only the affinity and its own gate"),
        ([{"op": "add", "path": "/spec/nodeSelector", "value": {"a": "b"}}], "only the affinity and its own gate"),
    ]:
        assert why in there.patch(PODS, name, body), body
    failed = failed_status("2026-01-01T00:00:00Z", "node-0")
    assert "only mark pods as failed" in there.patch(PODS, name, {"status": {"phase": "Succeeded"}}, "status")
    assert not there.patch(PODS, name, note)
    assert not there.patch(PODS, name, [{"op": "remove", "path": "/spec/schedulingGates"}], options="?dryRun=All")
    assert not there.patch(PODS, name, {"status": {"phase": failed["phase"]}}, "status")
    assert not there.delete(PODS, name)
    others = changed(mine, f"{POD}/schedulingGates", [{"name": "other/gate"}, {"name": GATE}])
    others = changed(changed(others, "metadata/name", "others"), "metadata/uid", "")
    namespace.create(JOBS, others)
    found = lambda: [each["metadata"]["name"] for each in namespace.pods("batch.kubernetes.io/job-name=others")]  # noqa: E731
    name = wait_until(found, "a pod with two gates")[0]
    first, second = ([{"op": "remove", "path": f"/spec/schedulingGates/{gate}"}] for gate in (0, 1))
    assert "its own gate" in there.patch(PODS, name, first)
    assert not there.patch(PODS, name, second)

    # Events, Leases, runs.
    told = event((namespace.name, RUN.name), owner.uid, Notice("Normal", "A", "b"), Series(0.0), 0.0)
    assert not there.create(EVENTS, told)
    about = changed(changed(told, "metadata/name", "a"), "involvedObject/kind", "Pod")
    assert "Events of BenchmarkRuns only" in there.create(EVENTS, about)
    assert "Leases clipfarm and" in Account(there.api, Namespace(there.api, "default")).create(
        LEASES, {"metadata": {"name": "other"}}
    )
    namespace.create(RUNS, run_document("brief", ttlAfterFinished="1h"))
    assert "spec.ttlAfterFinished" in there.delete(RUNS, RUN.name)
    assert not there.delete(RUNS, "brief")
    assert not there.delete(JOBS, job.name(RUN))

    # What it asks for is understood: a field that there is not would only be found when it is looked at.
    def complaints() -> list[Any] | None:
        ours = f"?labelSelector=app.kubernetes.io/instance={installed.name}"
        found = control_plane.api.request("GET", POLICIES + ours)
        checked = [each["status"].get("typeChecking") for each in found["items"] if "status" in each]
        return checked if len(checked) == 8 and None not in checked else None

    wait_until(complaints, "expressions to be checked")
    found = [each.get("expressionWarnings", []) for each in complaints() or ()]
    assert not any(found), found


def test_who_may_edit_a_namespace_cannot_take_the_lease_of_the_operators(
    control_plane: ControlPlane, namespace: Namespace, release: Callable[..., Release]
):
    release()
    namespace.create("v1/serviceaccounts", {"metadata": {"name": "tenant"}})
    bound = control_plane.kubectl(
        *("create", "rolebinding", "tenant", "-n", namespace.name, "--clusterrole=edit"),
        f"--serviceaccount={namespace.name}:tenant",
    )
    assert not bound.returncode, bound.stderr
    path = namespace.api.path("v1/serviceaccounts", namespace.name, "tenant", "token")
    token = namespace.api.request("POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"})
    tenant = Account(control_plane.api.with_token(token["status"]["token"]), namespace)
    labelled = {"metadata": {"name": "a", "labels": {"app.kubernetes.io/managed-by": "clipfarm"}}}
    refusal = "only by who may write the status of runs"
    wait_until(lambda: refusal in tenant.create(LEASES, labelled, "?dryRun=All"), "the policy to be followed")
    assert refusal in tenant.create(LEASES, {"metadata": {"name": "clipfarm"}})
    # Any other Lease is the tenant's own, until it is to look like an operator's.
    assert not tenant.create(LEASES, {"metadata": {"name": "a"}})
    assert refusal in tenant.patch(LEASES, "a", {"metadata": labelled["metadata"]})
    namespace.create(LEASES, {"metadata": {"name": "clipfarm"}})
    assert refusal in tenant.patch(LEASES, "clipfarm", {"spec": {"holderIdentity": "tenant"}})
    assert refusal in tenant.delete(LEASES, "clipfarm")
    namespace.delete(LEASES, "clipfarm")
