"""Files that hold nothing but tensors, and the ``config.json`` beside them."""

import json
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from clipfarm_contract import regular
from clipfarm_encode.models.fitting import State, WeightsError, first_line, more, short


def read_safetensors(files: list[Path]) -> State:
    """Return the tensors of one or several files.

    Raises:
        WeightsError: a file is not one, or two hold the same name.
    """
    found: State = {}
    for file in files:
        try:
            tensors = load_file(file)
        except (OSError, SafetensorError) as error:
            raise WeightsError(f"{file}: not a safetensors file ({first_line(error)})") from None
        if twice := sorted(found.keys() & tensors.keys()):
            raise WeightsError(f"{file}: key {twice[0]} is in another file of the folder, too{more(twice)}")
        found |= tensors
    return found


def read_pickle(path: Path) -> Any:
    """Return what a PyTorch file (``.pt``) holds; nothing in it is run.

    Raises:
        WeightsError: it is no such file, or holds more than weights.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # noqa: BLE001 - bytes that are no pickle make the unpickler raise anything at all
        raise WeightsError(f"{path}: not a PyTorch file with nothing but weights ({first_line(error)})") from None


def read_config(path: Path) -> dict[str, Any]:
    """Return the content of a ``config.json``.

    Raises:
        WeightsError: it is missing, unreadable, or no object.
    """
    try:
        found = json.loads(regular.read(path, path.name))
    except FileNotFoundError:
        raise WeightsError(f"{path}: missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: unreadable ({first_line(error)})") from None
    if not isinstance(found, dict):
        raise WeightsError(f"{path}: found {short(found)}, expected an object")
    return found


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
