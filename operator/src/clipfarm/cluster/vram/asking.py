"""What one source answers: an exporter's page, or the samples of a Prometheus."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from clipfarm.cluster.vram.exporters import Exporters
from clipfarm.cluster.vram.scrape import ScrapeError, fetch
from clipfarm.cluster.vram.source import Source
from clipfarm.vram import dcgm, prometheus
from clipfarm.vram.dcgm import Answer, one_line

MOST_STRANGERS = 3
"""Names of hosts that are no nodes, and are shown."""
MOST_PROMETHEUS_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Question:
    """What all sources are asked for at one look."""

    now: float
    """The time, on the operator's own clock."""
    wall: float
    """The time, seconds since 1970."""
    nodes: Collection[str]
    """Those of the cluster; empty: unknown."""
    collect_seconds: float
    """How often exporters collect that do not report how old their values are."""


async def of_exporter(session: aiohttp.ClientSession, source: Source, question: Question) -> Answer:
    """Ask an exporter's pod, or an endpoint.

    Raises:
        ScrapeError: it gives no page.
        FormatError: the page is none of an exporter.
    """
    page = await fetch(session, source.url)
    exporter = {source.title.removeprefix("pod ")}
    node_of = (lambda _: source.node) if source.node else dcgm.hostname
    answer = dcgm.parse(
        page.text, question.now, node_of, exporters=exporter, wall=question.wall, lag=question.collect_seconds
    )
    answer = replace(answer, readings=source.lag.narrow(answer.readings))
    return _of_nodes(answer, question.nodes) if question.nodes and not source.node else answer


async def of_prometheus(
    session: aiohttp.ClientSession, address: str, token_file: Path | None, exporters: Exporters, question: Question
) -> Answer:
    """Ask a Prometheus.

    Args:
        session: to ask with.
        address: of the Prometheus.
        token_file: holds its bearer token; None: it takes none.
        exporters: whose pods its samples may be of.
        question: what is asked.

    Raises:
        ScrapeError: it gives no answer, or the token cannot be read.
        FormatError: the answer is none of a Prometheus.
    """
    try:
        token = token_file.read_text().strip() if token_file else None
    except (OSError, ValueError) as error:
        raise ScrapeError(f"{token_file}: {getattr(error, 'strerror', None) or error}") from error
    url = prometheus.query_url(address)
    headers = {"Authorization": f"Bearer {token}"} if token else None
    page = await fetch(session, url, most_bytes=MOST_PROMETHEUS_BYTES, headers=headers)
    node_of = prometheus.node_finder(question.nodes, exporters.places())
    pods = {pod.name for pod in exporters.pods()}
    # Samples have the time of the Prometheus' own clock; the operator's may be off.
    date = page.date or question.wall
    return prometheus.parse(page.text, question.now, node_of, wall=date, exporters=pods, lag=question.collect_seconds)


def _of_nodes(answer: Answer, nodes: Collection[str]) -> Answer:
    """Return an answer without readings of what is no node of the cluster, and name that."""
    strangers = sorted({reading.gpu.node for reading in answer.readings} - set(nodes))
    if not strangers:
        return answer
    named = one_line(", ".join(strangers[:MOST_STRANGERS]))
    problem = f"its label Hostname names {named}, which is no node of the cluster"
    return Answer(tuple(each for each in answer.readings if each.gpu.node in nodes), problem)
