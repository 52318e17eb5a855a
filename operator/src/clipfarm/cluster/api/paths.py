"""Where objects are at the API server."""

from clipfarm.cluster.api.owners import RunKey
from clipfarm.run import API_VERSION


def run_path(key: RunKey) -> str:
    """Return the path of a run."""
    return f"/apis/{API_VERSION}/namespaces/{key[0]}/benchmarkruns/{key[1]}"
