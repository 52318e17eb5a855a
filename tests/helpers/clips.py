"""Run folders full of clips, written by the contract's own code and rendered by nothing."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from clipfarm_contract.completing import complete
from clipfarm_contract.experiment import Experiment
from clipfarm_contract.layout import Clip, RunFolder
from helpers.experiments import PUSH

ARENA = 4.2
"""Half the side of the floor, m."""


def phases(**clips: int) -> list[dict[str, Any]]:
    """Return phases with so many clips each; those whose name begins with B have little friction."""
    found, start = [], 0
    for name, count in clips.items():
        friction = {"min": 0.01, "max": 0.15} if name.startswith("B") else {"min": 0.5, "max": 0.9}
        ends = {"start": start, "end": start + count - 1}
        found.append({"name": name, "clips": ends, "friction": friction, "mass": {"min": 0.5, "max": 3}})
        start += count
    return found


def make_clips(
    root: Path, *, frames: int = 8, size: int = 48, pictures: bool = True, seed: int = 42, **clips: int
) -> RunFolder:
    """Write complete clips of a push on a floor with walls, each from its seed.

    Args:
        root: the run's folder.
        frames: of each clip, 30 a second.
        size: of a frame, pixels.
        pictures: whether clips have frames.
        seed: of the run.
        clips: number of clips of each phase, by its name.
    """
    run = RunFolder(root)
    scene = PUSH | {"frames": frames, "resolution": size, "preview": False, "phases": phases(**clips)}
    experiment = Experiment.from_json(json.dumps(scene))
    for phase in scene["phases"]:
        for index in range(phase["clips"]["start"], phase["clips"]["end"] + 1):
            attempt = Clip(run.attempt(index, "test"))
            attempt.actions.parent.mkdir(parents=True)
            truth, states = _draw(phase, frames, np.random.default_rng((seed, index)))
            actions = np.zeros((frames, 2), np.float32)
            actions[1] = truth["impulse"]["x"], truth["impulse"]["y"]
            np.save(attempt.actions, actions)
            np.save(attempt.states, states)
            attempt.ground_truth.write_text(json.dumps(truth | {"seed": {"run": seed, "index": index}}))
            if pictures:
                _paint(attempt, states, size, truth)
            complete(attempt.folder, run.clip(index), experiment.recipe(seed, index), {"frames": frames})
    return run


def give_features(clip: Clip, name: str, values: np.ndarray, **sidecar: Any) -> None:
    """Write features, (time steps, tokens, width), with their sidecar as an encoder does."""
    clip.features(name).parent.mkdir(exist_ok=True)
    flat = values.reshape(-1, values.shape[-1])
    np.save(clip.features(name), flat)
    described = {"model": name, "frames": 2 * len(values), "shape": list(flat.shape), "dtype": str(values.dtype)}
    clip.features_sidecar(name).write_text(json.dumps(described | sidecar))


def give_layers(clip: Clip, name: str, layers: Mapping[str, np.ndarray], **sidecar: Any) -> None:
    """Write a set with several layers, each (time steps, tokens, width)."""
    from safetensors.numpy import save_file

    path = clip.features(name).with_suffix(".safetensors")
    path.parent.mkdir(exist_ok=True)
    save_file({layer: values.reshape(-1, values.shape[-1]) for layer, values in layers.items()}, path)
    steps = len(next(iter(layers.values())))
    clip.features_sidecar(name).write_text(json.dumps({"model": name, "frames": 2 * steps} | sidecar))


def _draw(phase: Mapping[str, Any], frames: int, rng: np.random.Generator) -> tuple[dict[str, Any], np.ndarray]:
    """Return a clip's ground truth and states: a push slides until friction stops it, and walls throw it back."""
    friction, mass = (float(rng.uniform(*phase[name].values())) for name in ("friction", "mass"))
    magnitude, angle = float(rng.uniform(4, 8)), float(rng.uniform(0, 2 * math.pi))
    place, speed, direction = rng.uniform(-1, 1, 2), magnitude / mass, np.array([math.cos(angle), math.sin(angle)])
    states = []
    for frame in range(frames):
        states.append(place)
        if frame >= 1:
            place = place + direction * speed / 30
            direction = np.where(np.abs(place) > ARENA, -direction, direction)
            place, speed = place.clip(-ARENA, ARENA), max(0.0, speed - friction * 9.81 / 30)
    impulse = {"x": magnitude * direction[0], "y": magnitude * direction[1], "magnitude": magnitude, "atFrame": 1}
    thing = {"shape": "cube", "size": float(rng.uniform(1.1, 1.5)), "colour": rng.uniform(0, 1, 3).round(3).tolist()}
    truth = {"phase": phase["name"], "friction": friction, "mass": mass, "impulse": impulse, "object": thing}
    return truth, np.array(states, np.float32)


def _paint(clip: Clip, states: np.ndarray, size: int, truth: Mapping[str, Any]) -> None:
    clip.rgb.mkdir()
    colour = tuple(int(255 * part) for part in truth["object"]["colour"])
    for i, (x, y) in enumerate(states):
        picture = Image.new("RGB", (size, size), (170, 165, 155))
        draw = ImageDraw.Draw(picture)
        middle = size * (0.5 + x / 2.4 / ARENA), size * (0.5 - y / 2.4 / ARENA)
        half = size * truth["object"]["size"] / 5 / ARENA
        draw.rectangle((middle[0] - half, middle[1] - half, middle[0] + half, middle[1] + half), fill=colour)
        picture.save(clip.frame(i))
