"""Readings from metrics in the format of NVIDIA's DCGM exporter."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from clipfarm.world import GpuId, Reading

USED, FREE = "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE"
"""MiB each. Together they are what may be allocated: what the driver keeps for itself is in neither."""
BLANK = 2.0**62
"""What is above is a sentinel, as 9223372036854775794: DCGM's way to say that it knows nothing."""


class FormatError(ValueError):
    """The text is not in Prometheus' format."""


@dataclass(frozen=True, slots=True)
class Source:
    """Whose values: a GPU, or one instance of it."""

    node: str
    gpu: int
    uuid: str
    """With the number of the instance behind a slash, where there is one: instances share index and UUID."""


def parse(text: str, now: float, node: str = "") -> tuple[Reading, ...]:
    """Return the readings in an exporter's answer, in its order; what makes no sense is left out, never zero.

    Args:
        text: what ``/metrics`` answered.
        now: when that was, seconds on the reader's own clock: the exporter's says nothing here.
        node: the node that is meant where values have no label ``Hostname``.

    Raises:
        FormatError: the text is no such answer.
    """
    values: dict[Source, dict[str, float]] = {}
    for name, source, value in _samples(text, node):
        values.setdefault(source, {})[name] = value
    found = (_reading(source, values[source], now) for source in values)
    return tuple(reading for reading in found if reading is not None)


def _samples(text: str, node: str) -> Iterator[tuple[str, Source, float]]:
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = sample.labels
                host = labels.get("Hostname") or node
                if sample.name in (USED, FREE) and host and labels.get("gpu", "").isdecimal():
                    instance = labels.get("GPU_I_ID", "")
                    uuid = labels.get("UUID", "") + (f"/{instance}" if instance else "")
                    yield sample.name, Source(host, int(labels["gpu"]), uuid), sample.value
    except ValueError as error:
        raise FormatError(f"not in Prometheus' text format: {error}") from error


def _reading(source: Source, values: dict[str, float], now: float) -> Reading | None:
    used, free = values.get(USED), values.get(FREE)
    if used is None or free is None or not (_sane(used) and _sane(free)) or used + free <= 0:
        return None
    return Reading(GpuId(source.node, source.gpu, source.uuid), used, used + free, now)


def _sane(value: float) -> bool:
    return not math.isnan(value) and 0 <= value < BLANK
