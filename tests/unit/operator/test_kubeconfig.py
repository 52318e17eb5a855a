"""A kubeconfig that is none is said in one line."""

import asyncio

import pytest

from clipfarm.cluster.api.client import Api
from clipfarm.cluster.api.errors import NoClusterError

OTHER = "no cluster: the kubeconfig names no clusters, users and contexts"
UNREADABLE = "no cluster: the kubeconfig cannot be read: "


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", OTHER),
        (b"[1]", OTHER),
        (b"clusters: 3", OTHER),
        (b"a: [", UNREADABLE),
        (b"\xff\xfe\x00", UNREADABLE),
        (b"current-context: x", "no cluster: Invalid kube-config file."),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_no_cluster(tmp_path, monkeypatch, content, line):
    (tmp_path / "kubeconfig").write_bytes(content)
    where = "kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION"  # read when it is imported
    monkeypatch.setattr(where, str(tmp_path / "kubeconfig"))
    with pytest.raises(NoClusterError) as error:
        asyncio.run(Api.connect())
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)
