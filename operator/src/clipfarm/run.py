"""The BenchmarkRun: what a person asks for, as frozen types.

The one description of the resource. A YAML file and an object of the API server are parsed here, once, and no
other code looks at a raw document. :mod:`clipfarm.run_file` turns what is wrong into lines for people.
"""

import itertools
import json
import re
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from clipfarm.model import (
    MOST_ENTRIES,
    Argument,
    Bytes,
    Cpus,
    FileName,
    Labels,
    Model,
    NonNegative,
    Positive,
    Seconds,
    Text,
)
from clipfarm.pod_options import PodOptions
from clipfarm.weights import Weights
from clipfarm_contract.bounds import LAST_CLIP, MOST_BATCH, MOST_CROP
from clipfarm_contract.environment import MOST_THREADS
from clipfarm_contract.experiment import SHAPES
from clipfarm_contract.experiment import Experiment as ContractExperiment

PHYSICS_RATE = 240
"""Steps of the physics simulation a second, Hz."""
MOST_FRICTION = 1.0
"""Of the built-in renderer."""
RUN_NAME = r"^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$"
"""It is a label of all that is made for the run, and the beginning of host names, which have no dots."""
API_VERSION = "clipfarm.dev/v1alpha1"
KIND = "BenchmarkRun"

Layer = Literal["rgb", "segmentation", "flow", "depth", "normal", "object_coordinates"]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]


class ClipRange(Model):
    """Clips from ``start`` to ``end``, both included."""

    start: int = Field(ge=0, le=LAST_CLIP)
    """The first clip."""
    end: int = Field(ge=0, le=LAST_CLIP)
    """The last clip, included."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"end: found {self.end}, expected start ({self.start}) or more")
        return self

    def __len__(self) -> int:
        return self.end - self.start + 1


class Range(Model):
    """Values from ``min`` to ``max``, drawn uniformly; equal bounds make a constant."""

    min: float
    max: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max < self.min:
            raise ValueError(f"max: found {self.max:g}, expected min ({self.min:g}) or more")
        return self


class FrictionRange(Range):
    """Coefficient of friction between object and floor; no unit."""

    min: NonNegative
    """The smallest value."""
    max: NonNegative
    """The largest value; the built-in renderer takes up to 1."""


class PositiveRange(Range):
    """A quantity above zero."""

    min: Positive
    """The smallest value."""
    max: Positive
    """The largest value."""


class Impulse(PositiveRange):
    """The push: magnitude in N s, direction random in the floor's plane."""

    at_frame: int = Field(default=1, ge=0)
    """The last frame that shows the object at rest."""


class Phase(Model):
    """A range of clips with one law for friction and mass."""

    name: Text = Field(min_length=1)
    """The phase's name; each clip's ground_truth.json holds it."""
    clips: ClipRange
    """The clips that belong to the phase."""
    friction: FrictionRange
    """Coefficient of friction between object and floor, drawn uniformly; no unit."""
    mass: PositiveRange
    """Mass of the object, drawn uniformly, kg."""


class Assets(Model):
    """A Kubric asset manifest: objects beyond the built-in ones."""

    manifest: FileName
    """Path of the JSON file as the renderer sees it: on this machine, or in a volume of the pod."""
    sha256: Annotated[str, Field(json_schema_extra={"pattern": "^[0-9a-f]{64}$"})] | None = None
    """SHA-256 of the manifest, in hexadecimal; where it is given, another file is refused."""

    @field_validator("sha256")
    @classmethod
    def _hexadecimal(cls, sha256: str | None) -> str | None:
        if sha256 is not None and not re.fullmatch("[0-9a-f]{64}", sha256):
            raise ValueError("expected 64 hexadecimal digits")
        return sha256


