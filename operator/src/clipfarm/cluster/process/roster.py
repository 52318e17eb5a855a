"""Which runs there are, and what each of them asks for now."""

from dataclasses import dataclass

from pydantic import ValidationError

from clipfarm.cluster.acting.invalid import Refusals
from clipfarm.cluster.api.owners import RunKey
from clipfarm.cluster.api.store import Store
from clipfarm.cluster.api.views import RunView
from clipfarm.cluster.observing.tracked import Tracked, is_current, tracked_run


@dataclass
class Roster:
    """All runs that are followed."""

    store: Store
    runs: dict[RunKey, Tracked]
    refusals: Refusals
    """Reports runs that make no sense."""
    max_default_workers: int | None = None

    def follow(self, key: RunKey) -> Tracked | None:
        """Return what is known of a run, brought up to date with what is asked for; None where there is no such run."""
        view = next((view for view in self.store.runs.of(key).values() if not view.deleting), None)
        known = self.runs.get(key)
        if known is not None and (view is None or view.uid != known.owner.uid):
            known.gone = True
            del self.runs[key]
            known = None
        if view is None:
            self.refusals.forget(key)
            return None
        if known is not None and is_current(known, view):
            return known
        try:
            tracked = tracked_run(view, self.max_default_workers)
        except (ValidationError, ValueError) as error:
            # The API server holds runs against the same rules; but some can be said here alone.
            self._refuse(key, view, error)
            return None
        if known is None:
            self.runs[key] = tracked
            return tracked
        known.update(tracked.asked)
        return known

    def _refuse(self, key: RunKey, view: RunView, error: ValueError) -> None:
        known = self.runs.pop(key, None)
        if known is not None:
            known.gone = True
        self.refusals.report(key, view, error)
