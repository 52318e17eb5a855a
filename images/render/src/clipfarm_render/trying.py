"""``python -m clipfarm_render.trying``: whether a run's own experiment can be made, asked before anything starts.

The run's experiment comes as JSON on the standard input, with the text of its module. The module is run, its laws are
checked by its declaration, and the first clip of the run is drawn, built and moved; nothing is rendered. One line on
the standard error says what is wrong, with exit code 64.
"""

import json
import os
import sys
import tempfile
import traceback
from pathlib import Path

from clipfarm_contract.environment import apply_thread_limits
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.experiments.reading import Declared
from clipfarm_contract.fields import ContractError
from clipfarm_render import own_experiment
from clipfarm_render.job import ClipError
from clipfarm_render.supervising.supported import refuse_unsupported


def refuse(text: str, seed: int) -> None:
    """Check an experiment with a module.

    Raises:
        ContractError: what is wrong, in one line.
    """
    from clipfarm_render.picture import headless

    headless.import_blender()
    declared = Declared.from_json(text, declare=own_experiment.declare)
    refuse_unsupported(declared)
    from clipfarm_render import experiments
    from clipfarm_render.experiments import staging

    scene, first = declared.scene, declared.phases[0]
    story = experiments.story_of(scene)
    try:
        with tempfile.TemporaryDirectory(prefix="clipfarm-") as scratch:
            shown = staging.show(story, scene, first.phase, seed, first.start, Path(scratch))
            shown.truth(story, scene)
            shown.close()
    except ClipError as error:
        raise ContractError(f"experiment: clip {first.start}: {error}") from error
    except Exception as error:
        traceback.print_exc()
        raise ContractError(own_experiment.said_of(scene.name, error)) from error


def main() -> int:
    """Read the experiment and the run's seed, and return the exit code."""
    apply_thread_limits(1)
    given = json.load(sys.stdin)
    with open(os.devnull, "w") as nothing:  # noqa: PTH123 - what the simulator prints
        os.dup2(nothing.fileno(), sys.stdout.fileno())
    try:
        refuse(json.dumps(given["experiment"]), given["seed"])
    except ContractError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.USAGE
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
