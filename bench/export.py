"""How much memory an export takes, by its format and number of clips: make bench-export

Clips are written by the contract's own code and rendered by nothing, since only their number counts here. Each line is
JSON for bench/RESULTS.md:

- ``export_rss_mib``: largest resident set of ``clipfarm export``
- ``export_kib_per_clip``: what each further clip adds to it
- ``export_clips_per_second``: of small clips; most of the time of real ones goes into their videos
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from helpers.clips import make_clips

FORMATS = ("hf", "webdataset", "lerobot")


def main() -> None:
    """Write clips, export them in each format, and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, nargs=2, default=(2_000, 17_000), metavar=("FEW", "MANY"))
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--folder", type=Path, help="keep the clips here, and use those that are there")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="clipfarm-bench-"))
    try:
        runs = {count: _written(folder / str(count), count) for count in given.clips}
        for kind in given.formats:
            rss = {count: _exported(run, folder / "export", kind, count) for count, run in runs.items()}
            few, many = rss
            each = (rss[many] - rss[few]) * 1024 / (many - few)
            _tell("export_kib_per_clip", round(each, 2), better="lower", format=kind)
    finally:
        if not given.folder:
            shutil.rmtree(folder)


def _written(run: Path, clips: int) -> Path:
    if not (run / f"clip_{clips - 1:05}").exists():
        print(f"writing {clips} clips into {run}", file=sys.stderr)
        shutil.rmtree(run, ignore_errors=True)
        make_clips(run, frames=2, size=16, A=clips // 2, B=clips - clips // 2)
    return run


def _exported(run: Path, to: Path, kind: str, clips: int) -> float:
    """Export, report, and return the largest resident set, MiB."""
    shutil.rmtree(to, ignore_errors=True)
    command = [sys.executable, "-m", "clipfarm.cli.main", "export", run, to, "--format", kind, "--name", "a bench"]
    begun = time.monotonic()
    with subprocess.Popen([*command, "--license", "mit", "--previews", "0"], stdout=sys.stderr) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"clipfarm export ended with {process.returncode}")
    seconds, rss = time.monotonic() - begun, used.ru_maxrss / 1024
    _tell("export_rss_mib", round(rss, 1), better="lower", format=kind, clips=clips)
    _tell("export_clips_per_second", round(clips / seconds, 1), better="higher", format=kind, clips=clips)
    shutil.rmtree(to)
    return rss


def _tell(name: str, value: float, *, better: str, **more: object) -> None:
    print(json.dumps({"name": name, "value": value, "goal": None, "better": better, "spread": None} | more), flush=True)


if __name__ == "__main__":
    main()
