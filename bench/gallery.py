"""How long the gallery of a large run takes to make, and its page to open: make bench-gallery

Clips are written by the contract's own code and rendered by nothing. The last line is JSON for bench/RESULTS.md.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from helpers.browser import browser, opened
from helpers.clips import make_clips

RUNS = 5
"""Times that the page is opened, each in a fresh context; the median counts."""


def main() -> None:
    """Write clips, make their gallery, open it, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=17_000)
    parser.add_argument("--folder", type=Path, help="keep the clips here, and use those that are there")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="clipfarm-bench-"))
    try:
        if not (folder / "clip_00000").exists():
            print(f"writing {given.clips} clips into {folder}", file=sys.stderr)
            few = given.clips // 17
            make_clips(folder, frames=4, size=32, A1=given.clips - 2 * few, B=few, A2=few)
        made = _made(folder)
        print(json.dumps({"gallery_clips": given.clips, **made, **_opened(folder)}))
    finally:
        if not given.folder:
            shutil.rmtree(folder)


def _made(folder: Path) -> dict[str, float]:
    shutil.rmtree(folder / "gallery", ignore_errors=True)
    seconds = []
    for _ in range(2):  # the second time thumbnails are there
        begun = time.monotonic()
        subprocess.run([sys.executable, "-m", "clipfarm.cli.main", "gallery", folder], check=True, stdout=sys.stderr)
        seconds.append(round(time.monotonic() - begun, 1))
    size = (folder / "gallery" / "data" / "clips.js").stat().st_size
    return {
        "gallery_seconds": seconds[0],
        "gallery_again_seconds": seconds[1],
        "gallery_table_mb": round(size / 1e6, 2),
    }


def _opened(folder: Path) -> dict[str, float]:
    first, filtered, scrolled = [], [], []
    with browser() as chromium:
        for _ in range(RUNS):
            begun = time.monotonic()
            with opened(chromium, folder / "gallery") as page:
                page.wait_for_function("document.querySelector('.card img')?.complete")
                first.append(time.monotonic() - begun)
                begun = time.monotonic()
                page.locator("label.level", has_text="B").locator("input").check()
                page.wait_for_function("document.getElementById('count').textContent.includes(' of ')")
                filtered.append(time.monotonic() - begun)
                begun = time.monotonic()
                page.evaluate("scrollTo(0, document.body.scrollHeight)")
                page.wait_for_function(
                    "document.querySelector(`.card[data-row='${gallery.shown.at(-1)}'] img`)?.complete"
                )
                scrolled.append(time.monotonic() - begun)
    return {
        name: round(statistics.median(values), 2)
        for name, values in (
            ("gallery_open_seconds", first),
            ("gallery_filter_seconds", filtered),
            ("gallery_scroll_seconds", scrolled),
        )
    }


if __name__ == "__main__":
    main()
