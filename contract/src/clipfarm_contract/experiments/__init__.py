"""The built-in experiments, each declared in a file of its own."""

from collections.abc import Mapping

from clipfarm_contract.experiments import collide, drop, occlude, push, ramp, stack
from clipfarm_contract.experiments.declaration import Declaration

EXPERIMENTS: Mapping[str, Declaration] = {
    module.DECLARATION.name: module.DECLARATION for module in (push, drop, collide, ramp, occlude, stack)
}
"""By the name that a run file gives."""
