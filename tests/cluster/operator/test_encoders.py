"""Encoders come with the first clip and go after the last: their pods are kwok's, what they answer is the test's."""

import json
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from clipfarm.manifests.encoder import PORT
from helpers.cluster import Namespace
from helpers.kubelet import end_pod
from helpers.local import wait_until
from helpers.operators import DEPLOYMENTS, PODS, Runs

ENCODE = {"encode": {"enabled": True, "weights": {"source": "random"}, "batchSize": 2}}


class Encoder:
    """Answers at /progress, at an address of this machine that is nobody else's."""

    def __init__(self) -> None:
        self.encoded, self.failures = 0, {}
        encoder = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(encoder.document()).encode())

            def log_message(self, *_: object) -> None:
                pass

        self.address = f"127.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}"
        self._server = ThreadingHTTPServer((self.address, PORT), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def document(self) -> dict[str, Any]:
        counts = dict.fromkeys(("found", "waiting", "encoding", "skipped"), 0)
        failures = [{"clip": f"clip_{clip:05}", "reason": reason} for clip, reason in self.failures.items()]
        return {"clips": counts | {"encoded": self.encoded, "failed": len(failures)}, "failures": failures}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def encoder() -> Iterator[Encoder]:
    made = Encoder()
    yield made
    made.close()


@pytest.fixture
def encoding(definition, driven: Namespace, start_operator) -> Runs:
    start_operator(driven, "--encoder-access", "direct")
    return Runs(driven)


def encoders(runs: Runs) -> list[dict[str, Any]]:
    return runs.namespace.pods("clipfarm.dev/role=encode")


def running_encoder(runs: Runs) -> dict[str, Any]:
    pods = wait_until(
        lambda: [pod for pod in encoders(runs) if pod["status"].get("phase") == "Running"], "an encoder's pod"
    )
    return pods[0]


def at(runs: Runs, pod: dict[str, Any], encoder: Encoder) -> None:
    """Let the pod be where the encoder answers."""
    address = {"status": {"podIP": encoder.address, "podIPs": [{"ip": encoder.address}]}}
    runs.namespace.patch(PODS, pod["metadata"]["name"], "status", body=address)


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
