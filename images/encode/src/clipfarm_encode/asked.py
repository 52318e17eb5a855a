"""The feature sets that a command line asks for."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from clipfarm_contract import regular
from clipfarm_contract.extraction import DEFAULT
from clipfarm_contract.feature_sets import FeatureSet, WeightsSource, default_name
from clipfarm_contract.fields import ContractError, load

OF_ONE_SET = ("name", "context", "stride", "window", "layers", "pool")
"""Options that describe a set, and so are not given beside a list of sets."""


def sets(options: dict[str, Any]) -> tuple[FeatureSet, ...]:
    """Return the feature sets, at least one.

    Raises:
        UsageError: the options contradict each other, or one is not as it should be.
    """
    default = FeatureSet(
        default_name(options["model"]),
        options["model"],
        WeightsSource(
            options["weights"] or "", options["weights_key"], options["weights_sha256"], options["weights_revision"]
        ),
        options["crop_size"],
        options["dtype"],
    )
    try:
        made = _one(options, default) if options["features"] is None else _several(options, default)
    except ContractError as error:
        raise click.UsageError(f"--{error}") from None
    if not all(each.weights.source for each in made):
        raise click.UsageError(
            "--weights is needed: a .pt file, a Hugging Face folder, or random (features then mean nothing)"
        )
    return made


def check(sets: Sequence[FeatureSet], frames: int, option: str) -> None:
    """Check what models' names say of them, before videos are cut: that takes hours if there are many.

    Args:
        sets: what is asked for.
        frames: of a clip.
        option: that says how many.

    Raises:
        UsageError: a model cannot take so many frames, or cannot make what a set asks for.
    """
    for each in sets:
        if problem := each.unfit():
            raise click.UsageError(_named(each, problem))
        if problem := each.uncut(frames):
            raise click.UsageError(f"{option}: {problem}")
        if problem := each.overlong(frames):
            raise click.UsageError(_named(each, problem))


def _named(each: FeatureSet, problem: str) -> str:
    """Return a problem of a set with the option that says it, or after the name of one that a list describes."""
    if click.get_current_context().params["features"] is not None:
        return f"{each.name}: {problem}"
    return f"--{problem.replace('cropSize', 'crop-size')}"


def videos(options: dict[str, Any]) -> None:
    """Check what is asked for about videos.

    Raises:
        UsageError: the options contradict each other, or the decoder is not installed.
    """
    if options["videos"] is None:
        source = click.get_current_context().get_parameter_source
        for name in ("clip_frames", "clip_stride", "fps"):
            if source(name) not in (None, click.core.ParameterSource.DEFAULT):
                raise click.UsageError(f"--{name.replace('_', '-')}: expected only with --videos")
        return
    for name in ("clips", "seed", "out_dir"):
        if options[name] is not None:
            raise click.UsageError(
                f"--{name.replace('_', '-')}: expected without --videos, whose clips are all encoded"
            )
    require_video_decoder()


def require_video_decoder() -> None:
    """Check that videos can be decoded.

    Raises:
        UsageError: the decoder, an extra of the package, is not installed.
    """
    if importlib.util.find_spec("av") is None:
        raise click.UsageError("not installed: av; install with: pip install 'clipfarm-encode[video]'")


def _one(options: dict[str, Any], default: FeatureSet) -> tuple[FeatureSet, ...]:
    layers = None if options["layers"] is None else _numbers(options["layers"])
    given = {"name": options["name"], "context": options["context"], "pool": options["pool"]}
    given |= {"stride": options["stride"], "window": options["window"], "layers": layers}
    made = FeatureSet.parse({name: value for name, value in given.items() if value is not None}, "", default)
    if options["name"] is None and made.extraction != DEFAULT:
        raise ContractError("name: missing, expected a name for features that are not the model's default ones")
    return (made,)


def _several(options: dict[str, Any], default: FeatureSet) -> tuple[FeatureSet, ...]:
    source = click.get_current_context().get_parameter_source
    for name in OF_ONE_SET:
        if source(name) not in (None, click.core.ParameterSource.DEFAULT):
            raise ContractError(f"{name}: expected without --features, whose entries say it")
    text: str = options["features"]
    if not text.lstrip().startswith("["):
        try:
            text = regular.read_given(Path(text), f"features: {text}").decode()
        except (OSError, UnicodeDecodeError) as error:
            raise ContractError(f"features: {text}: {getattr(error, 'strerror', None) or error}") from None
    return FeatureSet.parse_all(load(text, "features"), "features", default)


def _numbers(text: str) -> list[int]:
    try:
        return [int(each) for each in text.split(",")]
    except ValueError:
        raise ContractError(f"layers: found {text}, expected numbers as 8,16,24") from None
