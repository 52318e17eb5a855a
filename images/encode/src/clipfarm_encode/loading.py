"""Models for feature sets: each loaded once, and copied to each device."""

from collections.abc import Sequence
from pathlib import Path

import torch

from clipfarm_contract.feature_sets import FeatureSet
from clipfarm_encode.files.recipe import Recipe
from clipfarm_encode.models.encoder import Encoder, get_encoder
from clipfarm_encode.reporting.progress import Reporter
from clipfarm_encode.saving import Work
from clipfarm_encode.selection import Destination


def load(
    sets: Sequence[FeatureSet], devices: Sequence[torch.device], *, batch_size: int, compiled: bool
) -> list[list[Encoder]]:
    """Return the encoders of each set, one for each device; sets with the same weights share them.

    Raises:
        ValueError: a model, its weights, or what a set asks of it is not as it should be.
    """
    loaded: dict[object, list[Encoder]] = {}
    made = []
    for each in sets:
        key = each.model, each.weights
        if key not in loaded:
            first = get_encoder(
                each.model,
                each.weights.source,
                str(devices[0]),
                weights_key=each.weights.key,
                weights_sha256=each.weights.sha256,
                weights_revision=each.weights.revision,
                dtype=each.dtype,
                crop_size=each.crop,
                batch_size=batch_size,
                compiled=compiled,
            )
            loaded[key] = [first, *(first.on(device) for device in devices[1:])]
        encoders = [encoder.like(crop_size=each.crop, dtype=each.dtype) for encoder in loaded[key]]
        if problem := each.extraction.unfit(encoders[0].model.step, encoders[0].model.layers):
            raise ValueError(f"{each.name}: {problem}" if len(sets) > 1 else problem)
        made.append(encoders)
    return made


def recipe(each: FeatureSet, encoder: Encoder) -> Recipe:
    """Return how an encoder makes the features of a set."""
    return Recipe(
        model=encoder.name,
        weights=encoder.weights.to_json(),
        dtype=encoder.dtype,
        preprocessing=encoder.preprocessing.to_json(),
        compute=encoder.compute,
        name=each.name,
        extraction=each.extraction,
        step=encoder.model.step,
        across_time=encoder.model.across_time,
    )


def works(
    encoders: Sequence[Sequence[Encoder]],
    recipes: Sequence[Recipe],
    reporter: Reporter,
    out_dir: Path | None,
    *,
    overwrite: bool,
) -> list[Work]:
    """Return what a pipeline needs of each set."""
    return [
        Work(of_set, Destination(recipe, out_dir, overwrite), account)
        for of_set, recipe, account in zip(encoders, recipes, reporter.sets, strict=True)
    ]
