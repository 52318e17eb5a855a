"""The same values by way of a Prometheus, for clusters that allow nothing else."""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from clipfarm.vram.dcgm import HOLDER, NAMES, PROBLEM, Answer, FormatError, NodeOf, Value, answer
from clipfarm_contract.fields import load

RANGE_SECONDS = 300
"""How far back a value is looked for; what is older is gone. Prometheus' own default for instant queries."""
QUERY = f'{{__name__=~"{"|".join(NAMES)}"}}[{RANGE_SECONDS}s]'
"""A range, asked for at one instant: the answer has each sample with the time at which it was scraped. A plain instant
query has the time of the question in its place, and a source that died minutes ago would look fresh."""
PASSING, PASSING_SECONDS = (HOLDER, PROBLEM), 60.0
"""What comes and goes, and how old it may be."""
NODE_LABELS = ("Hostname", "node", "kubernetes_node", "exported_node", "instance")
"""Where a node's name is looked for, in this order."""


def query_url(url: str) -> str:
    """Return what to ask a Prometheus at an address for; it may have a path of its own, as behind a proxy."""
    return f"{url.rstrip('/')}/api/v1/query?{urlencode({'query': QUERY})}"


def parse(
    text: str, now: float, node_of: NodeOf, *, wall: float, exporters: Collection[str] = (), lag: float = 0.0
) -> Answer:
    """Return the newest readings in the answer to :data:`QUERY`.

    Args:
        text: the answer, JSON.
        now: when it was asked, seconds on the reader's own clock.
        node_of: which node a value belongs to.
        wall: when it was asked, seconds since 1970 as Prometheus counts them.
        exporters: see :func:`clipfarm.vram.dcgm.parse`.
        lag: see there.

    Raises:
        FormatError: it is no such answer.
    """
    try:
        found: Any = load(text, "the answer")
        if found["status"] != "success" or found["data"]["resultType"] != "matrix":
            raise FormatError(f"expected a matrix, found {str(found)[:100]}")
        values = list(_values(found["data"]["result"], wall))
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"not an answer of Prometheus': {error!r:.200}") from error
    if not values:
        raise FormatError(f"it knows of no {NAMES[0]} in the last {RANGE_SECONDS} s")
    return answer(values, now, node_of, exporters=exporters, lag=lag)


def node_finder(nodes: Collection[str], addresses: Mapping[str, str]) -> NodeOf:
    """Return a function that finds a value's node, by the first of :data:`NODE_LABELS` that names one.

    Args:
        nodes: the cluster's nodes.
        addresses: nodes by the addresses, and by the names, of the pods that report them: ``instance`` is an
            exporter's address, and older exporters put their pod's name into ``Hostname``.
    """

    def node_of(labels: Mapping[str, str]) -> str:
        for label in NODE_LABELS:
            text = labels.get(label, "")
            name = text.rpartition(":")[0].strip("[]") or text if label == "instance" else text
            if name in nodes:
                return name
            if name in addresses:
                return addresses[name]
        return ""

    return node_of


def _values(series: list[dict[str, Any]], wall: float) -> Iterator[Value]:
    newest: dict[tuple[str, ...], float] = {}
    told = []
    for each in series:
        labels = {str(name): str(text) for name, text in each["metric"].items()}
        at, value = map(float, each["values"][-1])
        if not math.isfinite(at):
            raise ValueError(f"a sample at the time {at}")
        told.append((labels, at, value))
        newest[_key(labels)] = max(at, newest.get(_key(labels), at))
    for labels, at, value in told:
        name, age = labels["__name__"], max(0.0, wall - at)
        # Of series that differ only in their source or their user, the newest counts: the others have ended.
        if at == newest[_key(labels)] and (name not in PASSING or age < PASSING_SECONDS):
            yield Value(name, labels, value, age)


def _key(labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in ("__name__", "UUID", "GPU_I_ID", "holder", "problem"))
