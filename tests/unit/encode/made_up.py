"""Made-up clips and models for the encoder's tests."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import VJEPA2Config, VJEPA2Model

from clipfarm_contract.completing import complete
from clipfarm_contract.experiment import Experiment
from clipfarm_contract.layout import Clip, RunFolder
from clipfarm_encode.models.catalogue import load_model
from clipfarm_encode.models.vjepa2.network import Config, VJEPA2Encoder
from clipfarm_encode.models.weights import Weights
from helpers.experiments import declared


def make_frames(folder: Path, *, frames: int = 4, size: int = 48, seed: int = 0) -> None:
    """Write ``rgb/frame_00000.png``, ..."""
    rng = np.random.default_rng(seed)
    clip = Clip(folder)
    clip.rgb.mkdir(parents=True)
    for i in range(frames):
        Image.fromarray(rng.integers(0, 256, (size, size, 3), np.uint8)).save(clip.frame(i))


SEED = 42


def make_experiment(*, frames: int = 4, size: int = 48) -> Experiment:
    """Return the experiment that :func:`make_clip` makes clips of."""
    phase = {"clips": {"start": 0, "end": 99_999}}
    return declared(frames=frames, resolution=size, phase=phase).experiment()


def make_clip(
    root: Path,
    index: int,
    *,
    frames: int = 4,
    size: int = 48,
    seed: int = SEED,
    experiment: Experiment | None = None,
    renderer: tuple[str, ...] | None = None,
) -> Clip:
    """Write a complete clip as the renderer does."""
    run = RunFolder(root)
    attempt = run.attempt(index, "test")
    experiment = experiment or make_experiment(frames=frames, size=size)
    picture = experiment.picture
    make_frames(attempt, frames=picture.frames, size=picture.resolution, seed=index)
    complete(attempt, run.clip(index), experiment.recipe(seed, index), {}, renderer)
    return run.clip(index)


def empty_reference(config: Config, crop: int = 64, frames: int = 4) -> VJEPA2Model:
    """Return transformers' model of a shape."""
    return VJEPA2Model(
        VJEPA2Config(
            crop_size=crop,
            frames_per_clip=frames,
            hidden_size=config.width,
            num_attention_heads=config.heads,
            num_hidden_layers=config.layers,
            mlp_ratio=config.mlp_ratio,
            patch_size=config.patch,
            tubelet_size=config.tubelet,
            pred_hidden_size=24,
            pred_num_attention_heads=1,
            pred_num_hidden_layers=1,
        )
    )


def reference(config: Config, crop: int = 64, frames: int = 4) -> VJEPA2Model:
    """Return transformers' model of a shape, with every weight random: biases and norms too."""
    model = empty_reference(config, crop, frames).eval()
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        parameter.data.normal_(std=0.1, generator=generator)
        if "norm" in name and name.endswith("weight"):
            parameter.data.add_(1)
    return model


def published(model: VJEPA2Model) -> dict[str, torch.Tensor]:
    """Return the encoder's weights as the published checkpoints hold them."""
    state = {}
    for name, tensor in model.encoder.state_dict().items():
        own = (
            name.replace("embeddings.patch_embeddings.", "patch_embed.")
            .replace("layernorm.", "norm.")
            .replace("layer.", "blocks.")
            .replace("attention.", "attn.")
        )
        if ".query." in own:
            parts = [model.encoder.state_dict()[name.replace("query", part)] for part in ("query", "key", "value")]
            state[own.replace("query", "qkv")] = torch.cat(parts)
        elif ".key." not in own and ".value." not in own:
            state[own] = tensor
    state["pos_embed"] = torch.zeros(1, 8, model.config.hidden_size)
    return {f"module.backbone.{name}": tensor.clone() for name, tensor in state.items()}


def load_network(name: str, *arguments: str, **more: str) -> tuple[VJEPA2Encoder, Weights]:
    """Return a loaded V-JEPA 2's network, and where its weights came from."""
    model, weights = load_model(name, *arguments, **more)
    return model.network, weights
