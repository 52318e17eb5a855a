"""Which of several operators may write: the one that holds the Lease of what they watch.

An operator of all namespaces holds one Lease, an operator of some namespaces one in each of them. Before it takes its
own it looks for a holder whose namespaces overlap, of another installation too: it then says so, and waits.

The client library's leader election releases nothing when it ends, and measures by the wall clock, which may be set.
Here times are the process's own: a Lease that another holds has expired when it has not changed for its whole duration
while this process was looking (https://kubernetes.io/docs/concepts/architecture/leases/).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from clipfarm.cluster.api.client import MERGE_PATCH, Api, Manifest
from clipfarm.cluster.api.errors import CONFLICT, FAULTS, ApiError
from clipfarm.cluster.process import lease_record
from clipfarm.cluster.process.lease_record import ALL, DURATION, ONE, Identity, Record
from clipfarm_contract.objects import MANAGED_BY

LOGGER = logging.getLogger(__name__)

WRITES_END = 2 / 3
"""Share of the duration, after a renewal, for which the holder still writes. The rest is for requests under way."""
RENEWALS = 7
"""Renewals in one duration: some may fail."""
RELEASES = 3
"""Attempts to release a Lease: a renewal that was under way may come in between, and a busy API server takes long."""
LOOK_SECONDS = 1.0
"""Seconds between two attempts of an operator that waits: it takes a released Lease within this time."""


@dataclass(slots=True)
class _Seen:
    record: Record
    since: float
    """When this process first saw it so."""


@dataclass(slots=True)
class Lease:
    """The right to write, for as long as it is renewed."""

    api: Api
    namespaces: tuple[str, ...]
    """Namespaces that are watched; all if there are none."""
    home: str
    """Namespace of the Lease of all namespaces."""
    identity: Identity
    clock: Callable[[], float]
    wall: Callable[[], float]
    duration: float = DURATION
    waits_for: str = ""
    """Why this operator cannot act, in a sentence: another installation holds the Lease, or it cannot be had at all.
    Empty while it acts, and while another operator of this installation does."""
    _until: float = float("-inf")
    _seen: dict[str, _Seen] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """Seconds for which this process may write; 0 without the Lease."""
        return max(0.0, self._until - self.clock())

    def write_seconds(self) -> float:
        """Return how long a request that changes something may take from now on, seconds; 0: none may be made.

        It ends before another operator could have taken the Lease.
        """
        return self.left + self.duration * (1 - WRITES_END) if self.left else 0.0

    async def hold(self, gained: Callable[[], None], lost: Callable[[], None]) -> None:
        """Take the Lease whenever it is free and renew it, until cancelled; then release it.

        Args:
            gained: called when this process may write.
            lost: called when it may not any more.
        """
        holds = False
        try:
            while True:
                begun = self.clock()
                if await self._renewed():
                    self._until = begun + self.duration * WRITES_END
                if holds != (self.left > 0):
                    holds = not holds
                    self.waits_for = "" if holds else self.waits_for
                    LOGGER.info("%s the Lease", "holds" if holds else "lost")
                    (gained if holds else lost)()
                # A renewal that fails is repeated at once, for as long as the Lease lasts.
                await asyncio.sleep(self.duration / RENEWALS if holds else LOOK_SECONDS)
        finally:
            if holds:
                self._until = float("-inf")
                lost()
                await self._release()

    async def _renewed(self) -> bool:
        """Return whether all Leases are this process's, renewed by this call."""
        try:
            async with asyncio.timeout(max(LOOK_SECONDS, self.duration / 3)):
                if not self.left and await self._is_taken():
                    return False
                taken = await asyncio.gather(*map(self._take, self._own()))
                if not all(taken):
                    if any(taken) and not self.left:
                        await self._release()
                    return False
                # Two that took theirs at the same moment see each other now, and both start again.
                if not self.left and await self._is_taken():
                    await self._release()
                    return False
        except (ApiError, *FAULTS) as error:
            self._cannot(str(error) or type(error).__name__)
            return False
        else:
            return True

    def _cannot(self, why: str) -> None:
        LOGGER.warning("cannot take or renew the Lease: %s", why)
        if not self.left:
            self.waits_for = f"cannot take the Lease: {why}; this operator does nothing until it can"

    def _own(self) -> list[str]:
        return [lease_record.path(namespace, ONE) for namespace in sorted(self.namespaces)] or [
            lease_record.path(self.home, ALL)
        ]

    async def _is_taken(self) -> bool:
        """Return whether an operator holds a Lease of namespaces that are watched here."""
        records = (
            await self._all()
            if not self.namespaces
            else await self._some([*self._own(), lease_record.path(self.home, ALL)])
        )
        taken = [record for record in records if self._lasts(record)]
        foreign = next((record for record in taken if record.installation != self.identity.installation), None)
        before = self.waits_for
        self.waits_for = lease_record.held_by(foreign) if foreign else ""
        if self.waits_for and self.waits_for != before:
            LOGGER.warning("%s", self.waits_for)
        return bool(taken)

    async def _all(self) -> list[Record]:
        found: list[Record] = []
        path = "/apis/coordination.k8s.io/v1/leases"
        async for items, _ in self.api.pages(path, labelSelector=f"{MANAGED_BY}=clipfarm"):
            found += [
                lease_record.read(lease_record.path(item["metadata"]["namespace"], item["metadata"]["name"]), item)
                for item in items
            ]
        return found

    async def _some(self, paths: Iterable[str]) -> list[Record]:
        wanted = list(paths)
        found = await asyncio.gather(*map(self.api.get, wanted))
        return [lease_record.read(path, item) for path, item in zip(wanted, found, strict=True) if item is not None]

    def _lasts(self, record: Record) -> bool:
        """Return whether a Lease is held by another, and has been renewed lately as this process saw it."""
        if record.holder in ("", self.identity.holder):
            return False
        seen = self._seen.get(record.path)
        if seen is None or seen.record != record:
            self._seen[record.path] = seen = _Seen(record, self.clock())
        return self.clock() < seen.since + record.seconds

    async def _take(self, path: str) -> bool:
        found = await self.api.get(path)
        try:
            if found is None:
                await self.api.create(path.rpartition("/")[0], self._manifest(path))
                return True
            record = lease_record.read(path, found)
            if self._lasts(record):
                return False
            # The version makes it a conflict if another was faster.
            body = self._manifest(path)
            body["metadata"]["resourceVersion"] = record.version
            if record.holder == self.identity.holder:
                del body["spec"]["acquireTime"]
            await self.api.patch(path, body, MERGE_PATCH)
        except ApiError as error:
            if error.code != CONFLICT:
                raise
            return False
        return True

    async def _release(self) -> None:
        """Give the Leases up, so that another takes over without waiting for them to expire."""
        for path in self._own():
            why = ""
            for _ in range(RELEASES):
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._release_one(path)
                    break
                except (ApiError, *FAULTS) as error:
                    why = str(error) or type(error).__name__
            else:
                LOGGER.info("cannot release the Lease: %s; it expires", why)

    def _manifest(self, path: str) -> Manifest:
        return lease_record.manifest(path, self.identity, self.duration, self.wall())

    async def _release_one(self, path: str) -> None:
        found = await self.api.get(path)
        if found is not None and lease_record.read(path, found).holder == self.identity.holder:
            version = found["metadata"]["resourceVersion"]
            body = {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": ""}}
            await self.api.patch(path, body, MERGE_PATCH)
