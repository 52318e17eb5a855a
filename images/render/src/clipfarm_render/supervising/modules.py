"""The text of a run's own experiment, kept with the run's files.

Children read it there, and so do commands that make a clip again: a clip's recipe has its hash alone.
"""

from clipfarm_contract import regular
from clipfarm_contract.atomic import write_atomically
from clipfarm_contract.experiments.module import Module
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import RunFolder


def keep_module(run: RunFolder, module: Module | None) -> None:
    """Write a module into the run's folder, unless it is there.

    Raises:
        ContractError: the run brings no text along.
        OSError: it cannot be written.
    """
    if module is None:
        return
    if not module.source:
        raise ContractError("experiment.module.source: missing, expected the text of the module")
    path = run.module(module.sha256)
    try:
        if Module.of(regular.read_given(path, str(path)).decode()).sha256 == module.sha256:
            return
    except (OSError, ContractError, UnicodeDecodeError):
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, module.source)
