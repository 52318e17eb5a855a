"""Tensors of a file to those of the model: strictly, or not at all."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

State = dict[str, Tensor]

# Of fewer bits there are only those that mean nothing without a scale beside them.
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


class WeightsError(ValueError):
    """The weights cannot be used; the message is one line that says why."""


def by_own_name(name: str) -> tuple[str, ...]:
    """Return the names of a file whose tensors are called as the model's own."""
    return (name,)


def fit(
    expected: State,
    found: State,
    names: Callable[[str], tuple[str, ...]],
    source: str,
    *,
    published: Mapping[str, tuple[int, ...]] = MappingProxyType({}),
) -> State:
    """Return the model's tensors in float32, each joined from those that ``names`` gives for it.

    Args:
        expected: the model's own, of which the shapes count.
        found: the file's.
        names: of the file's tensors that, one below the other, make up one of the model's.
        source: where they come from, for messages.
        published: shapes of the tensors that have another one in files than in the model, by the model's names.

    Raises:
        WeightsError: a key is missing, surplus, or of another shape.
    """
    wanted = {own: names(own) for own in expected}
    theirs = [name for parts in wanted.values() for name in parts]
    if missing := [name for name in theirs if name not in found]:
        raise WeightsError(f"{source}: key {missing[0]} is missing{more(missing)}")
    if surplus := sorted(found.keys() - set(theirs)):
        raise WeightsError(f"{source}: key {surplus[0]} belongs to no part of the model{more(surplus)}")
    state = {}
    for own, parts in wanted.items():
        shape = published.get(own) or tuple(expected[own].shape)
        part_shape = (shape[0] // len(parts), *shape[1:])
        for name in parts:
            dtype = getattr(found[name], "dtype", type(found[name]).__name__)
            if dtype not in FLOATS:
                raise WeightsError(f"{source}: key {name} holds {_name(dtype)}, expected float32, float16 or bfloat16")
            if tuple(found[name].shape) != part_shape:
                raise WeightsError(f"{source}: key {name} has shape {tuple(found[name].shape)}, expected {part_shape}")
        joined = torch.cat([found[name] for name in parts])
        state[own] = joined.to(torch.float32).reshape(expected[own].shape).contiguous()
    return state


def more(names: list[str]) -> str:
    """Return how many names follow the first, for the end of a message."""
    return f", and {len(names) - 1} more" if len(names) > 1 else ""


def first_line(error: Exception) -> str:
    """Return the first line of an error; the name of its type if it is no sentence, as the key of a KeyError."""
    first = (str(error).strip().splitlines() or [""])[0][:120]
    return first if " " in first else type(error).__name__


def short(value: object) -> str:
    """Return a value as a message shows it."""
    return repr(value)[:120]


def _name(dtype: object) -> str:
    return str(dtype).removeprefix("torch.")
