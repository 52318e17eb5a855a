"""Clips whose numbers come one by one, as an executor on this machine admits them.

The process of a clip lives on for the next one, as in a block on a GPU. So the executor decides about each clip, and
none pays for loading Blender and for setting up the GPU again.
"""

import os
import select
import sys
from collections.abc import Callable, Iterator

from clipfarm_contract.experiment import ClipRecipe
from clipfarm_contract.layout import RunFolder
from clipfarm_contract.serving import Answer
from clipfarm_render.output import say
from clipfarm_render.supervising import attempt
from clipfarm_render.supervising.attempt import Stopped
from clipfarm_render.supervising.block import line_about
from clipfarm_render.supervising.children import Children, Renderer
from clipfarm_render.supervising.choosing import UsageError
from clipfarm_render.supervising.stopping import Stop

POLL_SECONDS = 0.1
"""How often it is asked whether to end, while no clip comes."""
MOST_BYTES = 4096


def serve(run: RunFolder, recipe: Callable[[int], ClipRecipe], renderer: Renderer, stop: Stop) -> None:
    """Make clips until no more come, and answer each on the standard output (:mod:`clipfarm_contract.serving`).

    Args:
        run: where the clips belong.
        recipe: returns that of a clip.
        renderer: how clips are made.
        stop: asked again and again.

    Raises:
        Stopped: ``stop`` asked to end.
        UsageError: something else than a clip's number came.
        ContractError: a number is that of no clip of the run.
    """
    with Children(renderer) as children:
        for clip in _given(sys.stdin.fileno(), stop):
            outcome = attempt.make(run, recipe(clip), children, stop, another=lambda: True)()
            say(line_about(outcome))
            answer = Answer(clip, int(outcome.result.exit_code), kept=children.go_on)
            sys.stdout.write(f"{answer.dump()}\n")
            sys.stdout.flush()


def _given(descriptor: int, stop: Stop) -> Iterator[int]:
    rest = b""
    while True:
        if stop.requested:
            raise Stopped
        if not select.select([descriptor], [], [], POLL_SECONDS)[0]:
            continue
        data = os.read(descriptor, MOST_BYTES)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in [*lines, rest] if len(rest) > MOST_BYTES else lines:
            if not (line.isdigit() and len(line) <= 9):
                raise UsageError(f"--serve: found {line[:60]!r}, expected the number of a clip")
            yield int(line)
