"""A renderer of one's own: a disc that bounces in a box, drawn with Pillow.

It keeps clipfarm's contract: the task comes in environment variables, files go into CLIP_DIR, the same seed gives
the same bytes, the exit status is 0, or 1 with a reason. Run by `clipfarm local`, not by hand.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

RADIUS = 0.1


def main() -> int:
    """Draw the clip, and return the exit status."""
    folder, report = Path(os.environ["CLIP_DIR"]), Path(os.environ["CLIP_REPORT"])
    task = json.loads(os.environ["CLIP_EXPERIMENT"])
    rng = np.random.default_rng(int(os.environ["CLIP_SEED"]))
    frames, size, push = task["frames"], task["resolution"], task["impulse"]

    mass = rng.uniform(task["phase"]["mass"]["min"], task["phase"]["mass"]["max"])
    place, angle = rng.uniform(0.3, 0.7, 2), rng.uniform(0, 2 * np.pi)
    impulse = rng.uniform(push["min"], push["max"]) * np.array([np.cos(angle), np.sin(angle)])
    velocity, states, actions = np.zeros(2), [], np.zeros((frames, 2), np.float32)
    (folder / "rgb").mkdir()
    (folder / "actions_states").mkdir()
    for frame in range(frames):
        states.append(place.copy())
        picture = Image.new("RGB", (size, size), "ivory")
        (x, y), r = place * size, RADIUS * size
        ImageDraw.Draw(picture).ellipse((x - r, y - r, x + r, y + r), fill="firebrick")
        picture.save(folder / "rgb" / f"frame_{frame:05d}.png")
        if frame == push["atFrame"]:
            velocity, actions[frame] = impulse / mass / 10, impulse
        place = place + velocity / task["fps"]
        velocity = np.where((place < RADIUS) | (place > 1 - RADIUS), -velocity, velocity)
        place = place.clip(RADIUS, 1 - RADIUS)

    np.save(folder / "actions_states" / "actions.npy", actions)
    np.save(folder / "actions_states" / "ground_truth_states.npy", np.array(states, np.float32))
    (folder / "ground_truth.json").write_text(json.dumps({"phase": task["phase"]["name"], "mass": mass}))
    # A check of its own choosing: the values go into clip.json, a reason into the run's report.
    way = float(np.abs(np.diff(states, axis=0)).sum())
    reason = "" if way > 0.05 else f"way: the disc moves {way:.3f} of the picture's width, expected more than 0.05"
    report.write_text(json.dumps({"checks": {"way": round(way, 4)}, "reason": reason}))
    return 1 if reason else 0


sys.exit(main())
