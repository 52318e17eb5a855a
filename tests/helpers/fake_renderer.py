"""A renderer of a user's own that does what a test tells it, under the real supervisor.

FAKE_FOLDER holds ``<clip>.txt`` with one line an attempt (the last line serves all further ones), each a list of
words: ``ok``, ``exit N``, ``print TEXT-WITHOUT-SPACES``, ``wait FILE`` (until the file is there), ``sleep S``,
``paint`` (frames of noise). Clips without a file are ``ok``. Each attempt adds ``start CLIP PID GPU TIME`` and ``end
CLIP PID GPU TIME`` to ``log.txt``.
"""

import json
import os
import sys
import time
from pathlib import Path

folder, clip = Path(os.environ["FAKE_FOLDER"]), int(os.environ["CLIP_INDEX"])


def log(what):
    line = f"{what} {clip} {os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES', '-')} {time.time()}\n"
    with (folder / "log.txt").open("a") as file:
        file.write(line)


def attempts_before():
    lines = (folder / "log.txt").read_text().splitlines() if (folder / "log.txt").exists() else []
    return sum(line.startswith(f"start {clip} ") for line in lines)


def paint():
    import numpy as np
    from PIL import Image

    scene = json.loads(os.environ["CLIP_EXPERIMENT"])
    noise = np.random.default_rng(int(os.environ["CLIP_SEED"]))
    frames = Path(os.environ["CLIP_DIR"]) / "rgb"
    frames.mkdir()
    for i in range(scene["frames"]):
        pixels = noise.integers(0, 256, (scene["resolution"], scene["resolution"], 3), np.uint8)
        Image.fromarray(pixels).save(frames / f"frame_{i:05d}.png")


script = folder / f"{clip}.txt"
lines = script.read_text().splitlines() if script.exists() else ["ok"]
words = iter(lines[min(attempts_before(), len(lines) - 1)].split())
log("start")
target = Path(os.environ["CLIP_DIR"])
target.joinpath("seed.txt").write_text(os.environ["CLIP_SEED"])
code = 0
for word in words:
    if word == "exit":
        code = int(next(words))
    elif word == "print":
        print(next(words), flush=True)
    elif word == "sleep":
        time.sleep(float(next(words)))
    elif word == "paint":
        paint()
    elif word == "wait":
        awaited = folder / next(words)
        while not awaited.exists():
            time.sleep(0.02)
    else:
        assert word == "ok", word
log("end")
sys.exit(code)
