"""``clipfarm encode``: other people's videos to features."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from clipfarm_contract import streams
from clipfarm_contract.cpus import available_cpus
from clipfarm_contract.excerpt import Cut
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.text import printable
from clipfarm_encode import asked
from clipfarm_encode.options import parser
from clipfarm_encode.videos.folder import OtherVideosError
from clipfarm_encode.videos.making import check, lines, make_clips

PROGRAM = "clipfarm encode"
FAILED, USAGE = 1, 2
OWN = (
    *("--data-dir", "--in-place", "--out-dir", "--watch", "--clips", "--seed", "--experiment", "--overwrite"),
    *("--videos", "--clip-frames", "--clip-stride", "--check"),
)
"""Options of the encoder that this command gives it, or that mean nothing for videos."""


@click.command(
    context_settings={
        "token_normalize_func": lambda name: name.replace("_", "-"),
        "help_option_names": ["-h", "--help"],
        "ignore_unknown_options": True,
    },
    epilog="Exit status: 0 every video has its features; 1 some video or clip has none, and its reason is printed; "
    "2 wrong usage, also of models and weights, before a video is cut; 128 + n ended by signal n.",
)
@click.argument("videos", type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the clips.")
@click.option("--frames", default=32, show_default=True, type=click.IntRange(1, 100_000), help="Frames of a clip.")
@click.option(
    "--stride",
    type=click.IntRange(1),
    help="Frames from the beginning of a clip to that of the video's next.  [default: --frames]",
)
@click.option(
    "--fps",
    type=click.FloatRange(0, 1000, min_open=True),
    help="Frames a second to take of each video.  [default: all its frames]",
)
@click.option(
    "--replicas",
    default=1,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Encoders that share the work and this machine's CPUs.",
)
@click.option(
    "--moved", is_flag=True, help="VIDEOS holds the videos of the clips in --output, which were elsewhere before."
)
@click.option("--no-encode", is_flag=True, help="Cut the videos and say what is wrong with them, and stop.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF CLIPFARM-ENCODE]")
def command(
    *,
    videos: Path,
    output: Path,
    frames: int,
    stride: int | None,
    fps: float | None,
    replicas: int,
    moved: bool,
    no_encode: bool,
    options: tuple[str, ...],
) -> int:
    """Turn VIDEOS into features: a file, or a folder with video files or folders of pictures, at any depth.

    Each video is cut into clips of --frames frames. OUTPUT/clip_00000/video.json says which frames of which video a
    clip has, and feature_maps/ has its features. Nothing is copied: the videos are read where they are. Run it again to
    continue, or after videos were added; on several machines at a time if they share both folders.

    All other options are those of clipfarm-encode: --model, --weights, --features, --crop-size and more.
    """
    if str(videos).startswith("-"):
        raise click.UsageError(f"found {videos} first, expected VIDEOS before any option of clipfarm-encode")
    asked.require_video_decoder()
    for each in options:
        if (name := each.partition("=")[0].replace("_", "-")) in OWN:
            raise click.UsageError(f"{name}: found an option of clipfarm-encode that {PROGRAM} gives it itself")
    if not no_encode:
        _check(options, frames)
    folder, cut = RunFolder(output.absolute()), Cut.asked(frames, stride, fps)
    try:
        check(videos, folder, cut, moved=moved)
        if not no_encode and (code := _load(options)):
            return code
        outcome = make_clips(videos, folder, cut, moved=moved)
    except OtherVideosError as error:
        raise click.UsageError(f"{error}, or add --moved if these are the same videos in another place") from None
    except ContractError as error:
        raise click.UsageError(str(error)) from None
    for line in lines(outcome, videos):
        _say(line)
    if not outcome.clips:
        return USAGE if not outcome.videos else FAILED
    folder.all_rendered.touch()
    code = 0 if no_encode else _encode(folder, replicas, options)
    return code or (FAILED if outcome.refused else 0)


def _check(options: tuple[str, ...], frames: int) -> None:
    """Check the encoder's options before videos are cut, without the models.

    Raises:
        UsageError: the encoder would refuse them.
    """
    with parser().make_context(PROGRAM, ["--data-dir", ".", "--in-place", *options]) as context:
        asked.check(asked.sets(context.params), frames, "--frames")


def _load(options: tuple[str, ...]) -> int:
    """Have an encoder load the models before videos are cut, and return its exit status; it prints what is wrong.

    In a process of its own, because this one needs no PyTorch.
    """
    command = [*_encoder(Path()), "--check", *options]
    return together([subprocess.run(command, check=False).returncode])


def _encoder(data_dir: Path) -> list[str]:
    """Return the command of an encoder that ends with this process, without what a person asked for."""
    own = ["--data-dir", str(data_dir), "--in-place", "--exit-with-parent", "--parent", str(os.getpid())]
    return [sys.executable, "-m", "clipfarm_encode", *own]


def _say(text: str) -> None:
    click.echo(f"{PROGRAM}: {printable(text)}", err=True)


def _encode(folder: RunFolder, replicas: int, options: tuple[str, ...]) -> int:
    """Run the encoders until all clips have their features, and return what their exit statuses come to.

    With several, each writes what it says into a file.
    """
    command = [*_encoder(folder.root), "--watch"]
    if replicas > 1 and not os.environ.get("OMP_NUM_THREADS", "").strip():
        command += ["--threads", str(max(1, available_cpus() // replicas))]
    if replicas == 1:
        whole = [*command, "--log-json", str(folder.encode_log()), *options]
        return together([subprocess.run(whole, check=False).returncode])
    (folder.state / "workers").mkdir(exist_ok=True)
    processes = []
    for number in range(replicas):
        log = folder.state / "workers" / f"encoder-{number}.log"
        with log.open("wb") as file:
            whole = [*command, "--log-json", str(folder.encode_log(number)), *options]
            processes.append((subprocess.Popen(whole, stdout=file, stderr=file), log))
    statuses = []
    for process, log in processes:
        status = process.wait()
        statuses.append(status)
        _say(f"{log.relative_to(folder.root)}: {_ended(status, log.read_text(errors='replace'))}")
    return together(statuses)


def _ended(status: int, printed: str) -> str:
    """Return how an encoder has ended: its last line says it, unless a signal kept it from writing one."""
    if status < 0:
        return f"killed by signal {-status}"
    return (printed.strip().splitlines() or [f"ended with {status}"])[-1]


def together(statuses: Sequence[int]) -> int:
    """Return what encoders that share the work come to: one that ends with 0 has seen every clip done.

    Args:
        statuses: of the processes; minus the signal's number if one was killed.
    """
    return min(128 - status if status < 0 else status for status in statuses)


def main() -> None:
    """Run the command, and end with its exit status; a mistake is one line."""
    streams.guard(PROGRAM)
    try:
        code = command.main(prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"{PROGRAM}: {printable(' '.join(error.format_message().split()))}", err=True)
        code = error.exit_code
    except OSError as error:
        click.echo(f"{PROGRAM}: {printable(f'{error.filename}: {error.strerror}')}", err=True)
        code = FAILED
    except (click.Abort, KeyboardInterrupt):
        code = 130
    sys.exit(code)
