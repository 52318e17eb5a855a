"""Stories: what happens in each built-in experiment, from the values that a clip has drawn to its ground truth.

An experiment is declared in the contract (:mod:`clipfarm_contract.experiments`), under the same name. A story is a
module with the functions of :class:`~clipfarm_render.experiments.story.Story`.
"""

import importlib
from typing import Any, cast

from clipfarm_contract.experiments import EXPERIMENTS
from clipfarm_contract.experiments.scene import Phase, Scene
from clipfarm_render import own_experiment
from clipfarm_render.experiments.story import Story, Values
from clipfarm_render.scene.sample import Stream

STORIES = {name: f"{__name__}.{name}" for name in EXPERIMENTS}
"""Modules by the name of the experiment; loaded when a clip asks for one, because that loads Blender."""


def story(name: str) -> Story:
    """Return the story of a built-in experiment."""
    return cast("Story", importlib.import_module(STORIES[name]))


def story_of(scene: Scene) -> Story:
    """Return the story of a scene, which may be of the user's own."""
    return story(scene.name) if scene.module is None else cast("Story", own_experiment.loaded(scene.module))


def draw(scene: Scene, phase: Phase, seed: int) -> tuple[Values, Any]:
    """Return the values of a clip with this seed of its own, and its story's sample."""
    stream = Stream(scene.declaration, phase, seed)
    values = stream.values()
    return values, story_of(scene).draw(values, stream.values, scene)
