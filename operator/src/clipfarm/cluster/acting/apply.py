"""Doing what a plan says.

Besides this :mod:`clipfarm.cluster.acting.release` takes gates off, :mod:`clipfarm.cluster.acting.sweep` deletes pods
that have ended, and nothing else changes a run's objects.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from clipfarm.cluster.acting.background import Background
from clipfarm.cluster.acting.change import Change
from clipfarm.cluster.acting.foreign import ForeignError, foreign
from clipfarm.cluster.acting.lost import failed_status
from clipfarm.cluster.api.backoff import pause
from clipfarm.cluster.api.client import JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, Api, Manifest
from clipfarm.cluster.api.errors import CONFLICT, FAULTS, NOT_FOUND, ApiError
from clipfarm.cluster.api.owners import RunKey, controller
from clipfarm.cluster.api.paths import run_path
from clipfarm.cluster.api.times import api_time
from clipfarm.cluster.observing.refused import advice
from clipfarm.cluster.observing.series import Series
from clipfarm.cluster.observing.stuck import AVOID_SECONDS
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.observing.work import Lowering, Work
from clipfarm.cluster.reporting.events import Notice, event, notices

LOGGER = logging.getLogger(__name__)


def begin(work: Work, changes: Iterable[Change], now: float) -> None:
    """Note what holds from the decision on, before the first request is made."""
    for change in changes:
        if change.lowers is not None:
            work.on_job.lowering = Lowering(change.lowers, now)
        if change.avoids is not None:
            node, why = change.avoids
            work.on_job.avoided[node] = (now + AVOID_SECONDS, why)


def _parallelism(change: Change) -> int:
    """Return how many pods a change of a Job asks for; 0 where it deletes it."""
    return int(change.body.get("spec", {}).get("parallelism", 0)) if isinstance(change.body, dict) else 0


class Applier(Background):
    """Carries plans out, in the background, one after the other for each run.

    What fails is tried again by a later tick, which sees that it is still undone.
    """

    def __init__(self, api: Api, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        super().__init__()
        self._api = api
        self._clock = clock
        self._wall = wall

    def free(self, tracked: Tracked) -> bool:
        """Return whether changes of a run may begin: none is under way, and none has failed just now."""
        work = tracked.work
        return (work.doing is None or work.doing.done()) and self._clock() >= work.not_before

    def apply(
        self, tracked: Tracked, changes: Iterable[Change], status: dict[str, Any] | None, *, expired: bool
    ) -> None:
        """Begin to carry out changes, then write the status, if there is one; or delete a run whose time is over."""
        wanted = [] if expired else list(changes)
        begin(tracked.work, wanted, self._clock())
        work = self._delete(tracked) if expired else self._do(tracked, wanted, status)
        tracked.work.doing = self._start(work)

    async def _do(self, tracked: Tracked, changes: list[Change], status: dict[str, Any] | None) -> None:
        for change in changes:
            if not tracked.gone:
                await self._change(tracked, change)
        if status is not None and not tracked.gone:
            await self._write_status(tracked, status)

    async def _change(self, tracked: Tracked, change: Change) -> bool:
        """Carry out a change, and what it needs before, and return whether it is done."""
        if change.needs is not None and not await self._change(tracked, change.needs):
            return False
        call: Awaitable[Any]
        if isinstance(change.body, dict) and change.verb == "delete":
            call = self._api.delete(
                change.path, change.body["uid"], propagation=change.body.get("propagation", "Background")
            )
        elif isinstance(change.body, dict) and change.verb == "clear":
            call = self._api.delete_all(change.path, **change.body)
        elif isinstance(change.body, dict) and change.verb == "give up":
            call = self._give_up(change.path, change.body["uid"], change.body["node"])
        elif isinstance(change.body, dict) and change.verb in ("create", "evict"):
            call = (
                self._create(change, change.body)
                if change.verb == "create"
                else self._api.create(change.path, change.body)
            )
        else:
            kind = JSON_PATCH if isinstance(change.body, list) else MERGE_PATCH
            call = self._api.patch(change.path, change.body, kind)
        what = f"{change.verb} the {change.kind} {change.name}"
        if await self._try(tracked, call, what, optional=change.kind if change.optional else ""):
            work = tracked.work
            work.problem = ""
            work.refused.pop(change.kind, None)
            if change.kind == "Job":
                work.on_job.raised_at = self._clock()
                work.on_job.parallelism = _parallelism(change)
            if change.verb == "create":
                work.made[change.kind] = self._clock()
                LOGGER.info("made the %s %s/%s", change.kind, tracked.owner.namespace, change.name)
            if change.verb == "evict" and isinstance(change.body, dict):
                work.on_job.evicted.add(change.body["deleteOptions"]["preconditions"]["uid"])
            if change.verb == "give up" and isinstance(change.body, dict):
                work.on_job.given_up[change.body["uid"]] = change.body["node"]
            if change.event is not None:
                await self._report(tracked, change.event)
            return True
        if change.optional:
            tracked.work.made[change.kind] = self._clock()  # refused: tried again after some time, and not at once
        return False

    async def _give_up(self, path: str, uid: str, node: str) -> None:
        """End a pod in its node's place. If it is gone meanwhile, nothing is left to do.

        Raises:
            ApiError: one of the two requests was refused; the next attempt makes both again.
        """
        status = failed_status(api_time(self._wall()), node)
        await self._api.patch(f"{path}/status", {"metadata": {"uid": uid}, "status": status}, STRATEGIC_PATCH)
        await self._api.delete(path, uid, grace=0)

    async def _create(self, change: Change, body: Manifest) -> None:
        try:
            await self._api.create(change.path, body)
        except ApiError as error:
            if error.code == CONFLICT and change.kind == "ConfigMap":
                return  # its name says which run's, which attempt's, and what stands in it
            if error.code != CONFLICT or change.kind == "PersistentVolumeClaim":
                raise
            there = await self._api.get(f"{change.path}/{change.name}")
            if there is None or controller(there) == controller(body):
                raise  # gone again, or made by the request before this one, whose answer was lost
            raise ForeignError(foreign(there)) from error

    async def _write_status(self, tracked: Tracked, status: dict[str, Any]) -> None:
        before = tracked.status
        # A field that is no longer there has to be named to be removed. The UID makes it a conflict where another run
        # has taken the name.
        fields = status | dict.fromkeys(before.keys() - status.keys())
        body = {"metadata": {"uid": tracked.owner.uid}, "status": fields}
        tracked.work.status_written_at = self._clock()
        if not await self._try(
            tracked, self._api.patch(f"{run_path(tracked.key)}/status", body, MERGE_PATCH), "write status"
        ):
            return
        tracked.status = status
        for notice in notices(before, status):
            await self._report(tracked, notice)

    async def _report(self, tracked: Tracked, notice: Notice) -> None:
        key, series = tracked.key, tracked.work.series.setdefault(notice.reason, Series(self._wall()))
        if not series.take(self._clock()):
            return
        LOGGER.info("%s/%s: %s: %s", *key, notice.reason, notice.message)
        made = event(key, tracked.owner.uid, notice, series, self._wall())
        if await self._try(tracked, self._write_event(key, made, series), "write an Event"):
            series.made = True

    async def _write_event(self, key: RunKey, made: Manifest, series: Series) -> None:
        path = f"/api/v1/namespaces/{key[0]}/events"
        if series.made:
            changed = {field: made[field] for field in ("message", "lastTimestamp", "count")}
            try:
                await self._api.patch(f"{path}/{made['metadata']['name']}", changed, MERGE_PATCH)
            except ApiError as error:
                if error.code != NOT_FOUND:  # Events are kept for an hour or so
                    raise
            else:
                return
        await self._api.create(path, made)

    async def _delete(self, tracked: Tracked) -> None:
        LOGGER.info("%s/%s: finished longer ago than ttlAfterFinished says; deleted, its clips stay", *tracked.key)
        await self._try(tracked, self._api.delete(run_path(tracked.key), tracked.owner.uid), "delete the run")

    async def _try(self, tracked: Tracked, call: Awaitable[Any], what: str, *, optional: str = "") -> bool:
        """Make a request; one that comes too late, or a fault of the moment, is left to a later tick.

        Args:
            tracked: the run.
            call: the request.
            what: what it does, for messages.
            optional: kind of the object, if the run is none the worse if it is refused; empty: it is.
        """
        asked, work = None, tracked.work
        try:
            await call
        except ForeignError as error:
            work.problem = f"cannot {what}: {error}"
            LOGGER.warning("%s: %s", tracked.run.name, work.problem)
        except ApiError as error:
            asked = error.retry_after
            late = error.code == NOT_FOUND or (error.code == 403 and "being terminated" in error.message)
            if optional:
                work.refused[optional] = error.message
                LOGGER.warning("%s: cannot %s: %s", tracked.run.name, what, error.message)
            elif not late and not error.passing:
                work.problem = f"cannot {what}: {error.message}{advice(error.message, 'render')}"
                LOGGER.warning("%s: %s", tracked.run.name, work.problem)
            elif error.code == CONFLICT and what.startswith("create the PersistentVolumeClaim"):
                return True  # of an earlier run, or an earlier life of this process: claims stay
            else:
                LOGGER.info("%s: cannot %s: %s", tracked.run.name, what, error)
        except FAULTS as error:
            LOGGER.info("%s: cannot %s: %s", tracked.run.name, what, error or type(error).__name__)
        else:
            work.failures = 0
            return True
        work.failures += 1
        work.not_before = self._clock() + pause(work.failures, asked)
        return False
