"""Weights in a folder, as Hugging Face's transformers writes them."""

from pathlib import Path

from clipfarm_encode.models.fitting import State, WeightsError, short
from clipfarm_encode.models.tensor_files import read_config, read_safetensors, safetensors_of
from clipfarm_encode.models.vjepa2.network import CONFIGS, LAYER_NORM_EPS, Config
from clipfarm_encode.models.vjepa2.published import fit_published

MOST_MLP_RATIO = 1000
"""Far above any model's; more is a mistake."""


def read_folder(path: Path, config: Config) -> State:
    """Read a folder that transformers' ``VJEPA2Model.save_pretrained`` wrote.

    Raises:
        WeightsError: a file is missing or unreadable, or does not fit the model.
    """
    _check_config(path / "config.json", config)
    found = read_safetensors(safetensors_of(path))
    # The predictor serves the training; features come from the encoder alone.
    found = {name: tensor for name, tensor in found.items() if not name.startswith("predictor.")}
    return fit_published(config, found, _huggingface_names, str(path))


def _huggingface_names(own: str) -> tuple[str, ...]:
    """Return the names in transformers of the tensors that, one below the other, make up one of ours."""
    module, _, kind = own.rpartition(".")
    if module == "patch_embed.proj":
        return (f"encoder.embeddings.patch_embeddings.proj.{kind}",)
    if module == "norm":
        return (f"encoder.layernorm.{kind}",)
    _, block, part = module.split(".", 2)
    layer = f"encoder.layer.{block}"
    if part == "attn.qkv":
        return tuple(f"{layer}.attention.{name}.{kind}" for name in ("query", "key", "value"))
    return (f"{layer}.{part.replace('attn.', 'attention.')}.{kind}",)


def _check_config(path: Path, config: Config) -> None:
    found = read_config(path)
    # transformers leaves out what has its default, and its defaults are ViT-L's.
    default = CONFIGS["vjepa2_vitl16"]
    for field, expected, otherwise in (
        ("model_type", "vjepa2", None),
        ("hidden_size", config.width, default.width),
        ("num_hidden_layers", config.layers, default.layers),
        ("num_attention_heads", config.heads, default.heads),
        ("patch_size", config.patch, default.patch),
        ("tubelet_size", config.tubelet, default.tubelet),
        ("in_chans", 3, 3),
        ("layer_norm_eps", LAYER_NORM_EPS, LAYER_NORM_EPS),
        ("hidden_act", "gelu", "gelu"),
        ("qkv_bias", True, True),
    ):
        if found.get(field, otherwise) != expected:
            raise WeightsError(f"{path}: {field} is {short(found.get(field, otherwise))}, the model has {expected!r}")
    ratio = found.get("mlp_ratio", default.mlp_ratio)
    if not isinstance(ratio, int | float) or not 0 < ratio < MOST_MLP_RATIO:
        raise WeightsError(f"{path}: mlp_ratio is {short(ratio)}, expected a number above 0, below {MOST_MLP_RATIO}")
    if (width := int(config.width * ratio)) != config.mlp_width:
        raise WeightsError(f"{path}: mlp_ratio gives an MLP of {width}, the model has {config.mlp_width}")
