"""Runs that the API server accepted although they are wrong: their status says so, and nothing else is done."""

import logging
from collections.abc import Callable

from pydantic import ValidationError

from clipfarm.cluster.acting.background import Background
from clipfarm.cluster.api.client import MERGE_PATCH, Api, Manifest
from clipfarm.cluster.api.errors import FAULTS, ApiError
from clipfarm.cluster.api.owners import RunKey
from clipfarm.cluster.api.paths import run_path
from clipfarm.cluster.api.views import RunView
from clipfarm.cluster.reporting.conditions import Kind, condition
from clipfarm.cluster.reporting.standard_conditions import Finding, StandardKind
from clipfarm.run_mistakes import error_lines
from clipfarm.run_status import RunStatus

LOGGER = logging.getLogger(__name__)
AGAIN_SECONDS = 5.0


class Refusals(Background):
    """Writes once into each run what is wrong with it; anew when it was changed."""

    def __init__(self, api: Api, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        super().__init__()
        self._api = api
        self._clock = clock
        self._wall = wall
        self._reported: dict[RunKey, RunView] = {}
        self._not_before: dict[RunKey, float] = {}

    def report(self, key: RunKey, view: RunView, error: ValueError) -> None:
        """Begin to write into a run's status what is wrong, unless that was done."""
        if self._reported.get(key) == view or self._clock() < self._not_before.get(key, 0.0):
            return
        self._not_before[key] = self._clock() + AGAIN_SECONDS
        self._start(self._write(key, view, error))

    def forget(self, key: RunKey) -> None:
        """Record that a run is gone, or is valid now."""
        self._reported.pop(key, None)
        self._not_before.pop(key, None)

    async def _write(self, key: RunKey, view: RunView, error: ValueError) -> None:
        status = refused(view, error, self._wall())
        LOGGER.warning("%s/%s: %s", *key, status["conditions"][0]["message"])
        body = {"metadata": {"uid": view.uid}, "status": status}
        try:
            await self._api.patch(f"{run_path(key)}/status", body, MERGE_PATCH)
        except (ApiError, *FAULTS) as fault:
            LOGGER.info("%s/%s: %s", *key, fault or type(fault).__name__)
        else:
            self._reported[key] = view


def refused(view: RunView, error: ValueError, wall: float) -> Manifest:
    """Return the status of a run that makes no sense."""
    lines = error_lines(error) if isinstance(error, ValidationError) else [str(error)]
    before = view.document.get("status", {})
    message = "; ".join(lines)
    found: dict[Kind | StandardKind, Finding] = {"Ready": ("False", "Invalid", message)}
    found |= dict.fromkeys(("Failed", "Stalled"), ("True", "Invalid", message))
    counts = dict.fromkeys(("total", "rendered", "encoded", "failed", "running", "retried"), 0)
    made = RunStatus(
        phase="Invalid",
        observed_generation=view.generation,
        **(counts | {name: before.get(name, 0) for name in ("rendered", "encoded", "failed", "total")}),
        conditions=tuple(condition(before, view.generation, kind, finding, wall) for kind, finding in found.items()),
    )
    return made.model_dump(mode="json", by_alias=True, exclude_none=True)
