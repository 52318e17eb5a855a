"""Several operators over the same namespace: one acts, another takes over, and each clip is made once."""

import random
import signal
import time
from collections.abc import Callable

import urllib3

from helpers.cluster import Namespace
from helpers.local import wait_until
from helpers.operators import Operator, Runs, Witness

LEASES = "coordination.k8s.io/v1/leases"
CLIPS, WORKERS, KILLS = 200, 12, 10


def says(operator: Operator) -> str:
    """What an operator answers at /readyz; nothing if it does not serve yet, or no more."""
    try:
        return operator.http("/readyz")[1]
    except urllib3.exceptions.HTTPError:
        return ""


def leader(*operators: Operator) -> Operator | None:
    return next((each for each in operators if each.running and "leads" in says(each)), None)


def test_the_leader_is_killed_10_times_and_each_clip_is_made_once(
    start_operator: Callable[..., Operator], namespace: Namespace
):
    runs, chance = Runs(namespace), random.Random(3)
    # A short Lease, so that ten of them run out within the run.
    operators = [start_operator(namespace, "--lease-duration", 3, "--installation", "farm") for _ in range(2)]
    with Witness(namespace) as witness:
        runs.create(clips=CLIPS, workers=WORKERS, seconds="1-3")
        for _ in range(KILLS):
            acting = wait_until(lambda: leader(*operators), "an operator to lead")
            assert acting is not None
            other = next(each for each in operators if each is not acting)
            wait_until(lambda other=other: "stands by" in says(other), "the other one to stand by")
            time.sleep(chance.uniform(0.2, 1.5))  # the moment is what the test varies
            acting.kill()
            wait_until(lambda other=other: leader(other), "the other one to take over", 20)
            acting.start()
        status = runs.finished(limit=180)
        wait_until(lambda: sum(witness.started.values()) == CLIPS, "the witness to see everything")
    assert (status["phase"], status["rendered"], status["failed"]) == ("Succeeded", CLIPS, 0)
    assert runs.attempts() == dict.fromkeys(range(CLIPS), 1)
    assert witness.most <= WORKERS


def test_an_operator_that_is_asked_to_end_hands_over_at_once(
    start_operator: Callable[..., Operator], namespace: Namespace
):
    # Without the hand-over the other would have to wait for ten minutes.
    first = start_operator(namespace, "--lease-duration", 600, "--installation", "farm")
    wait_until(lambda: leader(first), "the first to lead")
    second = start_operator(namespace, "--lease-duration", 600, "--installation", "farm")
    wait_until(lambda: "stands by" in says(second), "the second to stand by")
    assert first.end(signal.SIGTERM) == 0
    wait_until(lambda: leader(second), "the second to take over", 20)


def test_one_that_stood_still_for_longer_than_its_lease_writes_nothing_any_more(
    start_operator: Callable[..., Operator], namespace: Namespace
):
    runs = Runs(namespace)
    first = start_operator(namespace, "--lease-duration", 2, "--installation", "farm")
    wait_until(lambda: leader(first), "the first to lead")
    runs.create(clips=CLIPS, workers=WORKERS, seconds="1-2")
    wait_until(lambda: runs.status().get("rendered", 0), "clips")
    second = start_operator(namespace, "--lease-duration", 2, "--installation", "farm")
    with Witness(namespace) as witness:
        first.send(signal.SIGSTOP)
        wait_until(lambda: leader(second), "the second to take over", 20)
        first.send(signal.SIGCONT)
        wait_until(lambda: "stands by" in says(first), "the first to see that it leads no more", 20)
        runs.finished(limit=120)
    assert runs.attempts() == dict.fromkeys(range(CLIPS), 1)
    assert witness.most <= WORKERS


def test_another_installation_over_the_same_namespace_waits_and_says_so(
    start_operator: Callable[..., Operator], namespace: Namespace
):
    runs = Runs(namespace)
    first = start_operator(namespace, "--installation", "one/clipfarm", "--encode-image", "one:1")
    wait_until(lambda: leader(first), "the first to lead")
    second = start_operator(namespace, "--installation", "two/clipfarm", "--encode-image", "two:2")

    def waits() -> bool:
        code, text = second.http("/readyz")
        return code == 503 and "another installation (one/clipfarm" in text

    wait_until(waits, "the second to say what it waits for")
    encode = {"enabled": True, "weights": {"source": "random"}}
    runs.create(clips=4, workers=2, seconds="1", encode=encode)
    wait_until(lambda: runs.status().get("rendered") == 4, "clips")
    deployments = namespace.list("apps/v1/deployments")
    assert [each["metadata"]["generation"] for each in deployments] != [], "the encoder is there"
    images = {each["spec"]["template"]["spec"]["containers"][0]["image"] for each in deployments}
    assert images == {"one:1"}
    assert second.log().count("another installation") == 1, "said once"