class Experiment(Model):
    """What is filmed. ``push``: an object that rests on a floor with walls gets a push."""

    name: Literal["push"] = "push"
    """Which experiment; push is the one that is built in."""
    frames: int = Field(default=32, ge=4, le=1024)
    """Frames of a clip. Even, because the encoder takes frames in pairs."""
    fps: int = Field(default=30, ge=1)
    """Frames a second. Divides 240, the rate of the physics."""
    resolution: int = Field(default=256, ge=16, le=4096)
    """Width and height of a frame, pixels."""
    samples_per_pixel: int = Field(default=64, ge=1, le=65536)
    """Light paths that Cycles traces for each pixel: more of them, less noise."""
    layers: tuple[Layer, ...] = Field(default=("rgb",), min_length=1, max_length=8, strict=False)
    """What is written of each frame; rgb is always among them."""
    objects: tuple[ObjectName, ...] = Field(default=("cube",), min_length=1, max_length=1024, strict=False)
    """Each clip shows one of them, drawn at random: cube, sphere, cylinder, cone, torus, or ids of assets."""
    assets: Assets | None = None
    """Where objects come from that are not built in."""
    impulse: Impulse = Impulse(min=12, max=13)
    """The push: magnitude in N s, drawn uniformly; direction random in the floor's plane."""
    phases: tuple[Phase, ...] = Field(min_length=1, max_length=64, strict=False)
    """Ranges of clips, each with its law for friction and mass; each clip belongs to one."""
    preview: bool = True
    """Whether each clip gets a preview.gif."""

    @field_validator("frames")
    @classmethod
    def _even(cls, frames: int) -> int:
        if frames % 2:
            raise ValueError("expected an even number: the encoder takes frames in pairs")
        return frames

    @field_validator("fps")
    @classmethod
    def _divides(cls, fps: int) -> int:
        if PHYSICS_RATE % fps:
            near = [rate for rate in (8, 10, 12, 15, 16, 20, 24, 30, 40, 48, 60, 80, 120, 240) if rate != fps]
            near.sort(key=lambda rate: (abs(rate - fps), rate))
            raise ValueError(f"expected a divisor of {PHYSICS_RATE}, the rate of the physics, such as {near[0]}")
        return fps

    @field_validator("layers")
    @classmethod
    def _shows_colours(cls, layers: tuple[str, ...]) -> tuple[str, ...]:
        if "rgb" not in layers:
            raise ValueError("expected rgb among them: the encoder and the checks look at it")
        return layers

    @model_validator(mode="after")
    def _has_objects(self) -> Self:
        odd = next((i for i, name in enumerate(self.objects) if name not in SHAPES), None)
        if odd is not None and self.assets is None:
            known = f"{', '.join(SHAPES[:-1])} or {SHAPES[-1]}"
            raise ValueError(f'objects[{odd}]: found "{self.objects[odd]}", expected {known}, or an id with assets')
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        last = self.frames - 2
        if self.impulse.at_frame > last:
            raise ValueError(
                f"impulse.atFrame: found {self.impulse.at_frame}, expected {last} or less,"
                f" so that one of the {self.frames} frames shows motion"
            )
        phases = sorted(self.phases, key=lambda phase: phase.clips.start)
        for before, after in itertools.pairwise(phases):
            if after.clips.start <= before.clips.end:
                raise ValueError(
                    f"phases: {before.name!r} ({before.clips.start}-{before.clips.end}) and {after.name!r}"
                    f" ({after.clips.start}-{after.clips.end}) overlap, expected each clip in one phase"
                )
        names = [phase.name for phase in phases]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"phases: found the name {name!r} twice, expected each once")
        return self

    def first_uncovered(self, clips: ClipRange) -> int | None:
        """Return the first clip that no phase holds, None where all are held."""
        index = clips.start
        for phase in sorted(self.phases, key=lambda phase: phase.clips.start):
            if phase.clips.start <= index <= phase.clips.end:
                index = phase.clips.end + 1
        return index if index <= clips.end else None


class ScaleUp(Model):
    """How an autoscaler gets to know that nodes are missing, in a cluster."""

    pending: int = Field(default=2, ge=0, le=100)
    """Pods that may wait for a node that is not there yet: an autoscaler sees no pod behind a gate. 0: none."""


class Render(Model):
    """How clips are rendered."""

    device: Literal["cpu", "gpu", "cuda", "optix"] = "cpu"
    """What Cycles computes on; ``gpu``: OptiX where the driver has it, else CUDA."""
    threads: int = Field(default=1, ge=1, le=MOST_THREADS)
    """CPU threads a clip: the pod's CPU limit, OMP_NUM_THREADS and its kin, BLENDER_CPU_THREADS."""
    clips_per_pod: int = Field(default=1, ge=1, le=100_000)
    """Clips that one pod makes one after the other, in a cluster."""
    timeout: Annotated[Seconds, Field(gt=0)] = 600.0
    """A clip that takes longer fails."""
    memory: Annotated[Bytes, Field(gt=0)] = 2 * 2**30
    """Memory of a pod, in a cluster: the kernel ends a renderer that takes more, and its clip fails."""
    shared_memory: Annotated[Bytes, Field(gt=0)] = 8 * 2**30
    """Largest size of /dev/shm in a pod; what is used of it counts as memory."""
    image: FileName | None = None
    """Container image of a renderer of the user's own, built from clipfarm's; the operator's own where left out."""
    pod: PodOptions = PodOptions()
    """Where and how the pods run, in a cluster."""
    keep_pods: Literal["failed", "all"] = "failed"
    """Pods that stay when they have ended, in a cluster. failed: the 100 that failed last, with their logs."""
    scale_up: ScaleUp = ScaleUp()
    """How an autoscaler gets to know that nodes are missing, in a cluster."""
    command: tuple[Argument, ...] = Field(default=(), max_length=MOST_ENTRIES, strict=False)
    """A renderer of the user's own that keeps the contract; empty for the built-in one."""
    background: Literal["cached", "full"] = "cached"
    """What stands still in the frames: rendered once for the run, which takes as long as 16 frames, or anew in each."""


