"""Weights in a folder, as Hugging Face's transformers writes them."""

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from clipfarm_contract import regular
from clipfarm_encode.models.fitting import State, WeightsError, first_line, more
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
    found: State = {}
    for file in safetensors_of(path):
        try:
            tensors = load_file(file)
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{file}: not a safetensors file ({first_line(error)})") from None
        if twice := sorted(found.keys() & tensors.keys()):
            raise WeightsError(f"{file}: key {twice[0]} is in another file of the folder, too{more(twice)}")
        found |= tensors
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
    try:
        found = json.loads(regular.read(path, path.name))
    except FileNotFoundError:
        raise WeightsError(f"{path}: missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: unreadable ({first_line(error)})") from None
    if not isinstance(found, dict):
        raise WeightsError(f"{path}: found {_short(found)}, expected an object")
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
            raise WeightsError(f"{path}: {field} is {_short(found.get(field, otherwise))}, the model has {expected!r}")
    ratio = found.get("mlp_ratio", default.mlp_ratio)
    if not isinstance(ratio, int | float) or not 0 < ratio < MOST_MLP_RATIO:
        raise WeightsError(f"{path}: mlp_ratio is {_short(ratio)}, expected a number above 0, below {MOST_MLP_RATIO}")
    if (width := int(config.width * ratio)) != config.mlp_width:
        raise WeightsError(f"{path}: mlp_ratio gives an MLP of {width}, the model has {config.mlp_width}")


def _short(value: object) -> str:
    return repr(value)[:120]


def safetensors_of(folder: Path) -> list[Path]:
    """Return the files of a folder that are its weights: those that its index names, or the one without an index.

    Others may lie beside them, such as another checkpoint.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if not index.exists():
        if not single.is_file():
            found = ", ".join(sorted(each.name for each in folder.glob("[!.]*.safetensors"))) or "no safetensors file"
            raise WeightsError(f"{folder}: found {found}, expected {single.name}, or {index.name} and what it names")
        return [single]
    names = _named_by(index)
    if single.exists() and single.name not in names:
        raise WeightsError(f"{folder}: {single.name} and {index.name} are two sets of weights; remove one of them")
    files = [folder / name for name in names]
    if missing := [file.name for file in files if not file.is_file()]:
        raise WeightsError(f"{index}: names {missing[0]}, which is missing{more(missing)}")
    return files


def _named_by(index: Path) -> list[str]:
    try:
        names = sorted(set(json.loads(regular.read(index, index.name))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{index}: unreadable ({first_line(error)})") from None
    if strange := [name for name in names if not str(name).endswith(".safetensors") or Path(name).name != name]:
        raise WeightsError(f"{index}: names {strange[0]!r}, expected *.safetensors beside it")
    if not names:
        raise WeightsError(f"{index}: names no file")
    return names
