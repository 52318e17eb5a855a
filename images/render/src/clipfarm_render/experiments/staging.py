"""What a clip shows: an experiment as it goes, or two of them cut together.

An impossible clip begins as one of the two possible clips of its group, and from one frame on it shows something else.
So its stage has the bodies twice: those of the one, which are there before that frame, and those of the other, which
are there from then on. What is shown before is rendered from the same bodies as in the possible clip, to the last bit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clipfarm_contract.experiments.groups import AT_THE_HIT, Kind
from clipfarm_contract.experiments.scene import Phase, Scene
from clipfarm_render.experiments import groups, showing
from clipfarm_render.experiments.ensemble import Ensemble
from clipfarm_render.experiments.groups import Member, Violation
from clipfarm_render.experiments.story import Story, Truth, Values
from clipfarm_render.job import ClipError
from clipfarm_render.scene import arena, physics
from clipfarm_render.scene.look import Look
from clipfarm_render.scene.motion import Motion
from clipfarm_render.scene.sample import Stream
from clipfarm_render.scene.splicing import body, resting, spliced
from clipfarm_render.scene.stage import Stage, seen

MOVES = 0.5
"""m/s; what is slower shows little of its friction."""
FROM_WALLS_M = 1.2
"""Nearer to a wall, the centre of an object may be about to meet it."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Part:
    """What is shown of one possible or impossible course of events."""

    sample: Any
    motion: Motion
    """Of all bodies of the sample; of one frame more than the clip has."""


@dataclass(frozen=True, slots=True)
class Show:
    """What a clip shows and says."""

    stage: Stage
    """With all bodies of both parts, for the renderer."""
    motion: Motion
    """Of them; of one frame more than the clip has."""
    told: Part
    """What the clip says of itself: each body once."""
    told_stage: Stage
    values: Values
    """What the clip has drawn, by factor."""
    said: Mapping[str, Any] = field(default_factory=dict)
    """``twin`` or ``violation`` of ``ground_truth.json``."""
    breaks: tuple[str, ...] | None = None
    """Laws of which an impossible clip has to break one; None: it is possible."""
    whole: bool = True
    """Whether it has all bodies of its experiment."""
    close: Callable[[], None] = lambda: None
    """Gives up what the simulator holds, when nothing sets the bodies' places any more."""

    @property
    def is_ordinary(self) -> bool:
        """Whether the experiment's own checks apply: it is possible, and nothing is missing."""
        return self.breaks is None and self.whole and bool(self.told.motion.visible.all())

    def truth(self, story: Story, scene: Scene) -> Truth:
        """Return what the clip records of itself."""
        motion = self.told.motion.first(scene.frames)
        truth = story.truth(self.told.sample, self.told_stage, motion, scene)
        states, document = truth.states.copy(), dict(truth.document)
        if not motion.visible.all():
            states[~motion.visible if states.ndim == 3 else ~motion.visible[:, 0]] = np.nan
            bodies = document["bodies"] if "bodies" in document else [document["object"]]
            for place, described in enumerate(bodies):
                described["visible"] = motion.visible[:, place].tolist()
        return Truth(truth.actions, states, {**document, **self.said})


SUDDEN: tuple[Kind, ...] = ("teleport", "vanish", "shape", "colour")
"""Kinds by which one clip goes on as the other, so that the two have to differ to the eye before and after."""
BREAKS: Mapping[Kind, tuple[str, ...]] = {
    "teleport": ("continuity",),
    "vanish": ("permanence",),
    "shape": ("identity",),
    "colour": ("identity",),
    "pass-through": ("solidity", "momentum"),
    "perpetual": ("friction",),
    "no-reaction": ("momentum",),
}
"""Laws of which each kind breaks at least one."""


def show(story: Story, scene: Scene, phase: Phase, run_seed: int, index: int, scratch: Path) -> Show:
    """Return what a clip shows.

    Raises:
        ClipError: an asset cannot be read, or the group's violation cannot be shown.
    """
    member = Member.of(scene, run_seed, index)
    drawn = groups.stream(scene, phase, member, run_seed, index)
    values = drawn.values()
    sample = story.draw(values, drawn.values, scene)
    acts = _Acts(story, scene, scratch, Look.of(values, scene.resolution))
    if scene.violations is not None:
        return _of_quadruplet(acts, sample, drawn, member)
    stage = acts.stage_of(sample)
    world = physics.simulator(stage.scene, scratch, stage.fixtures, wall_friction=stage.wall_friction)
    motion = story.move(world, stage, sample, scene.frames + 1, scene.fps)
    said = {}
    if scene.twins is not None:
        said["twin"] = {"group": member.group, "member": member.place, "varied": list(scene.twins.vary)}
    return Show(stage, motion, Part(sample, motion), stage, values, said, close=world.close)


def _of_quadruplet(acts: "_Acts", sample: Any, drawn: Stream, member: Member) -> Show:
    """Return what a clip of a group with a violation shows."""
    story, scene = acts.story, acts.scene
    violation, first = Violation.draw(scene, member.seed), acts.play(sample)
    if violation.kind in AT_THE_HIT:
        violation = replace(violation, frame=_hit(first.motion, scene))
    elif violation.kind == "perpetual":
        violation = replace(violation, frame=_moving(first.motion, violation.frame, scene))
    other = acts.second(first, groups.second(story, scene, drawn, violation.kind), violation)
    if violation.kind in SUDDEN:
        violation = replace(violation, frame=acts.seen(violation, first, other))
    said, count = {"violation": _said(violation, member)}, len(first.motion.trajectories)
    if member.place < 2:
        part = (first, other)[member.place]
        stage = acts.stage_of(part.sample)
        return Show(stage, part.motion, part, stage, drawn.values(), said, whole=len(part.motion.trajectories) == count)
    before, beside = (first, other) if member.place == 2 else (other, first)
    then = acts.impossible(member.place, before, beside, violation)
    return _cut(acts, before, then, violation, count, values=drawn.values(), said=said, breaks=BREAKS[violation.kind])


