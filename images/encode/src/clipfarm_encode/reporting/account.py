"""What has become of each clip in one feature set."""

import threading
from collections.abc import Callable, Iterable, Mapping

from clipfarm_encode.files.recipe import Recipe
from clipfarm_encode.reporting.tally import Tally, Together


class Account:
    """Clips of one feature set, for those that find, encode and save them; every method may be called from any thread.

    Made by :class:`~clipfarm_encode.reporting.progress.Reporter`, which knows all sets.
    """

    def __init__(
        self,
        recipe: Recipe,
        tally: Tally,
        together: Together | None,
        foreign: set[str] | None,
        lock: threading.RLock,
        say: Callable[[str], None],
    ) -> None:
        """Begin to count.

        Args:
            recipe: how the set's features are made.
            tally: of the set.
            together: of all sets; None if there is no other.
            foreign: where clips of another run are noted; None: another set's account does that.
            lock: of all tallies.
            say: prints a line.
        """
        self.recipe = recipe
        self.tally = tally
        self.say = say
        self._together = together
        self._foreign = foreign
        self._lock = lock

    @property
    def label(self) -> str:
        """What a line about a clip begins with, if there are several sets."""
        return f"{self.recipe.set_name}: " if self._together else ""

    def found(self, names: Iterable[str]) -> None:
        """Count complete clips."""
        with self._lock:
            names = list(names)
            self.tally.found.update(names)
            self._follow(names)

    def skipped(self, names: Iterable[str]) -> None:
        """Count clips that have features, from any encoder."""
        with self._lock:
            names = list(names)
            for name in names:
                self.tally.skipped.add(name)
                self.tally.failures.pop(name, None)
            self._follow(names)

    def foreign(self, differences: Mapping[str, str]) -> None:
        """Count clips of another run, by name, and say in what the first of them differs."""
        if self._foreign is None:
            return
        with self._lock:
            self._foreign.update(differences)
        if differences:
            name, difference = next(iter(differences.items()))
            count = "1 clip is" if len(differences) == 1 else f"{len(differences)} clips are"
            self.say(f"{count} of another run, and left alone: {name} was made with {difference}")

    def failed(self, name: str, reason: str) -> None:
        """Count a failed clip, and name it on the screen at once."""
        with self._lock:
            self.tally.failures[name] = reason
            self._follow([name])
        self.say(f"{self.label}{name} failed: {reason}")

    def done_names(self) -> list[str]:
        """Return the clips that have features."""
        with self._lock:
            return sorted(self.tally.encoded | self.tally.skipped)

    def failed_names(self) -> list[str]:
        """Return the clips that failed."""
        with self._lock:
            return list(self.tally.failures)

    def forget(self, name: str) -> None:
        """Take back what became of a clip: it is gone, or another one took its place."""
        with self._lock:
            self.tally.forget(name)
            if self._foreign is not None:
                self._foreign.discard(name)
            self._follow([name])

    def started(self) -> None:
        """Count a clip that goes to the decoders."""
        self._under_way(1)

    def ended(self) -> None:
        """Count a clip that was started and is under way no more."""
        self._under_way(-1)

    def saved(self, name: str, *, ours: bool) -> None:
        """Count a clip that has its features now; ``ours`` where they did not come from another encoder."""
        with self._lock:
            (self.tally.encoded if ours else self.tally.skipped).add(name)
            self._follow([name])

    def _follow(self, names: list[str]) -> None:
        if self._together:
            self._together.follow(names)

    def _under_way(self, more: int) -> None:
        with self._lock:
            self.tally.encoding += more
            if self._together:
                self._together.started()
