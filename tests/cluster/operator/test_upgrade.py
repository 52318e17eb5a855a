"""Another version of the operator takes over runs that are in progress."""

from collections.abc import Callable

from helpers.cluster import Namespace
from helpers.local import wait_until
from helpers.operators import DEPLOYMENTS, Operator, Runs

NOTE = "clipfarm.dev/encode-spec"
ENCODE = {"enabled": True, "weights": {"source": "random"}}


def test_an_upgrade_changes_no_encoder_of_a_run_in_progress_unless_the_run_is_changed(
    start_operator: Callable[..., Operator], namespace: Namespace
):
    runs = Runs(namespace)

    def image() -> str:
        [deployment] = namespace.list(DEPLOYMENTS)
        return deployment["spec"]["template"]["spec"]["containers"][0]["image"]

    former = start_operator(namespace, "--encode-image", "encode:1")
    runs.create(clips=200, workers=1, seconds="1", encode=ENCODE)
    wait_until(lambda: namespace.list(DEPLOYMENTS), "an encoder")
    former.end()
    [before] = namespace.list(DEPLOYMENTS)
    rendered = runs.status()["rendered"]
    start_operator(namespace, "--encode-image", "encode:2")
    wait_until(lambda: runs.status()["rendered"] > rendered + 1, "the new operator to go on with the run")
    [after] = namespace.list(DEPLOYMENTS)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]

    # As an operator leaves it that keeps no note of what the run asked for.
    namespace.patch(DEPLOYMENTS, "run-encode", body={"metadata": {"annotations": {NOTE: None}}})
    wait_until(lambda: NOTE in namespace.get(DEPLOYMENTS, "run-encode")["metadata"]["annotations"], "a new note")
    assert image() == "encode:1"

    runs.patch(encode={"replicas": 2})
    wait_until(lambda: namespace.list(DEPLOYMENTS)[0]["spec"]["replicas"] == 2, "another encoder")
    assert image() == "encode:1"

    runs.patch(encode={"batchSize": 2})
    wait_until(lambda: image() == "encode:2", "encoders as the run asks for them now")
