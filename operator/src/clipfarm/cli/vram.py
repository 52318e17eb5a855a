"""``clipfarm vram``: GPU memory, in a cluster or on this machine."""

import socket
import time
from typing import TYPE_CHECKING, Any

import click

from clipfarm.cli.options import fail

if TYPE_CHECKING:
    from clipfarm.cluster.reporting.vram import GpuRow


@click.command()
@click.option("-n", "--namespace", help="Namespace of the runs.  [default: that of the kubeconfig]")
@click.option("-A", "--all-namespaces", is_flag=True, help="Show the GPUs of runs in all namespaces.")
@click.option("--local", is_flag=True, help="Show this machine's GPUs, as its driver reports them.")
def vram(*, namespace: str | None, all_namespaces: bool, local: bool) -> None:
    """Show each GPU: its use, the age of the reading, whether it is open to new clips, claims, and who has the memory.

    A claim is memory that clips or encoders of a run will take and that no reading surely shows yet: run, clips,
    memory, and how long ago the first of them began.

    In the cluster of the current kubeconfig it shows the GPUs that unfinished runs may use. Of a run with more than 32
    it shows closed ones first, then unknown ones, then those with the most claims. With --local it shows the GPUs of
    this machine; closed means above 85 %, the default of vram.high.

    Exit code: 0, also without a GPU.
    """
    if sum((local, all_namespaces, namespace is not None)) > 1:
        fail("found more than one of --local, --all-namespaces and --namespace, expected one at most")
    if local:
        _show_local()
        return
    # Here, because it takes a second to import, and --help has no use for it.
    from clipfarm.cli.in_cluster import with_cluster
    from clipfarm.cluster.reporting.vram import gpu_rows, not_listed, unknown
    from clipfarm.run import API_VERSION

    async def work(api: Any, inside: str) -> int:
        path = f"/apis/{API_VERSION}" + ("" if all_namespaces else f"/namespaces/{inside}") + "/benchmarkruns"
        runs = [run async for page, _ in api.pages(path) for run in page]
        where = "any namespace" if all_namespaces else f"the namespace {inside}"
        elsewhere = "" if all_namespaces else "-A looks in all namespaces, "
        nothing = [f"no unfinished run in {where} reports a GPU; {elsewhere}--local shows this machine's"]
        nothing += unknown(runs)
        _show(gpu_rows(runs, time.time()), "\n".join(nothing))
        for line in not_listed(runs):
            click.echo(line)
        return 0

    with_cluster(work, namespace)


def _show_local() -> None:
    from clipfarm.cluster.reporting.vram import GpuRow
    from clipfarm.decide.vram.options import Vram
    from clipfarm.units import format_bytes
    from clipfarm.vram.nvml import NvmlSource
    from clipfarm.vram.users import holders_text
    from clipfarm_contract.result import MIB

    node, claims = socket.gethostname(), _local_claims()
    look = NvmlSource(node).look(time.monotonic())
    readings, marks = {reading.gpu: reading for reading in look.readings}, Vram()
    rows = []
    for gpu in look.gpus:
        reading = readings.get(gpu)
        if reading is None:
            rows.append(
                GpuRow(node, gpu.number, "unknown", "", None, False, claims.get(gpu.uuid, ""), "", look.problem)
            )
            continue
        rows.append(
            GpuRow(
                node,
                gpu.number,
                f"{reading.used_fraction:.0%}",
                format_bytes(reading.total_mib * MIB),
                max(0.0, time.monotonic() - reading.at),
                reading.used_fraction > marks.high,
                claims.get(gpu.uuid, ""),
                holders_text(reading.holders),
                "",
            )
        )
    _show(rows, f"no GPU here: {look.problem or 'the driver reports none'}")
    if look.problem and rows and all(not row.problem for row in rows):
        click.echo(look.problem)


def _local_claims() -> dict[str, str]:
    """Return what runs on this machine claim, by the GPU's UUID."""
    from clipfarm.cluster.reporting.vram import claims_text
    from clipfarm.local.claims import Claims, ClaimsError, young
    from clipfarm.units import format_bytes
    from clipfarm_contract.result import MIB

    files, now = Claims(), time.monotonic()
    try:
        with files.turn():
            found = young(files.others(), now)
    except ClaimsError as error:
        click.echo(f"claims are unknown: {error}")
        return {}
    return {
        uuid: claims_text(
            (
                each.run,
                each.clips,
                "unknown" if each.mib is None else format_bytes(each.mib * MIB),
                now - (each.since or now),
            )
            for each in claims
        )
        for uuid, claims in found.items()
    }


def _show(rows: "list[GpuRow]", nothing: str) -> None:
    if not rows:
        click.echo(nothing)
        return
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from clipfarm.units import format_duration

    table = Table(box=box.SIMPLE_HEAD)
    for title in ("NODE", "GPU"):
        table.add_column(title, no_wrap=True)
    for title in ("USE", "TOTAL", "AGE"):
        table.add_column(title, no_wrap=True, justify="right")
    table.add_column("GATE", no_wrap=True)
    table.add_column("CLAIMS", overflow="fold")
    table.add_column("WHO", overflow="fold")
    for row in rows:
        age = "" if row.age is None else format_duration(row.age)
        gate = "[red]closed[/]" if row.closed else "open"
        if row.age is None:
            gate = "[yellow]unknown[/]"
        table.add_row(
            *map(escape, (row.node, row.gpu, row.used, row.total, age)), gate, escape(row.claims), escape(row.who)
        )
    console = Console()
    console.print(table)
    for row in rows:
        if row.problem:
            console.print(
                f"GPU {row.gpu} on {row.node} is unknown: {row.problem}", markup=False, highlight=False, soft_wrap=True
            )
