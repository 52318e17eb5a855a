"""Weights: the published checkpoint, a Hugging Face folder, or random ones; strictly, or not at all.

The publisher's own loader ignores keys that do not fit, so a wrong file gives features of a half-random model. Here
a key that is missing, surplus or of another shape stops the encoder with its name.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from clipfarm_contract import regular
from clipfarm_encode.model.fetch import FetchError, from_address, from_huggingface, is_address
from clipfarm_encode.model.vjepa2 import CONFIGS, LAYER_NORM_EPS, Config, VJEPA2Encoder, random_state

RANDOM = "random"
RANDOM_SEED = 0
RANDOM_NOTE = "random weights: these features mean nothing and only show that the machinery works"
DEFAULT_KEY = "target_encoder"
"""The entry of a published checkpoint that the publisher's loader takes: the moving average of the training."""
MOST_MLP_RATIO = 1000
"""Far above any model's; more is a mistake."""

State = dict[str, Tensor]

# Of fewer bits there are only those that mean nothing without a scale beside them.
_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


class WeightsError(ValueError):
    """The weights cannot be used; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Where weights came from."""

    source: str
    """Name of the file or folder, without what leads to it; ``random``."""
    sha256: str
    """Of the file; of the safetensors files' hashes where there are several; of the tensors where they are random."""
    key: str | None
    """Which entry of a published checkpoint was taken; None for the other kinds."""

    @property
    def random(self) -> bool:
        """Whether the features mean nothing."""
        return self.source == RANDOM

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        note = {"note": RANDOM_NOTE} if self.random else {}
        return {"source": self.source, "sha256": self.sha256, "key": self.key} | note


def load_model(
    model: str, source: str, key: str = DEFAULT_KEY, sha256: str | None = None, revision: str | None = None
) -> tuple[VJEPA2Encoder, Weights]:
    """Build a model on the CPU in float32 and fill it.

    Args:
        model: one of :data:`~clipfarm_encode.model.vjepa2.CONFIGS`.
        source: ``random``, a ``.pt`` file as published, a folder with ``config.json`` and safetensors, the https
            address of a ``.pt`` file, or a Hugging Face id.
        key: which entry of a ``.pt`` file to take, ``target_encoder`` or ``encoder``.
        sha256: what the weights have to hash to (:attr:`Weights.sha256`); required for an address.
        revision: a commit: ``source`` is a Hugging Face id.

    Raises:
        WeightsError: the source cannot be had or read, is not what ``sha256`` says, or does not fit the model.
    """
    loaded, weights = _load(model, _locate(source, sha256, revision), key)
    if sha256 is not None and sha256 != weights.sha256:
        raise WeightsError(f"{source}: SHA-256 is {weights.sha256}, expected {sha256}")
    return loaded, weights


def _locate(source: str, sha256: str | None, revision: str | None) -> str:
    """Return the file or folder that holds the weights, fetched where it has to be."""
    try:
        if revision is not None:
            return str(from_huggingface(source, revision))
        return str(from_address(source, sha256)) if is_address(source) else source
    except FetchError as error:
        raise WeightsError(str(error)) from None


def _load(model: str, source: str, key: str) -> tuple[VJEPA2Encoder, Weights]:
    config = CONFIGS[model]
    path = Path(source)
    if source == RANDOM:
        state = random_state(config, RANDOM_SEED)
        weights = Weights(RANDOM, _hash_tensors(state), None)
    elif path.is_dir():
        state = read_folder(path, config)
        weights = Weights(path.resolve().name, _hash_files(_safetensors(path)), None)
    elif path.is_file():
        state = read_checkpoint(path, config, key)
        weights = Weights(path.name, _hash_files([path]), key)
    else:
        raise WeightsError(f"{source}: {'neither a file nor a folder' if path.exists() else 'no such file or folder'}")
    with torch.device("meta"):
        filled = VJEPA2Encoder(config)
    filled.load_state_dict(state, assign=True)
    return filled.eval().requires_grad_(False), weights


