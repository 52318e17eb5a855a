"""Environment variables of a renderer, and the thread limits."""

import os
from collections.abc import MutableMapping
from dataclasses import dataclass

CLIP_INDEX = "CLIP_INDEX"
"""Which clip: a decimal number."""
CLIP_SEED = "CLIP_SEED"
"""The clip's own seed, a decimal number below 2**64; all of the clip's randomness has to come from it."""
CLIP_RUN_SEED = "CLIP_RUN_SEED"
"""The run's seed, a decimal number, from which and the index the clip's own comes: for the record."""
CLIP_DIR = "CLIP_DIR"
"""The folder that the renderer writes its files into; it exists and is empty."""
CLIP_EXPERIMENT = "CLIP_EXPERIMENT"
"""JSON: the experiment with the one phase that this clip belongs to (:meth:`ClipRecipe.experiment_json`)."""
CLIP_DEVICE = "CLIP_DEVICE"
"""``cpu``, ``cuda`` or ``optix``."""
CLIP_REPORT = "CLIP_REPORT"
"""A path outside ``CLIP_DIR`` where the renderer may write a JSON report (:class:`ChildReport`)."""
CLIP_CACHE = "CLIP_CACHE"
"""A folder outside ``CLIP_DIR`` that the clips of a run share: whatever a renderer keeps there it can make again."""

RUN_EXPERIMENT = "CLIPFARM_EXPERIMENT"
"""JSON: the run's whole experiment with all its phases; what the supervisor reads."""

GPU = "CLIPFARM_GPU"
"""UUID of the one GPU that the supervisor's clips are to use; empty: those that the process sees."""

THREAD_COUNT_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "BLENDER_CPU_THREADS",
)
"""Each holds a number of threads. Blender does not read the last one itself: the renderer hands it on."""

MKL_THREADING_LAYER = "MKL_THREADING_LAYER"
"""``GNU`` keeps MKL on the OpenMP runtime that NumPy and PyTorch load, instead of a second one beside it."""


class ThreadLimitError(ValueError):
    """A thread variable holds something that is no positive whole number."""


@dataclass(frozen=True, slots=True)
class ThreadLimits:
    """The thread limits in force in a process."""

    blender: int
    """Threads that Cycles may use."""
    variables: tuple[tuple[str, str], ...]
    """Every variable with its value, as set in the environment."""

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.variables)


def thread_environment(threads: int) -> dict[str, str]:
    """Return every variable that limits a process to ``threads`` threads."""
    return {name: str(threads) for name in THREAD_COUNT_VARIABLES} | {MKL_THREADING_LAYER: "GNU"}


def apply_thread_limits(default: int, environ: MutableMapping[str, str] | None = None) -> ThreadLimits:
    """Set the thread variables that the caller left unset, and return what is in force.

    Has to run before NumPy is imported: its BLAS reads the variables once, when it is loaded. A variable that is
    set stays as it is; one that is unset follows ``OMP_NUM_THREADS`` where that is set, and ``default`` elsewhere.

    Raises:
        ThreadLimitError: a variable is set to something that is no positive whole number.
    """
    environ = os.environ if environ is None else environ
    for name in THREAD_COUNT_VARIABLES:
        value = environ.get(name)
        if value is not None and not (value.isascii() and value.isdigit() and int(value) > 0):
            raise ThreadLimitError(f"{name}: found {value!r}, expected a whole number from 1")
    fallback = int(environ.get("OMP_NUM_THREADS", default))
    for name, value in thread_environment(fallback).items():
        environ.setdefault(name, value)
    variables = tuple((name, environ[name]) for name in thread_environment(fallback))
    return ThreadLimits(blender=int(environ["BLENDER_CPU_THREADS"]), variables=variables)
