"""Cycles' CUDA kernels for GPUs that are newer than Blender's own: ``python -m clipfarm_render.kernels``.

Blender 4.2 brings machine code up to sm_89 and PTX above it. A driver compiles that on one core for more than eight
minutes, for each new GPU, driver or container; OptiX needs these kernels too. ptxas does it once; what it makes lies
beside Blender's own kernels, where Cycles looks first. The same ptxas makes the same bytes of the same Blender.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import zstandard

from clipfarm_contract import streams
from clipfarm_contract.kernels import KernelError, folder, path_of

ARCHITECTURES = ("sm_90", "sm_100", "sm_120")
"""H100 and H200; B200; RTX 50 and RTX PRO Blackwell."""
LEVEL = 15
"""Of zstd: 5 MB a kernel. Higher ones take longer, and save little."""


def ptxas() -> Path:
    """Return NVIDIA's assembler: of the PATH, or of Triton, which brings it along.

    Raises:
        KernelError: there is none.
    """
    on_path = shutil.which("ptxas")
    if on_path:
        return Path(on_path)
    triton = importlib.util.find_spec("triton")
    if triton is not None and triton.origin is not None:
        bundled = Path(triton.origin).parent / "backends/nvidia/bin/ptxas"
        if bundled.exists():
            return bundled
    raise KernelError("found no ptxas on the PATH and no triton package; install CUDA's nvcc, or triton")


def compile_for(architecture: str, target: Path, assembler: Path) -> None:
    """Compile Blender's PTX for an architecture into a file; nine minutes of one core.

    Raises:
        KernelError: ptxas failed, or the file cannot be written.
    """
    sources = sorted(folder().glob("kernel_compute_*.ptx.zst"))
    if not sources:
        raise KernelError(f"{folder()}: found no kernel_compute_*.ptx.zst to compile")
    with tempfile.TemporaryDirectory(prefix="clipfarm-") as place:
        ptx, cubin = Path(place, "kernel.ptx"), Path(place, "kernel.cubin")
        packed = sources[-1].read_bytes()
        ptx.write_bytes(zstandard.ZstdDecompressor().decompressobj().decompress(packed))
        command = [str(assembler), "-arch", architecture, "-O3", str(ptx), "-o", str(cubin)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise KernelError(f"ptxas for {architecture} failed: {' '.join(done.stderr.split())[:300]}")
        _write(target, zstandard.ZstdCompressor(level=LEVEL).compress(cubin.read_bytes()))


def refuse_unwritable(target: Path) -> None:
    """Find out before nine minutes of work whether a file can be written.

    Raises:
        KernelError: it cannot.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise KernelError(
            f"{target.parent}: cannot be written ({error.strerror}), expected a folder that you may write to; kernels"
            " lie beside Blender's, so run it in a virtual environment of your own, or as the user who made this one"
        ) from error


def _write(target: Path, data: bytes) -> None:
    new = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(data)
        new.replace(target)
    except OSError as error:
        raise KernelError(f"{target}: cannot be written: {error.strerror}") from error
    finally:
        new.unlink(missing_ok=True)


@click.command(context_settings={"max_content_width": 110})
@click.argument("architectures", nargs=-1)
@click.option("--into", type=click.Path(path_type=Path), help="Another folder than that of Blender's own kernels.")
@click.option("--force", is_flag=True, help="Compile what is there already, too.")
def cli(architectures: Sequence[str], into: Path | None, force: bool) -> None:
    """Compile Cycles' kernels for ARCHITECTURES; by default sm_90, sm_100 and sm_120."""
    for architecture in architectures or ARCHITECTURES:
        target = path_of(architecture) if into is None else into / path_of(architecture).name
        if target.exists() and not force:
            click.echo(f"{architecture}: there already: {target}")
            continue
        refuse_unwritable(target)
        assembler = ptxas()
        click.echo(f"{architecture}: compiling for about nine minutes ...", err=True)
        started = time.monotonic()
        compile_for(architecture, target, assembler)
        size = target.stat().st_size / 1e6
        click.echo(f"{architecture}: {size:.1f} MB in {time.monotonic() - started:.0f} s: {target}")


def main() -> int:
    """Run the command line, and return the exit code."""
    streams.guard("kernels")
    try:
        cli.main(standalone_mode=False, prog_name="python -m clipfarm_render.kernels")
    except click.ClickException as error:
        problem = " ".join(error.format_message().split())
    except KernelError as error:
        problem = str(error)
    else:
        return 0
    click.echo(f"kernels: {problem}", err=True)
    return 2


if __name__ == "__main__":
    sys.exit(main())
