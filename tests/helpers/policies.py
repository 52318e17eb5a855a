"""Policies of a cluster, and whatever else keeps pods from being made or changed, in one namespace."""

import secrets
from contextlib import suppress

from helpers.cluster import ApiError, Namespace, Object

POLICIES = "admissionregistration.k8s.io/v1"


class Scene:
    """What keeps pods from being made in a test's namespace; all of it goes with the test."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace, self.name = namespace, f"refused-{secrets.token_hex(3)}"
        self._made: list[str] = []

    def make(self, resource: str, manifest: Object, *, inside: bool = False) -> str:
        api = self.namespace.api
        path = api.path(resource, self.namespace.name if inside else None)
        api.request("POST", path, {"metadata": {"name": self.name}} | manifest)
        self._made.append(f"{path}/{self.name}")
        return self._made[-1]

    def remove(self) -> None:
        for path in self._made:
            with suppress(ApiError):
                self.namespace.api.request("DELETE", path)
        self._made.clear()

    def policy(self, kind: str, resource: str, does: Object, binding: Object, on: str = "CREATE") -> None:
        """A policy in CEL for requests of one kind in this namespace alone."""
        here = {"matchLabels": {"kubernetes.io/metadata.name": self.namespace.name}}
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": [on], "resources": [resource]}
        matched = {"resourceRules": [rule], "namespaceSelector": here}
        self.make(f"{POLICIES}/{kind}admissionpolicies", {"spec": {"matchConstraints": matched, **does}})
        binding = {"spec": {"policyName": self.name, **binding}}
        self.make(f"{POLICIES}/{kind}admissionpolicybindings", binding)
