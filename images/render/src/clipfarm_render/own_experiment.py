"""An experiment of the user's own: one Python file with a declaration and a story, run here and nowhere else.

What is wrong with the file is one line that names the file and the line in it. Messages call the file by the
experiment's name, because in a cluster it has no other.
"""

import linecache
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import cast

from clipfarm_contract import regular
from clipfarm_contract.experiments.declaration import Declaration, Factor
from clipfarm_contract.experiments.laws import Law
from clipfarm_contract.experiments.module import Module
from clipfarm_contract.fields import ContractError, show
from clipfarm_contract.text import any_of

WHERE = "experiment.module"
FUNCTIONS = ("draw", "build", "move", "truth")
NAMES = ("DECLARATION", *FUNCTIONS, "CHECKS")
"""What a module has to have."""
_LOADED: dict[str, ModuleType] = {}
"""By hash: a process makes one clip after the other."""


def declare(name: str, module: Module) -> Declaration:
    """Run a module, and return what it declares. Blender has to be there, because stories import it.

    Raises:
        ContractError: it cannot be run, or lacks something.
    """
    if module.sha256 not in _LOADED:
        _LOADED[module.sha256] = _run(name, module)
    return cast("Declaration", _LOADED[module.sha256].DECLARATION)


def loaded(module: Module) -> ModuleType:
    """Return a module that has declared its experiment."""
    return _LOADED[module.sha256]


def read(path: Path, module: Module) -> Module:
    """Return a module with its text, from the file that a run keeps.

    Raises:
        ContractError: the file cannot be read, or is another one.
    """
    try:
        text = regular.read_given(path, f"{WHERE}: {path}").decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"{WHERE}: {path} cannot be read: {error}") from error
    if (found := Module.of(text)).sha256 != module.sha256:
        raise ContractError(f"{WHERE}: found {path} changed, expected the file with the SHA-256 {module.sha256}")
    return found


def in_module(error: BaseException) -> str:
    """Return where in a module an error was raised, as ``slide.py, line 12: ``; empty if not in one."""
    files = {module.__file__: module.__name__ for module in _LOADED.values()}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return f"{WHERE}: {frames[-1].filename}, line {frames[-1].lineno}: " if frames else ""


def said_of(name: str, error: BaseException) -> str:
    """Return an error of one of a module's functions, in one line; also if only clipfarm's own code was in it."""
    return f"{in_module(error) or f'{WHERE}: {name}.py: '}{in_one_line(error)}"


def in_one_line(error: BaseException) -> str:
    """Return an error's kind and message."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _run(name: str, module: Module) -> ModuleType:
    file = f"{name}.py"
    made = ModuleType(f"clipfarm_module_{name.replace('-', '_')}")
    made.__file__ = file
    # For tracebacks in a clip's log, which show the lines.
    linecache.cache[file] = (len(module.source), None, module.source.splitlines(keepends=True), file)
    sys.modules[made.__name__] = made  # where dataclasses look for their module
    try:
        exec(compile(module.source, file, "exec", dont_inherit=True), made.__dict__)  # noqa: S102 - see SECURITY.md
    except SyntaxError as error:
        line = error.lineno if error.filename == file else _line_of(error, file)
        raise ContractError(f"{WHERE}: {file}, line {line}: {error.msg}") from error
    except (Exception, SystemExit) as error:  # whatever a file may raise
        raise ContractError(f"{WHERE}: {file}, line {_line_of(error, file)}: {in_one_line(error)}") from error
    if problem := _problem(name, made):
        raise ContractError(f"{WHERE}: {file}: {problem}")
    return made


def _line_of(error: BaseException, file: str) -> int:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return (lines[-1] if lines else 1) or 1


def _problem(name: str, made: ModuleType) -> str | None:
    if lacking := [each for each in NAMES if not hasattr(made, each)]:
        return f"found no {' and no '.join(lacking)}, expected {', '.join(NAMES)}"
    if not isinstance(made.DECLARATION, Declaration):
        return f"found {show(made.DECLARATION)} as DECLARATION, expected a Declaration"
    if made.DECLARATION.name != name:
        return (
            f"found the name {show(made.DECLARATION.name)} in DECLARATION, expected {name}, experiment.name of the run"
        )
    if no_function := next((each for each in FUNCTIONS if not callable(getattr(made, each))), None):
        return f"found {no_function} that is no function, expected one of {any_of(FUNCTIONS)}"
    if not isinstance(made.CHECKS, tuple) or not all(map(callable, made.CHECKS)):
        return "found CHECKS that is no tuple of functions, expected one, such as ()"
    factors = made.DECLARATION.factors
    if not isinstance(factors, tuple) or not all(isinstance(each, Factor) for each in factors):
        return "found factors that are no tuple of Factor in DECLARATION, expected one, such as (factors.MASS,)"
    if odd := next((each for each in factors if not isinstance(each.default, Law)), None):
        return f"found {show(odd.default)} as the default of {odd.name}, expected a law, such as Uniform(1, 2)"
    names = [factor.name for factor in factors]
    if twice := next((each for each in names if names.count(each) > 1), None):
        return f"found the factor {twice} twice, expected each once"
    return None
