"""An experiment as the renderer reads it, and the first law in it that a renderer cannot have."""

import json
import re
from typing import TYPE_CHECKING

from clipfarm_contract.experiments.reading import Declared

if TYPE_CHECKING:
    from clipfarm.experiment import Experiment


def declared(experiment: "Experiment", background: str) -> Declared:
    """Return an experiment as the renderer reads it.

    Raises:
        ContractError: it cannot be; the message names the field, from the experiment on.
    """
    document = experiment.model_dump(mode="json", by_alias=True, exclude_none=True)
    if experiment.module is not None:
        module = experiment.module.contract()
        document["module"] = module.to_json() | {"source": module.source}
    return Declared.from_json(json.dumps(document | {"background": background}), "")


def problem(made: Declared, experiment: "Experiment", *, own_renderer: bool) -> str | None:
    """Return the first law that a renderer cannot have, with its field; None if there is none.

    Args:
        made: the experiment as the renderer reads it.
        experiment: the same as the run file has it.
        own_renderer: whether a renderer of the user's own makes the clips.
    """
    if found := made.scene.group_problem():
        return found
    for i, phase in enumerate(experiment.phases):
        entry = next(each.phase for each in made.phases if each.phase.name == phase.name)
        found = made.scene.problem(entry, own_renderer=own_renderer)
        if found is None:
            continue
        factor = found.partition(":")[0]
        if factor in (phase.factors or {}):
            return f"phases[{i}].factors.{found}"
        if getattr(phase, factor, None) is not None:
            return f"phases[{i}].{found}"
        if factor == "violations":
            return found
        if factor.startswith("exclude"):
            return _of_exclude(found, i, len(experiment.exclude or ()), len(phase.exclude or ()))
        return f"factors.{found}"
    return None


def _of_exclude(found: str, phase: int, common: int, own: int) -> str:
    """Return a message about a phase's exclusions, those of the whole experiment first, with the field of the run."""
    entry = re.match(r"exclude\[(\d+)\]", found)
    if entry is None:
        return f"phases[{phase}].{found}" if own else found
    number = int(entry[1])
    if number < common:
        return found
    return f"phases[{phase}].exclude[{number - common}]{found[entry.end() :]}"
