"""What an operator has taken and done: of its process, of its metrics, and of the etcd that it writes to."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import urllib3

from helpers.operators import Operator

ALL, ROOT_KEY = "all", b"/registry/"


@dataclass(frozen=True)
class Etcd:
    """An etcd, by its own JSON gateway."""

    address: str

    def live_mib(self) -> dict[str, float]:
        """Return what the newest version of all keys takes, MiB: in all, and of each resource of Kubernetes'."""
        revision = self._ask("maintenance/status", {})["header"]["revision"]
        # Former versions are kept for some minutes: without them the size is that of what is there.
        self._ask("kv/compaction", {"revision": revision, "physical": True})
        found = {ALL: int(self._ask("maintenance/status", {})["dbSizeInUse"]) / 2**20}
        keys, end = ROOT_KEY, _after(ROOT_KEY)
        while True:
            page = self._ask("kv/range", {"key": _base64(keys), "range_end": _base64(end), "limit": 1000})
            for entry in page.get("kvs", ()):
                key = base64.b64decode(entry["key"])
                resource = key.decode().split("/")[2]
                size = len(key) + len(entry.get("value", "")) * 3 / 4
                found[resource] = found.get(resource, 0.0) + size / 2**20
            if not page.get("more"):
                return found
            keys = key + b"\0"

    def _ask(self, what: str, body: dict[str, Any]) -> Any:
        answer = urllib3.request("POST", f"{self.address}/v3/{what}", json=body, timeout=60)
        assert answer.status == 200, answer.data
        return answer.json()


def _base64(text: bytes) -> str:
    return base64.b64encode(text).decode()


def _after(prefix: bytes) -> bytes:
    """Return the first key behind all that begin with a prefix."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def stands(operator: Operator) -> str:
    """Return whether an operator ``leads`` or ``stands by``; empty if it does not answer."""
    try:
        text = operator.http("/readyz")[1]
    except urllib3.exceptions.HTTPError:
        return ""
    return next((each for each in ("leads", "stands by") if each in text), "")


def released(operator: Operator) -> float:
    """Return how many pods an operator has released since it was started; 0 if it does not answer."""
    try:
        text = operator.http("/metrics")[1]
    except urllib3.exceptions.HTTPError:
        return 0.0
    return sum(value for _, value in metric(text, "clipfarm_pods_released_total"))


@dataclass(frozen=True)
class Usage:
    """What an operator has taken since it was started."""

    peak_mib: float
    cpu_seconds: float

    @classmethod
    def of(cls, operator: Operator) -> "Usage":
        """Look at its process."""
        times = psutil.Process(operator.pid).cpu_times()
        status = Path(f"/proc/{operator.pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
        return cls(peak, times.user + times.system)


def metric(text: str, name: str) -> Iterator[tuple[str, float]]:
    """Yield labels and value of each line of a metric."""
    for line in text.splitlines():
        found = re.fullmatch(rf"{name}(\{{.*\}})? (\S+)", line)
        if found:
            yield found[1] or "", float(found[2])


def quantile(text: str, name: str, part: float) -> float:
    """Return a quantile of a histogram, between the bounds of its bucket as if values were spread evenly there."""
    buckets = [
        (float(re.search(r'le="([^"]+)"', labels)[1]), value)  # type: ignore[index]
        for labels, value in metric(text, f"{name}_bucket")
    ]
    wanted = part * buckets[-1][1]
    low, below = 0.0, 0.0
    for high, count in buckets:
        if count >= wanted:
            return low + (high - low) * (wanted - below) / max(1.0, count - below)
        low, below = high, count
    return low
