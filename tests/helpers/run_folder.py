"""A run's folder as clipfarm makes it, in milliseconds: clips are drawn, and completed by the contract's own code."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from clipfarm_contract.clip import ClipManifest, FileEntry
from clipfarm_contract.completing import complete
from clipfarm_contract.experiment import Experiment
from clipfarm_contract.extraction import layer_key
from clipfarm_contract.features import frames_sha256
from clipfarm_contract.layout import Clip, RunFolder
from helpers.experiments import PUSH

FRAMES, SIZE, SEED = 18, 32, 42
"""18 frames: one more key frame than at the beginning, and the last group of frames is not whole."""
FEATURES = "vjepa2_tiny16"


def experiment(clips: int, **scene: Any) -> Experiment:
    """Return an experiment of two phases, the second with a name that no file should have."""
    ranges = {"friction": {"min": 0.5, "max": 0.9}, "mass": {"min": 0.5, "max": 3}}
    half = (clips + 1) // 2
    phases = [
        {"name": "A1", "clips": {"start": 0, "end": half - 1}, **ranges},
        {"name": "slippery floor", "clips": {"start": half, "end": clips - 1}, **ranges},
    ]
    document = PUSH | {"frames": FRAMES, "resolution": SIZE, "samplesPerPixel": 4, "phases": phases} | scene
    return Experiment.from_json(json.dumps(document))


def make_run(
    root: Path, clips: int = 6, *, features: bool = False, states: bool = True, bodies: int = 1, **scene: Any
) -> RunFolder:
    """Write a run's folder.

    Args:
        root: where.
        clips: how many.
        features: whether they have a feature set.
        states: whether they have states.
        bodies: whose states they are; those of several are (frames, bodies, 13), as experiments with several have them.
        scene: fields in place of those of the experiment.
    """
    run, what = RunFolder(root), experiment(clips, **scene)
    for index in range(clips):
        make_clip(run, index, what, states=states, bodies=bodies)
        if features:
            give_features(run.clip(index))
    return run


def make_clip(run: RunFolder, index: int, what: Experiment, *, states: bool = True, bodies: int = 1) -> Clip:
    """Write a complete clip: a square that slides over a still picture."""
    recipe, rng = what.recipe(SEED, index), np.random.default_rng(index)
    frames, size = recipe.picture.frames, recipe.picture.resolution
    attempt = Clip(run.attempt(index, "made"))
    attempt.rgb.mkdir(parents=True)
    attempt.actions.parent.mkdir()
    still = np.random.default_rng(0).integers(90, 110, (size, size, 3), np.uint8)
    places = np.cumsum(rng.uniform(0, 0.1, (frames, 2)), axis=0).astype(np.float32)
    actions = np.zeros((frames, 2), np.float32)
    actions[1] = rng.uniform(1, 2, 2)
    colour = rng.integers(0, 256, 3, np.uint8)
    for i, (x, y) in enumerate(places):
        picture = still.copy()
        left, top = int(x * size) % (size - 8), int(y * size) % (size - 8)
        picture[top : top + 8, left : left + 8] = colour
        Image.fromarray(picture).save(attempt.frame(i))
    for layer in recipe.picture.layers:
        _write_layer(attempt, layer, frames, size, rng)
    np.save(attempt.actions, actions)
    if states:
        np.save(attempt.states, places if bodies == 1 else rng.normal(size=(frames, bodies, 13)).astype(np.float32))
    attempt.ground_truth.write_text(json.dumps(_truth(recipe.to_json(), rng, places, actions)))
    complete(attempt.folder, run.clip(index), recipe, {})
    return run.clip(index)


def give_features(clip: Clip, *, name: str = FEATURES, width: int = 8, layers: tuple[int, ...] = ()) -> None:
    """Write a feature set as the encoder does: a sidecar, and the array or the arrays that it describes."""
    manifest = ClipManifest.read(clip.manifest)
    tokens, rng = manifest.recipe.picture.frames // 2 * 4, np.random.default_rng(manifest.recipe.index)
    hashes = [entry.sha256 for file, entry in sorted(manifest.files.items()) if file.startswith("rgb/")]
    path = clip.features(name, several=len(layers) > 1)
    path.parent.mkdir(exist_ok=True)
    arrays = {key: rng.normal(size=(tokens, width)).astype(np.float16) for key in map(layer_key, layers or (1,))}
    if len(layers) > 1:
        save_file(arrays, path)
    else:
        np.save(path, *arrays.values())
    sidecar = {
        "model": name,
        "clipfarm": "0.1.0",
        "dtype": "float16",
        "preprocessing": {"crop": 32},
        "input": {"clip": clip.folder.name, "sha256": frames_sha256(hashes)},
        "frames": manifest.recipe.picture.frames,
        "shape": [tokens, width],
        "sha256": FileEntry.of(path).sha256,
    } | ({"layers": list(layers)} if layers else {})
    clip.features_sidecar(name).write_text(json.dumps(sidecar))


def _write_layer(clip: Clip, layer: str, frames: int, size: int, rng: np.random.Generator) -> None:
    for i in range(frames if layer != "rgb" else 0):
        path = clip.layer(layer, i)
        path.parent.mkdir(exist_ok=True)
        if layer == "segmentation":
            Image.fromarray(rng.integers(0, 4, (size, size), np.uint8)).save(path)
        else:
            np.save(path, rng.uniform(1, 20, (size, size)).astype(np.float32))


def _truth(recipe: dict[str, Any], rng: np.random.Generator, states: Any, actions: Any) -> dict[str, Any]:
    x, y = map(float, actions[1])
    return {
        "recipe": recipe,
        "phase": recipe["experiment"]["phase"]["name"],
        "friction": float(rng.uniform(0.5, 0.9)),
        "mass": float(rng.uniform(0.5, 3)),
        "impulse": {"x": x, "y": y, "magnitude": float(np.hypot(x, y)), "atFrame": 1},
        "object": {
            "shape": "cube",
            "rolls": False,
            "colour": [0.5, 0.25, 0.125],
            "trajectory": {"positions": [[float(a), float(b), 0.5] for a, b in states]},
        },
        "camera": {"intrinsics": [[35.0, 0.0, 16.0]], "lookAt": [0.0, 0.0, 0.0]},
        "events": [{"frame": 7, "kind": "wall"}],
        # More than 64 bits have no exact number in most programs.
        "seed": {"run": recipe["seed"], "index": recipe["index"], "clip": 2**63 + recipe["index"]},
        "versions": {"clipfarm": "0.1.0"},
    }