def read_checkpoint(path: Path, config: Config, key: str) -> State:
    """Read a ``.pt`` file in the form of https://github.com/facebookresearch/vjepa2.

    Raises:
        WeightsError: it is no such file, or does not fit the model.
    """
    try:
        entries = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # noqa: BLE001 - bytes that are no pickle make the unpickler raise anything at all
        raise WeightsError(f"{path}: not a PyTorch file with nothing but weights ({_line(error)})") from None
    if not isinstance(entries, dict) or not isinstance(entries.get(key), dict):
        found = ", ".join(map(str, entries)) if isinstance(entries, dict) else type(entries).__name__
        raise WeightsError(f"{path}: entry {key} is missing; found: {found}")
    state = {name.removeprefix("module.").removeprefix("backbone."): tensor for name, tensor in entries[key].items()}
    # Left in the checkpoints by an earlier model of the same code; rotary positions took its place.
    state.pop("pos_embed", None)
    return _fit(config, state, lambda name: (name,), str(path))


def read_folder(path: Path, config: Config) -> State:
    """Read a folder that transformers' ``VJEPA2Model.save_pretrained`` wrote.

    Raises:
        WeightsError: a file is missing or unreadable, or does not fit the model.
    """
    _check_config(path / "config.json", config)
    found: State = {}
    for file in _safetensors(path):
        try:
            tensors = load_file(file)
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{file}: not a safetensors file ({_line(error)})") from None
        if twice := sorted(found.keys() & tensors.keys()):
            raise WeightsError(f"{file}: key {twice[0]} is in another file of the folder, too{_more(twice)}")
        found |= tensors
    # The predictor serves the training; features come from the encoder alone.
    found = {name: tensor for name, tensor in found.items() if not name.startswith("predictor.")}
    return _fit(config, found, _huggingface_names, str(path))


def _fit(config: Config, found: State, names: Callable[[str], tuple[str, ...]], source: str) -> State:
    """Return the model's tensors in float32, each joined from those that ``names`` gives for it."""
    with torch.device("meta"):
        expected = VJEPA2Encoder(config).state_dict()
    wanted = {own: names(own) for own in expected}
    theirs = [name for parts in wanted.values() for name in parts]
    if missing := [name for name in theirs if name not in found]:
        raise WeightsError(f"{source}: key {missing[0]} is missing{_more(missing)}")
    if surplus := sorted(found.keys() - set(theirs)):
        raise WeightsError(f"{source}: key {surplus[0]} belongs to no part of the model{_more(surplus)}")
    state = {}
    for own, parts in wanted.items():
        shape = tuple(expected[own].shape)
        if own == "patch_embed.proj.weight":  # a Conv3d there, one matrix here
            shape = (config.width, 3, config.tubelet, config.patch, config.patch)
        part_shape = (shape[0] // len(parts), *shape[1:])
        for name in parts:
            dtype = getattr(found[name], "dtype", type(found[name]).__name__)
            if dtype not in _FLOATS:
                raise WeightsError(f"{source}: key {name} holds {_name(dtype)}, expected float32, float16 or bfloat16")
            if tuple(found[name].shape) != part_shape:
                raise WeightsError(f"{source}: key {name} has shape {tuple(found[name].shape)}, expected {part_shape}")
        joined = torch.cat([found[name] for name in parts])
        state[own] = joined.to(torch.float32).reshape(expected[own].shape).contiguous()
    return state


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
        raise WeightsError(f"{path}: unreadable ({_line(error)})") from None
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


def _safetensors(folder: Path) -> list[Path]:
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
        raise WeightsError(f"{index}: names {missing[0]}, which is missing{_more(missing)}")
    return files


def _named_by(index: Path) -> list[str]:
    try:
        names = sorted(set(json.loads(regular.read(index, index.name))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{index}: unreadable ({_line(error)})") from None
    if strange := [name for name in names if not str(name).endswith(".safetensors") or Path(name).name != name]:
        raise WeightsError(f"{index}: names {strange[0]!r}, expected *.safetensors beside it")
    if not names:
        raise WeightsError(f"{index}: names no file")
    return names


def _hash_files(files: list[Path]) -> str:
    digests = []
    for path in files:
        with regular.opened(path, path.name) as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _hash_tensors(state: State) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.numpy().data)
    return digest.hexdigest()


def _more(names: list[str]) -> str:
    return f", and {len(names) - 1} more" if len(names) > 1 else ""


def _name(dtype: object) -> str:
    return str(dtype).removeprefix("torch.")


def _line(error: Exception) -> str:
    """Return the first line of an error; the name of its type if it is no sentence, as the key of a KeyError."""
    first = (str(error).strip().splitlines() or [""])[0][:120]
    return first if " " in first else type(error).__name__
