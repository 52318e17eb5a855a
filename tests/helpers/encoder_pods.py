"""An encoder as the operator sees it: a pod of kwok's, and what the test has it answer at /progress."""

import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from clipfarm.manifests.encoder import PORT
from helpers.cluster import Object
from helpers.local import wait_until
from helpers.operators import PODS, Runs


class Encoder:
    """Answers at /progress, at an address of this machine that is nobody else's."""

    def __init__(self) -> None:
        self.encoded, self.failures = 0, {}
        self.sets: dict[str, int] = {}
        """Clips of each feature set that it makes; empty: it reports none, as earlier versions do."""
        self.body: bytes | None = None
        """What it answers in the place of its document."""
        self.asked = 0
        encoder = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                encoder.asked += 1
                self.wfile.write(encoder.body or json.dumps(encoder.document()).encode())

            def log_message(self, *_: object) -> None:
                pass

        self.address = f"127.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}.{secrets.randbelow(250) + 1}"
        self._server = ThreadingHTTPServer((self.address, PORT), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def document(self) -> dict[str, Any]:
        counts = dict.fromkeys(("found", "waiting", "encoding", "skipped"), 0)
        failures = [{"clip": f"clip_{clip:05}", "reason": reason} for clip, reason in self.failures.items()]
        sets = [{"name": name, "clips": counts | {"encoded": done, "failed": 0}} for name, done in self.sets.items()]
        return {
            "sets": sets,
            "clips": counts | {"encoded": self.encoded, "failed": len(failures)},
            "failures": failures,
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def encoders(runs: Runs) -> list[Object]:
    return runs.namespace.pods("clipfarm.dev/role=encode")


def running_encoder(runs: Runs) -> Object:
    pods = wait_until(
        lambda: [pod for pod in encoders(runs) if pod["status"].get("phase") == "Running"], "an encoder's pod"
    )
    return pods[0]


def at(runs: Runs, pod: Object, encoder: Encoder) -> None:
    """Let the pod be where the encoder answers."""
    address = {"status": {"podIP": encoder.address, "podIPs": [{"ip": encoder.address}]}}
    runs.namespace.patch(PODS, pod["metadata"]["name"], "status", body=address)
