"""Exporters of GPU memory that a test plays on 127.0.0.1, and the pods by which an operator finds them."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from helpers.cluster import ApiError, Namespace
from helpers.local import wait_until

TOTAL_MIB = 16384.0


class Served:
    """Answers any request on 127.0.0.1 with :meth:`page`."""

    def __init__(self) -> None:
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = served.page()
                if page is None:
                    self.send_error(500)
                    return
                self.send_response(200)
                self.end_headers()
                self.wfile.write(page.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def page(self) -> str | None:
        """None: answer with an error."""
        raise NotImplementedError

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Exporter(Served):
    """Serves used memory of GPUs, of 16 GiB each, as NVIDIA's DCGM exporter does."""

    def __init__(self, *used: float, host: str = "dcgm-exporter") -> None:
        self.used: tuple[float, ...] | None = used
        """MiB; None: it answers with an error."""
        self.host = host
        """What it calls its node."""
        self.labels = ""
        """More labels, as ``,pod="a"``."""
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}/metrics"

    def page(self) -> str | None:
        if self.used is None:
            return None
        lines = []
        for gpu, used in enumerate(self.used):
            labels = f'{{gpu="{gpu}",UUID="GPU-{gpu}",Hostname="{self.host}"{self.labels}}}'
            lines.append(f"DCGM_FI_DEV_FB_USED{labels} {used}\nDCGM_FI_DEV_FB_FREE{labels} {TOTAL_MIB - used}\n")
        return "".join(lines)


class Prometheus(Served):
    """Answers a query for a range with one sample of GPU 0 of node-0, a quarter of it in use."""

    now = staticmethod(time.time)

    def __init__(self) -> None:
        self.stopped_at: float | None = None
        """When its last sample was taken; None: just now."""
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"

    def page(self) -> str:
        at, labels = self.stopped_at or self.now(), {"gpu": "0", "UUID": "GPU-0", "Hostname": "x", "node": "node-0"}
        values = {"USED": "4096", "FREE": "12288"}
        series = [
            {"metric": {"__name__": f"DCGM_FI_DEV_FB_{name}"} | labels, "values": [[at, value]]}
            for name, value in values.items()
        ]
        return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}})


def run_pod(namespace: Namespace, name: str, node: str, port: int, labels: dict[str, str]) -> None:
    """Make a pod that runs on a node and answers at a port of 127.0.0.1."""
    container = {"name": "exporter", "image": "exporter", "ports": [{"name": "metrics", "containerPort": port}]}
    namespace.create(
        "v1/pods",
        {"metadata": {"name": name, "labels": labels}, "spec": {"nodeName": node, "containers": [container]}},
    )
    wait_until(lambda: namespace.get("v1/pods", name)["status"]["phase"] == "Running", f"the pod {name} to run")
    address = {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    namespace.patch("v1/pods", name, "status", body={"status": address})


def end_pod(namespace: Namespace, name: str) -> None:
    """Delete a pod, and wait until it is gone."""
    namespace.delete("v1/pods", name)

    def gone() -> bool:
        try:
            namespace.get("v1/pods", name)
        except ApiError as error:
            return error.status == 404
        return False

    wait_until(gone, f"the pod {name} to be gone")