@dataclass(frozen=True, slots=True)
class _Acts:
    """Plays what the clips of one group are made of."""

    story: Story
    scene: Scene
    scratch: Path
    look: Look
    """Of all of them."""

    def play(self, sample: Any, friction_from: tuple[int, float] | None = None) -> Part:
        """Return what happens with a sample; from some frame on with other friction."""
        stage = self.stage_of(sample)
        world = physics.simulator(stage.scene, self.scratch, stage.fixtures, wall_friction=stage.wall_friction)
        world.friction_from = friction_from
        motion = self.story.move(world, stage, sample, self.scene.frames + 1, self.scene.fps)
        world.close()
        return Part(sample, motion)

    def stage_of(self, sample: Any) -> Stage:
        """Return a stage that no simulator follows."""
        return seen(self.story.build(sample, self.scene, self.scratch), self.look)

    def second(self, first: Part, sample: Any, violation: Violation) -> Part:
        """Return the second possible clip."""
        if violation.kind not in ("vanish", "pass-through"):
            return self.play(sample)
        fewer = groups.without(first.sample, violation.kind, last=self.scene.name == "stack")
        if fewer is not None:
            return self.play(fewer)
        return Part(first.sample, replace(first.motion, visible=np.zeros_like(first.motion.visible)))

    def seen(self, violation: Violation, first: Part, other: Part) -> int:
        """Return the frame nearest to the drawn one in which a sudden change can be seen."""
        last = violation.kind == "vanish" and self.scene.name == "stack"
        place = len(first.motion.trajectories) - 1 if last else 0
        with_body = (first,) if violation.kind == "vanish" else (first, other)
        seen = np.zeros(self.scene.frames, np.bool_)
        for part in with_body:
            seen |= showing.shown(self.stage_of(part.sample), part.motion, place, self.scene.frames)
        return showing.nearest(violation.frame, seen)

    def impossible(self, place: int, before: Part, other: Part, violation: Violation) -> Part:
        """Return what the third or the fourth clip of a group shows from its frame on.

        Args:
            place: in the group, 2 or 3.
            before: the possible clip that it is until then.
            other: the other possible clip.
            violation: of the group.
        """
        kind, frame = violation.kind, violation.frame
        if kind == "perpetual":
            return self.play(before.sample, (frame, _friction(other.sample)))
        if kind not in AT_THE_HIT:
            return other
        # The moving object goes on as if it had met another thing than it did.
        shown = [body(before.motion if kind == "no-reaction" else other.motion, 0)]
        if place == 2:
            shown.append(resting(before.motion, 1, frame))
        elif kind == "no-reaction":
            shown.append(body(other.motion, 1))
        trajectories, given = zip(*shown, strict=True)
        motion = replace(before.motion, trajectories=trajectories, given=np.stack(given, axis=1), collisions=())
        return Part(before.sample, motion)


def _cut(acts: _Acts, before: Part, then: Part, violation: Violation, count: int, **more: Any) -> Show:
    """Return a clip that shows one part until a frame, and another one from then on."""
    stages = [acts.stage_of(part.sample) for part in (before, then)]
    for each in stages[1].bodies:
        stages[1].scene.remove(each.asset)
        stages[0].scene.add(each.asset)
    early = (np.arange(before.motion.frames) < violation.frame)[:, None]
    visible = np.concatenate([before.motion.visible & early, then.motion.visible & ~early], axis=1)
    motion = Motion(before.motion.trajectories + then.motion.trajectories, visible)
    names = [[each.asset.name for each in stage.bodies] for stage in stages]
    base = 0 if len(names[0]) >= len(names[1]) else 1
    told = Part((before, then)[base].sample, spliced(before.motion, then.motion, names, base, violation.frame))
    whole = len(names[base]) == count
    stage = replace(stages[0], bodies=stages[0].bodies + stages[1].bodies)
    return Show(stage, motion, told, stages[base], whole=whole, **more)


def _hit(motion: Motion, scene: Scene) -> int:
    """Return the frame that shows the first hit of the two bodies."""
    for hit in motion.collisions:
        if hit.bodies == ("body_0", "body_1") and hit.frame < scene.frames:
            return hit.frame
    raise ClipError("violations: the objects never meet; give speed a larger least value, or the clip more frames")


def _moving(motion: Motion, frame: int, scene: Scene) -> int:
    """Return the frame next to this one before which the moving object slides freely."""
    trajectory, hits = motion.trajectories[0], {hit.frame for hit in motion.collisions}
    speed = np.linalg.norm(trajectory.velocities[:, :2], axis=1)
    free = np.abs(trajectory.positions[:, :2]).max(axis=1) < arena.HALF_SIZE - FROM_WALLS_M
    found = [at for at in range(1, scene.frames) if speed[at - 1] > MOVES and free[at] and at not in hits]
    if not found:
        raise ClipError("violations: the object never slides freely; give the push a larger least impulse")
    return min(found, key=lambda at: (abs(at - frame), at))


def _friction(sample: Any) -> float:
    return float(sample.specs[0].friction if isinstance(sample, Ensemble) else sample.friction)


def _said(violation: Violation, member: Member) -> Mapping[str, Any]:
    """Return what ``ground_truth.json`` says of a violation."""
    said = {
        "kind": violation.kind,
        "frame": violation.frame,
        "possible": member.place < 2,
        "group": member.group,
        "member": member.place,
    }
    if member.place >= 2 and violation.kind in ("shape", "colour"):
        said["becomes"] = violation.kind
    return said
