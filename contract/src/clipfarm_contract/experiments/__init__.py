"""The built-in experiments, each declared in a file of its own."""

from collections.abc import Mapping

from clipfarm_contract.experiments import push
from clipfarm_contract.experiments.declaration import Declaration

EXPERIMENTS: Mapping[str, Declaration] = {declaration.name: declaration for declaration in (push.DECLARATION,)}
"""By the name that a run file gives."""
