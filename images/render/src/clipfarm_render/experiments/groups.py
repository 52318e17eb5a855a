"""Which place a clip has in its group, and what it draws there."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from clipfarm_contract.experiments.groups import Kind, shifted
from clipfarm_contract.experiments.scene import Phase, Scene
from clipfarm_render.experiments import ensemble
from clipfarm_render.experiments.ensemble import Ensemble
from clipfarm_render.experiments.story import Story
from clipfarm_render.scene.sample import Stream
from clipfarm_render.seeds import clip_seed

VIOLATION_KEY = 2**31
"""Of the stream that kind and frame of a violation are drawn from: far from those of bodies."""
IMMOVABLE = 1000.0
"""So many times the mass of an object that looks the same and is not moved by a hit."""


@dataclass(frozen=True, slots=True)
class Member:
    """A clip's place in its group."""

    group: int
    """Number of the group, from 0."""
    place: int
    """From 0."""
    seed: int
    """Of the group: that of its first clip."""

    @classmethod
    def of(cls, scene: Scene, run_seed: int, index: int) -> "Member":
        """Return the place of a clip."""
        group, place = divmod(index, scene.group)
        return cls(group, place, clip_seed(run_seed, index - place))


@dataclass(frozen=True, slots=True)
class Violation:
    """What happens in the impossible clips of a group."""

    kind: Kind
    frame: int
    """The first frame that shows it."""

    @classmethod
    def draw(cls, scene: Scene, seed: int) -> "Violation":
        """Return what a group with this seed gets."""
        violations = scene.violations
        assert violations is not None
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(VIOLATION_KEY,)))
        kind, frame = rng.random(2).tolist()
        span = violations.most - violations.least + 1
        return cls(violations.kinds[int(kind * len(violations.kinds))], violations.least + int(frame * span))


def stream(scene: Scene, phase: Phase, member: Member, run_seed: int, index: int) -> Stream:
    """Return where a clip's values come from: its group's stream, and for factors that vary among twins its own."""
    own: Callable[[str], int] | None = None
    if scene.twins is not None:
        vary, seed = scene.twins.vary, clip_seed(run_seed, index)

        def own(factor: str) -> int:
            return seed if factor in vary else member.seed

    return Stream(scene.declaration, phase, member.seed, own)


def second(story: Story, scene: Scene, drawn: Stream, kind: Kind) -> Any:
    """Return the sample of the second possible clip of a group with a violation."""
    if kind == "perpetual":
        values = {**drawn.values(), "friction": 0.0}
        return story.draw(values, lambda stream: {**drawn.values(stream), "friction": 0.0}, scene)
    if kind == "no-reaction":
        sample: Ensemble = story.draw(drawn.values(), drawn.values, scene)
        mover, hit = sample.specs
        return replace(sample, specs=(mover, replace(hit, mass=hit.mass * IMMOVABLE)))
    moved = replace(drawn, shifted=shifted(kind, scene.declaration))
    return story.draw(moved.values(), drawn.values, scene)


def without(sample: Any, kind: Kind, *, last: bool) -> Any | None:
    """Return a sample without the object that a violation takes away; None if there is no other."""
    if not isinstance(sample, Ensemble):
        return None
    return ensemble.without(sample, len(sample.specs) - 1 if last or kind == "pass-through" else 0)
