"""The part of a run about its export: the data set that others load, made when the run has ended."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from clipfarm.cel import FieldRule, Rule
from clipfarm.encode import Encode
from clipfarm.model import MOST_CHARACTERS, FileName, Model, PositiveBytes, PositiveCpus
from clipfarm_contract.experiment import Layer
from clipfarm_contract.feature_sets import MOST_SET_NAME, MOST_SETS, SET_NAME, default_name
from clipfarm_contract.fields import show
from clipfarm_contract.text import any_of

SECRET_NAME = "^clipfarm-export-[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"  # noqa: S105 - a pattern of names
"""Its owner agrees by this name that runs use it: who may create runs may read no other Secret through them."""
ADDRESS = "^[a-z][a-z0-9+-]*://[!-.0-~][!-~]*$"
FOLDER = "^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$"
NOT_THERE = ("clip_", "file:", "local:", "memory:")
"""Beginnings of destinations that would be inside of a clip, or in the pod alone."""

PLACE = FieldRule(
    "a folder such as exports/friction, or an address such as s3://bucket/friction",
    holds=lambda value: bool(re.fullmatch(f"{ADDRESS}|{FOLDER}", value)) and not value.startswith(NOT_THERE),
    cel=f"(self.matches('{ADDRESS}') || self.matches('{FOLDER}'))"
    f" && {' && '.join(f'!self.startsWith({each!r})' for each in NOT_THERE)}",
)


class Export(Model):
    """A data set of the run's complete clips, made when the run has ended."""

    format: Literal["hf", "webdataset", "lerobot"]
    """Readers that take it: datasets (hf), webdataset or lerobot."""
    license: FileName
    """Identifier of its licence, such as cc-by-4.0."""
    name: FileName | None = None
    """Title of the data set; default: the run's name."""
    destination: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS), PLACE] | None = None
    """A folder on the run's volume, or an address that fsspec knows, as s3://bucket/friction; default: the folder
    exports/NAME-FORMAT, with the run's name. On one machine a folder is beside the one for the clips; default there:
    OUTPUT-FORMAT."""
    video: Literal["lossless", "h264", "png"] = "lossless"
    """How frames are stored: exactly, as browsers play them, or as the rendered pictures."""
    features: (
        Annotated[
            tuple[Annotated[str, Field(pattern=SET_NAME, max_length=MOST_SET_NAME)], ...],
            Field(max_length=MOST_SETS, strict=False),
        ]
        | None
    ) = None
    """Feature sets to export, too; default: all of the run; an empty list: none."""
    layers: tuple[Layer, ...] = Field(default=(), max_length=8, strict=False)
    """Layers to export, too."""
    replace: bool = False
    """Whether an export of other clips or with other options that is in the destination is removed first. If not, it
    is refused."""
    secret_name: Annotated[str, Field(pattern=SECRET_NAME, max_length=253)] | None = None
    """Name of a Secret whose entries become environment variables of the export's pod, in a cluster: credentials for
    an address. It begins with clipfarm-export-."""
    image: FileName | None = None
    """Container image of your own, built from clipfarm's; default: the exporter's image in the operator's settings."""
    cpu: PositiveCpus | None = None
    """CPUs of the export's pod, in a cluster: request and limit. Default: 1 is requested, without a limit."""
    memory: PositiveBytes = 2 * 2**30
    """Memory of the export's pod, in a cluster."""

    def options(self, run: str, *, encodes: bool) -> list[str]:
        """Return the exporter's options about what is exported, and how.

        Args:
            run: name of the run, which is the title of a data set without one.
            encodes: whether the run has features.
        """
        features = (("all",) if encodes else ()) if self.features is None else self.features
        return [
            *(f"--format={self.format}", f"--name={self.name or run}", f"--license={self.license}"),
            f"--video={self.video}",
            *(f"--features={each}" for each in features),
            *([f"--layers={','.join(self.layers)}"] if self.layers else []),
            *(["--replace"] if self.replace else []),
        ]

    rules = (
        Rule(
            lambda each: (
                "video: found png, expected lossless or h264 with format lerobot"
                if each.format == "lerobot" and each.video == "png"
                else None
            ),
            cel="self.format != 'lerobot' || self.video != 'png'",
            message="expected lossless or h264 with format lerobot",
            field=".video",
        ),
        Rule(
            lambda each: (
                "layers: expected none with format lerobot" if each.format == "lerobot" and each.layers else None
            ),
            cel="self.format != 'lerobot' || self.layers.size() == 0",
            message="expected none with format lerobot",
            field=".layers",
        ),
    )


FEATURES_CEL = (
    "!has(self.export) || !has(self.export.features) || self.export.features.all(n, self.encode.enabled"
    " && (self.encode.features.exists(f, f.name == n)"
    " || self.encode.features.size() == 0 && n == self.encode.model.replace(':', '_')))"
)
LAYERS_CEL = "!has(self.export) || self.export.layers.all(l, l != 'rgb' && l in self.experiment.layers)"


def unknown_features(export: Export | None, encode: Encode) -> str | None:
    """Return what is wrong with the feature sets of an export: one that the run does not have; None if nothing is."""
    there = [each.name for each in encode.features] or [default_name(encode.model)] if encode.enabled else []
    expected = any_of(there) if there else "none: clips are not encoded"
    for name in (export.features or ()) if export else ():
        if name not in there:
            return f"export.features: found {show(name)}, expected {expected}"
    return None


def unknown_layers(export: Export | None, layers: Sequence[Layer]) -> str | None:
    """Return what is wrong with the layers of an export: one that the experiment does not have; None if nothing is."""
    there = [name for name in layers if name != "rgb"]
    expected = any_of(there) if there else "none: the experiment has no layers but rgb"
    for name in export.layers if export else ():
        if name not in there:
            return f"export.layers: found {show(name)}, expected {expected}"
    return None
