"""Views of objects, by run and UID."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """Views of one kind of object, by run and UID."""

    def __init__(self, run_of: Callable[[V], Hashable]) -> None:
        self._run_of = run_of
        self._views: dict[str, V] = {}
        self._by_run: dict[Hashable, dict[str, V]] = {}

    def of(self, run: Hashable) -> Mapping[str, V]:
        """Return a run's views by UID."""
        return self._by_run.get(run, {})

    def all(self) -> Iterable[V]:
        """Return every view."""
        return self._views.values()

    def put(self, uid: str, view: V) -> bool:
        """Store a view, and return whether it differs."""
        before = self._views.get(uid)
        if before is not None and self._run_of(before) != self._run_of(view):
            self.drop(uid)
        self._views[uid] = view
        self._by_run.setdefault(self._run_of(view), {})[uid] = view
        return before != view

    def drop(self, uid: str) -> V | None:
        """Forget a view, and return it."""
        view = self._views.pop(uid, None)
        if view is not None:
            key = self._run_of(view)
            del self._by_run[key][uid]
            if not self._by_run[key]:
                del self._by_run[key]
        return view
