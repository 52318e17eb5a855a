"""Readings from values by the names and labels of NVIDIA's DCGM exporter, wherever they come from.

clipfarm's own agent serves the same names, and a few of its own; Prometheus hands on either.
"""

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from clipfarm.world import GpuId, Holder, Reading
from clipfarm_contract.result import MIB, MOST_MIB
from clipfarm_contract.text import printable

USED, FREE, RESERVED = "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_FB_RESERVED"
"""MiB each. The first two together are what may be allocated: what the driver keeps for itself is in neither."""
TOTAL = "DCGM_FI_DEV_FB_TOTAL"
"""MiB, the driver's part included; few exporters report it."""
AGE = "clipfarm_agent_reading_age_seconds"
"""Age of a GPU's values when they were reported; only the agent reports it."""
HOLDER = "clipfarm_agent_holder_bytes"
"""GPU memory that the user in the label ``holder`` has, NaN if unknown; only the agent reports it."""
PROBLEM = "clipfarm_agent_problem"
"""Its label ``problem`` says what the agent cannot read and why."""
NAMES = (USED, FREE, TOTAL, AGE, HOLDER, PROBLEM)

MOST_LINES, MOST_LINE = 4000, 8192
"""Of an answer. A node of 16 GPUs with 7 instances each has some 500 lines; the parser takes 0.1 ms a line."""
MOST_HOLDERS, MOST_TEXT = 20, 200
"""Of a GPU, the largest, and of what a source says: it ends up in the status of runs."""
MOST_APART = 60.0
"""Between values of one moment, seconds: Prometheus scrapes once a minute or more often."""
NUMBER = re.compile(r"[0-9]{1,4}")

NodeOf = Callable[[Mapping[str, str]], str]
"""Returns the node that a value's labels mean, or nothing where that cannot be told."""


class FormatError(ValueError):
    """The answer is not what it should be."""


@dataclass(frozen=True, slots=True)
class Value:
    """One number, by its name and labels."""

    name: str
    labels: Mapping[str, str]
    value: float
    age: float = 0.0
    """Seconds, if the intermediary reports it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The readings of one answer of a source."""

    readings: tuple[Reading, ...] = ()
    problem: str = ""
    """Why some of it, or all, is unknown."""


@dataclass
class _Gpu:
    """Values of one GPU."""

    values: dict[str, float] = field(default_factory=dict)
    age: float = 0.0
    holders: dict[str, float | None] = field(default_factory=dict)


def hostname(labels: Mapping[str, str]) -> str:
    """Return the node that the label ``Hostname`` names."""
    return labels.get("Hostname", "")


def parse(
    text: str,
    now: float,
    node_of: NodeOf = hostname,
    *,
    exporters: Collection[str] = (),
    wall: float | None = None,
    lag: float = 0.0,
) -> Answer:
    """Return the readings in an exporter's answer, in its order; what makes no sense is left out, never zero.

    Args:
        text: what ``/metrics`` answered.
        now: when it was asked, seconds on the reader's own clock: the exporter's says nothing here.
        node_of: which node a value belongs to.
        exporters: pods, as ``namespace/name``, that hold nothing though values have their names.
        wall: seconds since 1970, to tell the age of values that come with a time.
        lag: how much older values may be, seconds, whose age the exporter does not tell.

    Raises:
        FormatError: the text is no such answer.
    """
    return answer(_values(text, wall), now, node_of, exporters=exporters, lag=lag)


def answer(
    values: Iterable[Value], now: float, node_of: NodeOf, *, exporters: Collection[str] = (), lag: float = 0.0
) -> Answer:
    """Return the readings that values make; see :func:`parse`."""
    gpus: dict[GpuId, _Gpu] = {}
    problems: list[str] = []
    for value in values:
        if value.name == PROBLEM:
            problems.append(one_line(value.labels.get("problem", "")))
            continue
        gpu = _gpu(value.labels, node_of)
        if gpu is None:
            problems.append(_unplaced(value, node_of))
            continue
        _take(gpus.setdefault(gpu, _Gpu()), value, exporters)
    over = _over(gpus)
    readings = []
    for gpu, known in gpus.items():
        if gpu in over:
            continue
        reading = _reading(gpu, known, now, lag)
        if reading is None:
            problems.append(f"GPU {gpu.number}: no number, or nonsense, instead of used and free memory")
        else:
            readings.append(reading)
    return Answer(tuple(readings), problems[0] if problems else "")


def _over(gpus: Mapping[GpuId, _Gpu]) -> set[GpuId]:
    """Return GPUs that do not count: a whole one that is split, or instances of one that was split before."""
    wholes = {(gpu.node, gpu.uuid): gpu for gpu in gpus if not gpu.instance}
    parts: dict[GpuId, list[GpuId]] = {}
    for gpu in gpus:
        whole = wholes.get((gpu.node, gpu.uuid))
        if gpu.instance and whole is not None:
            parts.setdefault(whole, []).append(gpu)
    found: set[GpuId] = set()
    for whole, instances in parts.items():
        # Some exporters report a split GPU as a whole, too, and nothing can start on that. A Prometheus remembers.
        was_split = min(gpus[gpu].age for gpu in instances) > gpus[whole].age + MOST_APART
        found.update(instances if was_split else [whole])
    return found


