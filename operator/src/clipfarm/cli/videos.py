"""A run of videos on this machine: ``clipfarm encode`` with what the run file says."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from clipfarm.cli import needs
from clipfarm.cli.encode import PACKAGE
from clipfarm.cli.output import Sayer
from clipfarm.cli.set_lines import features_line
from clipfarm.run import Run
from clipfarm.source import Videos
from clipfarm.units import format_clips, format_count
from clipfarm_contract.layout import RunFolder


def describe(run: Run, videos: Videos, output: Path | None, console: Console) -> None:
    """Print what would be done."""
    say, encode = Sayer(console), run.spec.encode
    rate = "all their frames" if videos.frame_rate is None else f"{videos.frame_rate:g} frames a second"
    say(f"run {run.name}: clips of the videos in {videos.folder}; how many they give is known when they are listed")
    say(f"  {videos.frames} frames a clip, one every {videos.stride or videos.frames} frames; {rate}")
    there = RunFolder(output).clips() if output else []
    say(f"there already: {format_clips(len(there))}")
    for lacking in needs.missing(run):
        say(f"`clipfarm local` cannot do it here: {lacking.mistake}; {lacking.in_a_cluster}")
    source = encode.weights.source if encode.weights else "none"
    say(
        f"encoder: {encode.model}, weights {source}, batches of {encode.batch_size},"
        f" {format_count(encode.replicas, 'encoder')}"
    )
    for each in encode.sets:
        say(features_line(each, videos.frames, None))


def become_encode(run: Run, videos: Videos, output: Path) -> NoReturn:
    """Become the command that makes the clips of a run and encodes them; its exit codes are the run's."""
    # What begins with a dash would be an option.
    folder = str(Path(videos.folder).absolute()) if videos.folder.startswith("-") else videos.folder
    arguments = [folder, "--output", str(output), "--frames", str(videos.frames)]
    arguments += ["--stride", str(videos.stride)] if videos.stride else []
    arguments += videos.fps()
    arguments += ["--replicas", str(run.spec.encode.replicas), *run.spec.encode.options()]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", f"{PACKAGE}.videos", *arguments])  # noqa: S606 - a list of arguments
