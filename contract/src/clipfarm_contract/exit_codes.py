"""Exit codes of a renderer and of an encoder.

Of a renderer's only ``OUT_OF_VRAM`` is worth a second try: the memory may be free later. The supervisor of a block
adds ``GAVE_UP``, because clips that were not tried may be good, and ``BROKE_OFF``, which differs from ``OUT_OF_VRAM``
in who counts: a Job counts the latter against the block's attempts. Its usage error is 64 (``EX_USAGE`` of BSD's
sysexits.h) and never 2, because argparse's own 2, and python's 2 for a missing script, would
be retried as if GPU memory had run out.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a renderer's exit status means."""

    OK = 0
    """The clip is complete."""
    FAILED = 1
    """The clip failed and would fail again; the run goes on without it."""
    OUT_OF_VRAM = 2
    """GPU memory ran out; the clip is tried again later."""
    USAGE = 64
    """The command line or the environment is wrong; nothing was tried."""
    GAVE_UP = 75
    """Of a block alone: its first clips failed alike, and no clip of the run is complete; the others were not tried.
    ``EX_TEMPFAIL`` of sysexits.h: trying again may help."""
    BROKE_OFF = 76
    """Of a block alone: GPU memory ran out for a clip that has attempts left. Its result has counted this one, and the
    clips after it were not tried. The Job does not count it: a block may break off once for each of its clips."""


WORTH_ANOTHER_ATTEMPT = frozenset({ExitCode.OUT_OF_VRAM, ExitCode.GAVE_UP})
"""Ends after which a clip, or a block, gets another attempt, as often as ``retry.limit`` says."""
RAN_OUT = frozenset({ExitCode.OUT_OF_VRAM, ExitCode.BROKE_OFF})
"""Ends because GPU memory ran out."""


ENDED_WITH_2 = "ended with 2, which the contract keeps for GPU memory"
"""What is known of a renderer that ended so without a word of GPU memory, where it may have had no GPU at all.

Python ends with 2 as well if there is no such script, and many programs if they cannot read their command line.
"""

STOPPED = 143
"""How a renderer's supervisor ends when it is told to (128 + SIGTERM, as shells have it): nothing that a clip has done.

No clip's own end reads like this, because the supervisor says ``FAILED`` of a child that a signal ended.
"""


class EncoderExitCode(IntEnum):
    """What an encoder's exit status means."""

    OK = 0
    """Every clip has its features."""
    FAILED = 1
    """Some clips could not be encoded."""
    USAGE = 2
    """Wrong command line, weights that do not fit, a GPU too small for one clip: trying again is of no use."""
