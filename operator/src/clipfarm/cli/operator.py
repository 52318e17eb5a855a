"""``clipfarm operator``: the operator of a cluster."""

import click

from clipfarm.manifests.common import Images


@click.command()
@click.option("--namespace", "namespaces", multiple=True, help="Look at this namespace alone; may be given again.")
@click.option("--render-image", default=Images.render, show_default=True, help="Image of the renderers.")
@click.option("--encode-image", default=Images.encode, show_default=True, help="Image of the encoders.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of /healthz and /metrics.")
@click.option("--port", type=click.IntRange(0, 65535), default=8081, show_default=True, help="Their port.")
def operator(*, namespaces: tuple[str, ...], render_image: str, encode_image: str, host: str, port: int) -> None:
    """Watch BenchmarkRuns and make their clips, in the cluster of the current kubeconfig or of this pod."""
    # Here, because it takes a second to import, and other commands have no use for it.
    from clipfarm.cluster.handlers import serve

    serve(Images(render_image, encode_image), namespaces, host, port)
