import kopf
import pytest

from clipfarm.cluster.process.handlers import by_address

BY_NAME = kopf.ConnectionInfo(server="https://kubernetes.default.svc", token="token", default_namespace="here")


@pytest.mark.parametrize(
    ("environ", "server"),
    [
        ({"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "6443"}, "https://10.96.0.1:6443"),
        ({"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, "https://10.96.0.1:443"),
        ({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}, "https://[fd00::1]:443"),
        ({}, BY_NAME.server),
    ],
)
def test_the_api_server_is_found_without_dns(environ, server):
    found = by_address(BY_NAME, environ)
    assert (found.server, found.token, found.default_namespace) == (server, "token", "here")
