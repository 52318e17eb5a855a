"""A control plane for tests, and a small client that speaks plain JSON."""

import copy
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from helpers.local import wait_until

COMMAND = Path(__file__).parents[2] / "tools" / "cluster" / "cluster"
Object = dict[str, Any]


def cluster(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command of tools/cluster/cluster to its end; status 2 means that something has to be installed first."""
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)


def build(*programs: str) -> None:
    """Build programs, by default those of a control plane, without a limit of time, and show how far it is.

    Why one cannot be built, where it cannot, is said by whoever needs it.
    """
    subprocess.run([COMMAND, "build", *programs], stdout=subprocess.DEVNULL, check=False)


@cache
def program(name: str) -> str:
    """Path of kubectl or helm, of the version that fits the control plane; built where it is not there yet."""
    done = cluster("build", name)
    assert not done.returncode, done.stderr
    return done.stdout.strip()


class ControlPlane:
    """One running control plane."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kubeconfig = self.status()["kubeconfig"]
        self.api = Api(self.kubeconfig)

    @classmethod
    def up(cls, name: str, *options: object) -> "ControlPlane":
        # Should this process be killed, whoever comes next can tell that nobody needs the cluster any more.
        done = cluster("up", "--name", name, "--wait", "--owner", os.getpid(), *options)
        if done.returncode:
            raise CannotStartError(done.returncode, done.stderr.strip())
        return cls(name)

    def status(self) -> Any:
        return json.loads(cluster("status", "--name", self.name, "--json").stdout)

    def restart(self, component: str, pause: float = 0.0) -> None:
        """Kill a component and start it again; returns when the API server is ready."""
        done = cluster("restart", "--name", self.name, component, "--pause", pause)
        assert not done.returncode, done.stderr

    def add_karpenter(self) -> None:
        """Start an autoscaler beside the control plane."""
        done = cluster("up", "--name", self.name, "--karpenter", "--owner", os.getpid())
        assert not done.returncode, done.stderr

    def kubectl(self, *arguments: object, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl as a user does; ``text`` is what ``-f -`` reads."""
        return subprocess.run(
            [program("kubectl"), "--kubeconfig", self.kubeconfig, *map(str, arguments)],
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def down(self) -> None:
        done = cluster("down", "--name", self.name)
        assert not done.returncode, done.stderr


class CannotStartError(Exception):
    """The control plane did not start."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.needs_installing = status == 2


class ApiError(Exception):
    """The API server refused; ``status`` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Api:
    """Requests to one API server. A resource is named by group, version and plural: ``v1/pods``, ``batch/v1/jobs``."""

    def __init__(self, kubeconfig: str) -> None:
        config = yaml.safe_load(Path(kubeconfig).read_text())
        self.server = config["clusters"][0]["cluster"]["server"]
        self._headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
        authority = Path(kubeconfig).with_name("pki") / "server.crt"
        self._pool = urllib3.PoolManager(ca_certs=str(authority), maxsize=20, retries=False)

    def path(self, resource: str, namespace: str | None = None, *rest: str) -> str:
        version, _, plural = resource.rpartition("/")
        scope = ["namespaces", namespace] if namespace else []
        return "/".join(["/api" if version == "v1" else "/apis", version, *scope, plural, *rest])

    def request(self, method: str, path: str, body: object = None, content: str = "application/json") -> Any:
        answer = self._pool.request(
            method,
            self.server + path,
            body=None if body is None else json.dumps(body),
            headers=self._headers | {"Content-Type": content},
            timeout=30,
        )
        found = json.loads(answer.data)
        if answer.status >= 400:
            raise ApiError(answer.status, found.get("message", ""))
        return found

    def with_token(self, token: str) -> "Api":
        """The same API server, asked by somebody else."""
        made = copy.copy(self)
        made._headers = {"Authorization": f"Bearer {token}"}
        return made

    def headers(self, path: str) -> Mapping[str, str]:
        """What the API server says about its answer to a GET, beside the answer."""
        return self._pool.request("GET", self.server + path, headers=self._headers, timeout=30).headers

    def watch(self, path: str) -> Iterator[Object]:
        """What there is, then what changes, until the server ends it after a minute or goes away."""
        answer = self._pool.request(
            "GET",
            f"{self.server}{path}{'&' if '?' in path else '?'}watch=1&timeoutSeconds=60",
            headers=self._headers,
            preload_content=False,
            timeout=urllib3.Timeout(connect=5, read=70),
        )
        with answer:
            if answer.status >= 400:
                raise ApiError(answer.status, answer.read().decode())
            rest = b""
            # Without an amount the parts come as the server sends them, and not when a buffer is full.
            for part in answer.read_chunked():
                *lines, rest = (rest + part).split(b"\n")
                yield from map(json.loads, lines)


@dataclass(frozen=True)
class Namespace:
    """The objects of one namespace."""

    api: Api
    name: str

    def create(self, resource: str, manifest: Object) -> Object:
        return self.api.request("POST", self.api.path(resource, self.name), manifest)

    def get(self, resource: str, name: str) -> Object:
        return self.api.request("GET", self.api.path(resource, self.name, name))

    def list(self, resource: str, labels: str = "") -> list[Object]:
        return self.api.request("GET", self.api.path(resource, self.name) + f"?labelSelector={labels}")["items"]

    def patch(self, resource: str, name: str, *rest: str, body: object, kind: str = "merge") -> Object:
        """A list is a JSON patch; ``kind`` "strategic" merges lists by their keys, for Kubernetes' own resources."""
        content = {"merge": "merge-patch", "strategic": "strategic-merge-patch"}[kind]
        if isinstance(body, list):
            content = "json-patch"
        return self.api.request(
            "PATCH", self.api.path(resource, self.name, name, *rest), body, f"application/{content}+json"
        )

    def label(self, labels: dict[str, str]) -> None:
        """Give the namespace itself labels."""
        content = "application/merge-patch+json"
        self.api.request("PATCH", f"/api/v1/namespaces/{self.name}", {"metadata": {"labels": labels}}, content)

    def delete(self, resource: str, name: str, policy: str = "Background") -> Object:
        path = self.api.path(resource, self.name, name)
        return self.api.request("DELETE", path, {"propagationPolicy": policy})

    def pods(self, labels: str = "") -> "list[Object]":
        return self.list("v1/pods", labels)


@contextmanager
def temporary_namespace(api: Api, name: str) -> Iterator[Namespace]:
    """Make a namespace, and delete it at the end."""
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    made = Namespace(api, name)
    wait_until(lambda: _has_account(made), "the namespace's default service account, without which no pod is taken")
    yield made
    api.request("DELETE", f"/api/v1/namespaces/{name}")


def _has_account(namespace: Namespace) -> bool:
    try:
        return bool(namespace.get("v1/serviceaccounts", "default"))
    except ApiError as error:
        if error.status != 404:
            raise
        return False


def started(name: str, *options: object) -> Iterator[ControlPlane]:
    """Yield a control plane, and end it; for fixtures. Without what it needs a test is skipped, or fails in CI."""
    try:
        yield ControlPlane.up(name, *options)
    except CannotStartError as error:
        if error.needs_installing and not os.environ.get("CI"):
            pytest.skip(str(error))
        pytest.fail(str(error))
    finally:
        cluster("down", "--name", name)
