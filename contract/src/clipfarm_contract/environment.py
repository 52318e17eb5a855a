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
CLIP_MODULE = "CLIP_MODULE"
"""The file with the run's own experiment; unset for a built-in one."""
CLIP_DEVICE = "CLIP_DEVICE"
"""``cpu``, ``cuda``, ``optix``, or ``gpu``: OptiX where the driver has it, else CUDA."""
CLIP_REPORT = "CLIP_REPORT"
"""A path outside ``CLIP_DIR`` where the renderer may write a JSON report (:class:`ChildReport`)."""
CLIP_CACHE = "CLIP_CACHE"
"""A folder outside ``CLIP_DIR`` that the clips of a run share: whatever a renderer keeps there it can make again."""
CLIP_PREPARING = "CLIPFARM_PREPARING"
"""A file that the renderer keeps while it compiles for a GPU that this run has not used before, with what it does in a
line: a pod's readiness probe looks for it."""

RUN_EXPERIMENT = "CLIPFARM_EXPERIMENT"
"""JSON: the run's whole experiment with all its phases; what the supervisor reads."""
RUN_CLIPS = "CLIPFARM_CLIPS"
"""In a pod: the clips that its Job makes, as ranges. They stand on the supervisor's command line, too."""

GIVE_UP_AFTER = "CLIPFARM_GIVE_UP_AFTER"
"""To the supervisor of a block: how many clips in a row may fail alike, while no clip of the run is complete, before it
leaves the others untried; unset: all are tried."""

JOB = "CLIPFARM_JOB"
"""To the supervisor of a block: what identifies its Job. The attempts of clips are counted within it."""
RETRY_LIMIT = "CLIPFARM_RETRY_LIMIT"
"""To the supervisor of a block: how often a clip that ran out of GPU memory is tried again; unset: the supervisor does
not count, and the Job counts the block's attempts."""

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

MOST_THREADS = 1024
"""Blender takes no more (BLENDER_MAX_THREADS), and OpenMP's runtime refuses what is much larger."""

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

    Has to run before NumPy is imported: its BLAS reads the variables once, when it is loaded. A variable that is set
    keeps its number: of a list, as OpenMP takes it for parallel regions inside each other ("4,2"), the first one. A
    variable that is unset or empty follows ``OMP_NUM_THREADS`` if that is set, else ``default``.

    Raises:
        ThreadLimitError: a variable is set to something that is no positive whole number.
    """
    environ = os.environ if environ is None else environ
    given = {name: environ.get(name, "").strip() for name in THREAD_COUNT_VARIABLES}
    counts = {name: _threads(name, value) for name, value in given.items() if value}
    fallback = counts.get("OMP_NUM_THREADS", default)
    environ.update({name: str(counts.get(name, fallback)) for name in THREAD_COUNT_VARIABLES})
    environ.setdefault(MKL_THREADING_LAYER, thread_environment(fallback)[MKL_THREADING_LAYER])
    variables = tuple((name, environ[name]) for name in thread_environment(fallback))
    return ThreadLimits(blender=int(environ["BLENDER_CPU_THREADS"]), variables=variables)


def _threads(name: str, value: str) -> int:
    first = value.partition(",")[0].strip()
    if first.isascii() and first.isdigit() and len(first) <= len(str(MOST_THREADS)) and 0 < int(first) <= MOST_THREADS:
        return int(first)
    raise ThreadLimitError(f"{name}: found {value[:60]!r}, expected a whole number from 1 to {MOST_THREADS}")