class Vram(Model):
    """When GPU memory holds new clips back. Fractions are of a GPU's whole memory."""

    enabled: bool = True
    """Whether GPU memory holds clips back."""
    high: float = Field(default=0.85, gt=0, le=1)
    """Above it, no new clip starts on the GPU."""
    low: float = Field(default=0.70, gt=0, le=1)
    """Below it, clips start again."""
    check_interval: Annotated[Seconds, Field(gt=0)] = 5.0
    """How often GPU memory is looked at."""
    stale_after: Annotated[Seconds, Field(gt=0)] = 60.0
    """A reading older than this is unknown, and never zero."""
    when_unknown: Literal["Hold", "Admit"] = "Hold"
    """What becomes of clips while the use of a GPU's memory is unknown."""
    per_clip: Annotated[Bytes, Field(gt=0)] | None = None
    """What one clip takes, where it is known."""
    allocation_time: Annotated[Seconds, Field(ge=0)] = 30.0
    """How long after its start a clip may not have allocated all its memory: a cold import of Blender takes 22 s."""
    held_warning_after: Annotated[Seconds, Field(gt=0)] = 600.0
    """A GPU that others keep full for longer than this, while clips are held, is worth a warning that names them."""

    @model_validator(mode="after")
    def _watermarks(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low: found {self.low:g}, expected less than high ({self.high:g})")
        if self.stale_after <= self.check_interval:
            raise ValueError(
                f"staleAfter: found {self.stale_after:g}s, expected more than checkInterval ({self.check_interval:g}s)"
            )
        return self


class Retry(Model):
    """What happens when clips cannot be rendered."""

    limit: int = Field(default=1, ge=0, le=100)
    """How often a clip is tried again whose renderer ran out of GPU memory (exit code 2)."""
    delay: Annotated[Seconds, Field(ge=0)] = 30.0
    """How long after it ended it may start again, at the earliest."""
    stop_after: int = Field(default=20, ge=0, le=10_000)
    """Number of clips that fail alike before the run ends as Failed, if none is complete by then; 0: all are tried.
    Reasons are alike if they differ only in words that hold a digit."""
    lost_after: Annotated[Seconds, Field(ge=0)] = 300.0
    """In a cluster, how long a node may not answer before its pods that are being deleted are given up, and their clips
    made elsewhere."""


class Encode(Model):
    """How clips become features."""

    enabled: bool = True
    """Whether clips are encoded."""
    model: Literal["vjepa2_vitl16", "vjepa2_vith16", "vjepa2_vitg16", "vjepa2_tiny16"] = "vjepa2_vitl16"
    """The model of the V-JEPA 2 family; vjepa2_tiny16 has no published weights and is for trying things out."""
    weights: Weights | None = None
    """Where the model's weights come from; needed where clips are encoded."""
    batch_size: int = Field(default=4, ge=1, le=MOST_BATCH)
    """Clips that are encoded at a time; halved where a GPU's memory is too small, on a CPU at most one a thread."""
    replicas: int = Field(default=1, ge=1, le=1000)
    """Encoders that share the work. On one machine they share its CPUs, and each has its part of the GPUs."""
    crop_size: int = Field(default=256, ge=16, le=MOST_CROP)
    """Width and height of what the model sees, pixels; a multiple of its patch, 16."""
    dtype: Literal["fp16", "fp32"] = "fp16"
    """Type of the saved features."""
    memory: Annotated[Bytes, Field(gt=0)] = 8 * 2**30
    """Memory of an encoder's pod, in a cluster."""
    cpu: Annotated[Cpus, Field(gt=0)] | None = None
    """CPUs of an encoder's pod, in a cluster: requested, and its limit. Left out: 500m are requested, and there is no
    limit."""
    pod: PodOptions = PodOptions()
    """Where and how the encoders run, in a cluster."""

    @field_validator("crop_size")
    @classmethod
    def _patches(cls, size: int) -> int:
        if size % 16:
            raise ValueError("expected a multiple of 16, the model's patch size")
        return size

    @model_validator(mode="after")
    def _has_weights(self) -> Self:
        if self.enabled and self.weights is None:
            raise ValueError("weights: missing, expected {source: FILE or FOLDER or random}, or encode.enabled: false")
        return self


class Storage(Model):
    """The volume of a run in a cluster; on one machine ``--output`` says where clips go."""

    claim_name: Text | None = Field(default=None, min_length=1)
    """A PersistentVolumeClaim that is there already."""
    size: Annotated[Bytes, Field(gt=0)] | None = None
    """Size of a claim that is made for the run, and stays when the run is deleted."""
    storage_class_name: Text | None = None
    """Storage class of the claim that is made; the cluster's default where it is left out."""
    access_mode: Literal["ReadWriteMany", "ReadWriteOnce"] = "ReadWriteMany"
    """Of the claim that is made. ReadWriteOnce is for clusters of one node, and for pods that a node selector keeps on
    one: what many clusters have as their default class gives no other."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.claim_name is None) == (self.size is None):
            raise ValueError("claimName: expected either claimName or size")
        return self


class RunSpec(Model):
    """``spec`` of a BenchmarkRun."""

    seed: int = Field(default=0, ge=0, lt=2**53)
    """All randomness of all clips comes from it; 0 is a seed like any other."""
    clips: ClipRange
    """The clips to make."""
    workers: int | None = Field(default=None, ge=1, le=10_000)
    """Clips rendered at a time; by default CPUs / render.threads - 2 of each machine that is there at the start, and at
    least 1."""
    suspend: bool = False
    """Start no new clip; those that run go on to their end."""
    storage: Storage | None = None
    """The volume that the clips go to, in a cluster; on one machine --output says where they go."""
    experiment: Experiment
    """What is filmed."""
    render: Render = Render()
    """How clips are rendered."""
    vram: Vram = Vram()
    """When GPU memory holds new clips back."""
    retry: Retry = Retry()
    """What happens when clips cannot be rendered."""
    encode: Encode
    """How clips become features."""
    ttl_after_finished: Seconds | None = None
    """How long a finished run stays in a cluster; the clips stay anyway."""

    def contract(self) -> ContractExperiment:
        """Return the experiment as the renderer knows it."""
        return ContractExperiment.from_json(self.experiment_json())

    def experiment_json(self) -> str:
        """Return the JSON that the renderer gets, all defaults filled in.

        How the background is rendered belongs to it, because the frames' bytes depend on it.
        """
        experiment = self.experiment.model_dump(mode="json", by_alias=True, exclude_none=True)
        return json.dumps(experiment | {"background": self.render.background}, sort_keys=True)

    @model_validator(mode="after")
    def _covered(self) -> Self:
        uncovered = self.experiment.first_uncovered(self.clips)
        if uncovered is not None:
            raise ValueError(f"experiment.phases: no phase holds clip {uncovered}, expected each clip in one phase")
        return self

    @model_validator(mode="after")
    def _can_be_simulated(self) -> Self:
        for i, phase in enumerate(self.experiment.phases):
            if phase.friction.max > MOST_FRICTION and not self.render.command:
                raise ValueError(
                    f"experiment.phases[{i}].friction.max: found {phase.friction.max:g}, expected {MOST_FRICTION:g} or"
                    " less, or a renderer of your own (render.command)"
                )
        return self


class Metadata(Model):
    """The part of Kubernetes' metadata that is read; the rest is the API server's business."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(pattern=RUN_NAME)
    namespace: str | None = None
    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)


class Run(Model):
    """A BenchmarkRun."""

    api_version: Literal["clipfarm.dev/v1alpha1"]
    kind: Literal["BenchmarkRun"]
    metadata: Metadata
    spec: RunSpec

    @property
    def name(self) -> str:
        """The resource's name."""
        return self.metadata.name


def default_workers(cpus: int, threads: int) -> int:
    """Return how many clips render at a time: two fewer than would fit, which leaves room for system and encoder."""
    return max(1, cpus // threads - 2)
