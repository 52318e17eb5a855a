"""``/metrics`` and ``/progress``: the encoder's state over HTTP.

``/metrics`` is Prometheus' text format, made from the same numbers as ``/progress``
(:mod:`clipfarm_encode.reporting.progress`) when it is asked for.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from clipfarm_encode.reporting.progress import Reporter
from clipfarm_encode.reporting.tally import STAGES


class ProgressCollector(Collector):
    """The encoder's numbers as Prometheus' metrics."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, as of now."""
        document = self._reporter.document()
        counts = document["clips"]
        clips = GaugeMetricFamily("clipfarm_encode_clips", "Clips by what has become of them.", labels=["state"])
        for state, value in (
            ("waiting", counts["waiting"]),
            ("encoding", counts["encoding"]),
            ("done", counts["encoded"] + counts["skipped"]),
            ("failed", counts["failed"]),
        ):
            clips.add_metric([state], value)
        yield clips
        yield self._sets(document)
        yield CounterMetricFamily(
            "clipfarm_encode_encoded", "Clips that this encoder has written features of.", value=counts["encoded"]
        )
        seconds = CounterMetricFamily(
            "clipfarm_encode_stage_seconds",
            "Time by stage; decoders, devices and savers work side by side.",
            labels=["stage"],
        )
        for stage in STAGES:
            seconds.add_metric([stage], document["seconds"][stage])
        yield seconds
        yield from self._devices()

    def _sets(self, document: Mapping[str, Any]) -> Metric:
        family = GaugeMetricFamily(
            "clipfarm_encode_set_clips",
            "Clips of each feature set, by what has become of them.",
            labels=["set", "state"],
        )
        for each in document["sets"]:
            counts = each["clips"]
            for state in ("waiting", "encoding", "failed"):
                family.add_metric([each["name"], state], counts[state])
            family.add_metric([each["name"], "done"], counts["encoded"] + counts["skipped"])
        return family

    def _devices(self) -> Iterator[Metric]:
        size = GaugeMetricFamily("clipfarm_encode_batch_size", "Clips in the last batch.", labels=["device"])
        tokens = CounterMetricFamily("clipfarm_encode_tokens", "Tokens computed.", labels=["device"])
        busy = CounterMetricFamily("clipfarm_encode_busy_seconds", "Time spent computing.", labels=["device"])
        held = GaugeMetricFamily("clipfarm_encode_memory_held_bytes", "VRAM held, cache included.", labels=["device"])
        utilisation = GaugeMetricFamily(
            "clipfarm_encode_model_flop_utilisation",
            "Share of the device's peak that the model's matrix products reached; absent where the peak is not known.",
            labels=["device"],
        )
        for device in self._reporter.devices:
            size.add_metric([device.name], device.batch_size)
            tokens.add_metric([device.name], device.tokens)
            busy.add_metric([device.name], device.seconds)
            held.add_metric([device.name], device.held())
            if device.utilisation is not None:
                utilisation.add_metric([device.name], device.utilisation)
        yield from (size, tokens, busy, held, utilisation)


class Server:
    """Answers until the process ends."""

    def __init__(self, reporter: Reporter, host: str, port: int) -> None:
        """Listen, and answer in a thread.

        Args:
            port: 0 for any that is free.

        Raises:
            OSError: the port cannot be had.
        """
        registry = CollectorRegistry()
        registry.register(ProgressCollector(reporter))
        pages: dict[str, tuple[str, Callable[[], bytes]]] = {
            "/metrics": (CONTENT_TYPE_LATEST, lambda: generate_latest(registry)),
            "/progress": ("application/json", lambda: _json(reporter.document())),
        }

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0])
                if page is None:
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                kind, body = page[0], page[1]()
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  inherited
                """Say nothing: every scrape would be a line."""

        self._http = ThreadingHTTPServer((host, port), Handler)
        self._http.daemon_threads = True
        self.port: int = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.1,), name="http", daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        self._http.shutdown()
        self._http.server_close()


def _json(document: object) -> bytes:
    """Return a document in as few bytes as it takes; what is no character, as in a file's name, is escaped."""
    return json.dumps(document, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