def one_line(text: str) -> str:
    """Return a foreign text as one line of limited length without control characters."""
    return printable(" ".join(text[: 10 * MOST_TEXT].split()))[:MOST_TEXT]


def _values(text: str, wall: float | None) -> Iterator[Value]:
    lines = [line for line in text.split("\n") if line.startswith(NAMES)]
    if not lines:
        raise FormatError(f"no line of {USED} in the answer")
    if not text.endswith("\n"):
        raise FormatError("the answer ends in the middle of a line")
    if len(lines) > MOST_LINES or max(map(len, lines)) > MOST_LINE:
        raise FormatError(f"found {len(lines)} lines, expected at most {MOST_LINES}, of {MOST_LINE} characters")
    try:
        # Only the lines that are needed: an exporter reports much else, and the parser is slow.
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            for sample in family.samples:
                if sample.name in NAMES:
                    at = None if sample.timestamp is None else float(sample.timestamp)
                    if at is not None and not math.isfinite(at):
                        raise ValueError(f"a value of the time {at}")
                    age = 0.0 if wall is None or at is None else max(0.0, wall - at)
                    yield Value(sample.name, sample.labels, float(sample.value), age)
    except Exception as error:  # a foreign parser on foreign input: it may fail in any way
        raise FormatError(f"not in Prometheus' text format: {one_line(str(error))}") from error


def _gpu(labels: Mapping[str, str], node_of: NodeOf) -> GpuId | None:
    node, uuid = node_of(labels), labels.get("UUID", "")
    index, instance = labels.get("gpu", ""), labels.get("GPU_I_ID", "")
    if not (node and uuid and NUMBER.fullmatch(index) and NUMBER.fullmatch(instance or "0") and len(uuid) < MOST_TEXT):
        return None
    return GpuId(node, int(index), uuid, instance)


def _unplaced(value: Value, node_of: NodeOf) -> str:
    """Say why a value is no known GPU's."""
    host = one_line(hostname(value.labels))
    if host and not node_of(value.labels):
        return f"its label Hostname names {host}, which is no node of the cluster, and no other label names one"
    return f"{value.name} without a label that it needs: gpu, UUID, and one that names the node"


def _take(gpu: _Gpu, value: Value, exporters: Collection[str]) -> None:
    if value.name == HOLDER:
        gpu.holders[one_line(value.labels.get("holder", ""))] = None if math.isnan(value.value) else value.value / MIB
    elif value.name == AGE:
        gpu.values[AGE] = value.value
    else:
        # If pods share a GPU, it is reported once for each; if the values differ, the fuller one counts.
        gpu.values[value.name] = _fuller(value.name, value.value, gpu.values.get(value.name, value.value))
        gpu.age = max(gpu.age, value.age)
        pod = _pod(value.labels)
        if pod and pod not in exporters:
            gpu.holders.setdefault(one_line(pod), None)


def _fuller(name: str, one: float, other: float) -> float:
    if math.isnan(one) or math.isnan(other):
        return math.nan
    return min(one, other) if name == FREE else max(one, other)


def _pod(labels: Mapping[str, str]) -> str:
    """Return the pod that has a GPU; Prometheus may have put the exporter's own name in its place."""
    exported = "exported_" if "exported_pod" in labels else ""
    namespace, pod = labels.get(f"{exported}namespace", ""), labels.get(f"{exported}pod", "")
    if not pod or any("dcgm-exporter" in labels.get(f"{exported}{name}", "") for name in ("pod", "container")):
        return ""
    return f"{namespace}/{pod}" if namespace else pod


def _reading(gpu: GpuId, told: _Gpu, now: float, lag: float) -> Reading | None:
    used, free = told.values.get(USED), told.values.get(FREE)
    total, age = told.values.get(TOTAL), told.values.get(AGE, 0.0)
    if used is None or free is None or not (_sane(used) and _sane(free)) or used + free <= 0:
        return None
    if (total is not None and _sane(total) and used > total) or not (math.isfinite(age) and age >= 0):
        return None
    holders = tuple(Holder(name, mib) for name, mib in told.holders.items() if name)
    largest_first = tuple(sorted(holders, key=lambda holder: (-(holder.used_mib or 0.0), holder.name)))
    lag = 0.0 if AGE in told.values else lag
    return Reading(gpu, used, used + free, now - told.age - age, lag, largest_first[:MOST_HOLDERS])


def _sane(value: float) -> bool:
    # DCGM says that it knows nothing by huge numbers: 2^31 - 16, 2^47 or 2^63 - 16, by the field's type.
    return not math.isnan(value) and 0 <= value < MOST_MIB
