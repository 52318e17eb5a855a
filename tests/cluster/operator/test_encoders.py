"""Encoders come with the first clip and go after the last: their pods are kwok's, what they answer is the test's."""

import json

import pytest

from helpers.cluster import Namespace
from helpers.encoder_pods import Encoder, at, encoders, running_encoder
from helpers.kubelet import end_pod
from helpers.local import wait_until
from helpers.operators import DEPLOYMENTS, JOBS, PODS, Runs

ENCODE = {"encode": {"enabled": True, "weights": {"source": "random"}, "batchSize": 2}}


@pytest.fixture
def encoding(definition, driven: Namespace, start_operator) -> Runs:
    start_operator(driven, "--encoder-access", "direct")
    return Runs(driven)


def test_encoders_run_from_the_first_clip_to_the_last_and_the_run_waits_for_them(encoding: Runs, encoder: Encoder):
    encoding.create(clips=3, workers=1, **ENCODE)
    [first] = encoding.running(1)
    assert not encoding.namespace.list(DEPLOYMENTS), "nothing to encode yet"
    end_pod(encoding.namespace, first["metadata"]["name"])
    pod = running_encoder(encoding)
    at(encoding, pod, encoder)
    encoder.encoded = 1
    wait_until(lambda: encoding.status()["encoded"] == 1, "the operator to hear of it")

    for clip in (1, 2):
        [worker] = encoding.running(1)
        end_pod(encoding.namespace, worker["metadata"]["name"])
        wait_until(lambda clip=clip: encoding.status()["rendered"] == clip + 1, "the clip to be counted")
    wait_until(lambda: encoding.status()["phase"] == "Encoding", "the run to wait for the encoder")
    assert encoding.condition("EncoderReady")["status"] == "True"
    encoder.encoded, encoder.failures = 2, {2: "rgb: frame_00003.png is torn"}
    status = encoding.finished()
    assert (status["phase"], status["encoded"], status["failed"]) == ("CompletedWithFailures", 2, 1)
    assert status["failures"] == [{"clips": "2", "stage": "encode", "reason": "rgb: frame_00003.png is torn"}]
    wait_until(lambda: not encoders(encoding), "the encoder to go")
    assert encoding.namespace.get(DEPLOYMENTS, "run-encode")["spec"]["replicas"] == 0


def test_a_feature_set_that_is_added_to_a_finished_run_is_made_without_rendering_anything(
    encoding: Runs, encoder: Encoder
):
    first, second = {"name": "frames", "context": "frame"}, {"name": "means", "pool": "space"}
    encoding.create(clips=1, workers=1, encode=ENCODE["encode"] | {"features": [first]})
    end_pod(encoding.namespace, encoding.running(1)[0]["metadata"]["name"])
    encoder.encoded, encoder.sets = 1, {"frames": 1}
    at(encoding, running_encoder(encoding), encoder)
    status = encoding.finished()
    assert (status["phase"], status["features"]) == ("Succeeded", [{"name": "frames", "encoded": 1}])
    wait_until(lambda: not encoders(encoding), "the encoder to go")
    [job] = encoding.namespace.list(JOBS, "clipfarm.dev/role=render")

    encoding.patch(encode={"features": [first, second]})
    pod = running_encoder(encoding)
    arguments = pod["spec"]["containers"][0]["args"]
    sets = json.loads(arguments[arguments.index("--features") + 1])
    assert [each["name"] for each in sets] == ["frames", "means"]
    at(encoding, pod, encoder)  # which still counts the first set alone, as one does that is about to be replaced
    asked = encoder.asked
    wait_until(lambda: encoder.asked > asked + 1, "it to be asked")
    status = encoding.status()
    assert (status["phase"], status["encoded"], status.get("completionTime")) == ("Encoding", 0, None)
    encoder.sets = {"frames": 1, "means": 1}
    status = encoding.finished()
    assert (status["phase"], status["encoded"]) == ("Succeeded", 1)
    assert status["features"] == [{"name": "frames", "encoded": 1}, {"name": "means", "encoded": 1}]
    assert encoding.namespace.list(JOBS, "clipfarm.dev/role=render") == [job], "nothing was rendered"


def test_an_encoder_that_says_nothing_holds_nothing_up(encoding: Runs, encoder: Encoder):
    encoding.create(clips=3, workers=3, **ENCODE)
    for pod in encoding.running(3):
        end_pod(encoding.namespace, pod["metadata"]["name"])
    pod = running_encoder(encoding)  # at an address of kwok's, where nobody answers
    wait_until(lambda: encoding.status()["rendered"] == 3, "clips to be counted")
    assert encoding.status()["phase"] == "Encoding"
    encoder.encoded = 3
    at(encoding, pod, encoder)
    assert encoding.finished()["phase"] == "Succeeded"


def test_weights_that_are_not_there_end_the_run_with_what_the_encoder_said(encoding: Runs):
    encoding.create(clips=1, **ENCODE)
    end_pod(encoding.namespace, encoding.running(1)[0]["metadata"]["name"])
    pod = running_encoder(encoding)
    ended = {"exitCode": 2, "reason": "Error", "message": "clipfarm-encode: vitl.pt: no such file"}
    statuses = [
        status | {"restartCount": 1, "lastState": {"terminated": ended}}
        for status in pod["status"]["containerStatuses"]
    ]
    body = {"status": {"containerStatuses": statuses}}
    encoding.namespace.patch(PODS, pod["metadata"]["name"], "status", body=body)
    status = encoding.finished()
    assert status["phase"] == "CompletedWithFailures"
    assert "vitl.pt: no such file" in encoding.condition("Ready")["message"]
    wait_until(lambda: not encoders(encoding), "the encoder to go")


def test_a_change_of_their_options_makes_encoders_anew(encoding: Runs):
    encoding.create(clips=2, workers=1, **ENCODE)
    end_pod(encoding.namespace, encoding.running(1)[0]["metadata"]["name"])
    running_encoder(encoding)
    encoding.patch(encode={"batchSize": 8, "replicas": 2})
    wait_until(lambda: len(encoders(encoding)) == 2, "two encoders")

    def arguments() -> list[str]:
        made = encoding.namespace.get(DEPLOYMENTS, "run-encode")
        return made["spec"]["template"]["spec"]["containers"][0]["args"]

    wait_until(lambda: arguments()[arguments().index("--batch-size") + 1] == "8", "the new batch size")
