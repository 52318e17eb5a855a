"""``clipfarm operator``: the operator of a cluster."""

import asyncio
import gc
import logging
import os
import secrets
import socket
import time

import click

from clipfarm.cli.options import fail, page_options
from clipfarm.cli.seconds import Seconds
from clipfarm.cli.vram_sources import Sources, vram_sources
from clipfarm.manifests.common import Images


@click.command()
@click.option("--namespace", "namespaces", multiple=True, help="Watch this namespace only; may be repeated.")
@click.option("--render-image", default=Images.render, show_default=True, help="Image of the renderers.")
@click.option("--encode-image", default=Images.encode, show_default=True, help="Image of the encoders.")
@click.option(
    "--operator-image", default=Images.operator, show_default=True, help="Image of the pods that write reports."
)
@click.option("--export-image", default=Images.export, show_default=True, help="Image of the pods that export runs.")
@vram_sources
@click.option(
    "--encoder-access",
    type=click.Choice(["auto", "direct", "proxy"]),
    default="auto",
    show_default=True,
    help="How to reach encoders: by their pods' addresses or through the API server; auto: by address in a cluster.",
)
@click.option(
    "--stuck-after",
    envvar="CLIPFARM_STUCK_AFTER",
    show_envvar=True,
    type=Seconds(min=0, max=1e9),
    default=60.0,
    show_default=True,
    help="Seconds that the node a pod was sent to may have no room for it, before the operator evicts it.",
)
@click.option(
    "--max-default-workers",
    envvar="CLIPFARM_MAX_DEFAULT_WORKERS",
    show_envvar=True,
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="The most workers of a run that leaves out spec.workers.",
)
@click.option(
    "--lease-namespace",
    envvar="CLIPFARM_LEASE_NAMESPACE",
    show_envvar=True,
    default="default",
    show_default=True,
    help="Namespace of the Lease of an operator of all namespaces; the same for all installations in the cluster.",
)
@click.option(
    "--lease-duration",
    envvar="CLIPFARM_LEASE_DURATION",
    show_envvar=True,
    type=Seconds(min=1, max=3600),
    default=15.0,
    show_default=True,
    help="Seconds without a renewal of the Lease after which another operator takes over.",
)
@click.option(
    "--installation",
    envvar="CLIPFARM_INSTALLATION",
    show_envvar=True,
    default=lambda: f"outside the cluster, on {socket.gethostname()}",
    show_default="this machine",
    help="Name of the installation that this operator is a replica of.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of /healthz, /readyz and /metrics.")
@click.option("--port", type=click.IntRange(0, 65535), default=8081, show_default=True, help="Their port; 0: any.")
@page_options
def operator(
    *,
    namespaces: tuple[str, ...],
    render_image: str,
    encode_image: str,
    operator_image: str,
    export_image: str,
    sources: Sources,
    encoder_access: str,
    stuck_after: float,
    max_default_workers: int,
    lease_namespace: str,
    lease_duration: float,
    installation: str,
    host: str,
    port: int,
    page_port: int | None,
    page_host: str,
) -> None:
    """Watch BenchmarkRuns and make their clips, in the cluster of the current kubeconfig or of this pod."""
    # Here, because they take a second to import, and other commands have no use for them.
    from clipfarm.cluster.api.client import Api
    from clipfarm.cluster.api.errors import NoClusterError
    from clipfarm.cluster.process.handlers import serve
    from clipfarm.cluster.process.lease import Lease
    from clipfarm.cluster.process.lease_record import Identity
    from clipfarm.cluster.process.operator import Operator

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # kopf logs two lines for each event of each object.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    logging.getLogger("kubernetes").setLevel(logging.ERROR)
    # That it runs in a thread is no news.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)

    async def run() -> None:
        # The Lease has a connection of its own: it is taken while nothing else may be written.
        async with await Api.connect() as api, await Api.connect() as lease_api:
            lease = Lease(
                lease_api,
                namespaces,
                lease_namespace,
                Identity(_holder(), installation),
                time.monotonic,
                time.time,
                lease_duration,
            )
            api.write_seconds = lease.write_seconds
            way = ("direct" if api.inside else "proxy") if encoder_access == "auto" else encoder_access
            images = Images(render_image, encode_image, operator_image, export_image)
            made = Operator(
                api,
                images,
                namespaces,
                sources.gpus(api.namespace, everywhere=not namespaces),
                "direct" if way == "direct" else "proxy",
                lease=lease,
                patience=stuck_after,
                max_default_workers=max_default_workers,
            )
            await serve(made, host, port, None if page_port is None else (page_host, page_port))

    # Pods and GPUs of a fleet are some hundred thousand objects without cycles, and looking for cycles among them took
    # a third of each tick.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    try:
        asyncio.run(run())
    except NoClusterError as error:
        fail(str(error))


def _holder() -> str:
    """Return a name for this process, which a container that is started again in the same pod keeps."""
    pod, uid = os.environ.get("POD_NAME", ""), os.environ.get("POD_UID", "")
    return f"{pod}_{uid}" if pod and uid else f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(4)}"
