"""``clipfarm gpu prepare``: compile kernels before the first clip needs them."""

import subprocess
import sys

import click

from clipfarm.cli.options import fail
from clipfarm.cli.suggesting import Suggesting


@click.group(cls=Suggesting)
def gpu() -> None:
    """Prepare GPUs."""


@gpu.command()
@click.argument("architectures", nargs=-1)
def prepare(*, architectures: tuple[str, ...]) -> None:
    """Compile Cycles' kernels for ARCHITECTURES such as sm_90; by default for the GPUs of this machine.

    Each takes about nine minutes of one core, once for each version of Blender. Without it, a GPU that is newer than
    Blender's own kernels (sm_89) compiles them when its first clip starts, which takes longer.
    """
    from clipfarm.doctor import GpuError, architectures_here

    try:
        chosen = architectures or architectures_here()
    except GpuError as problem:
        fail(f"{problem}; name architectures, such as sm_90 for an H100")
    raise SystemExit(subprocess.run([sys.executable, "-m", "clipfarm_render.kernels", *chosen], check=False).returncode)
