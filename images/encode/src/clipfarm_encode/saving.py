"""The last step of a clip: its features are saved, or it has failed; and it makes room for another."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from clipfarm_contract import regular
from clipfarm_encode.files.clips import ClipError, UnreadableError
from clipfarm_encode.files.features import all_finite, save
from clipfarm_encode.files.finding import Found
from clipfarm_encode.files.recipe import Encoded
from clipfarm_encode.models.base import Computed
from clipfarm_encode.models.encoder import Encoder
from clipfarm_encode.reporting.account import Account
from clipfarm_encode.reporting.progress import Reporter
from clipfarm_encode.selection import Destination, Source, Turn
from clipfarm_encode.stopping import Latch


@dataclass(frozen=True, slots=True)
class Work:
    """A feature set, and what makes it."""

    encoders: Sequence[Encoder]
    """One for each device, with copies of one model."""
    destination: Destination
    account: Account


class Saver:
    """Saves features, and settles clips; every method may be called from any thread."""

    def __init__(
        self,
        works: Sequence[Work],
        source: Source,
        reporter: Reporter,
        saving: Latch,
        release: Callable[[], None],
        *,
        vanishing: bool,
        again: bool,
    ) -> None:
        """Prepare to save.

        Args:
            works: the feature sets, by their numbers.
            source: where clips come from.
            reporter: of all sets.
            saving: passed by each clip that is saved.
            release: called once for each clip that is settled.
            vanishing: a clip that goes away meanwhile is no failure.
            again: replace features that are as wanted, too.
        """
        self._works = works
        self._source = source
        self._reporter = reporter
        self._saving = saving
        self._release = release
        self._vanishing = vanishing
        self._again = again
        self._wider: set[int] = set()
        self._lock = threading.Lock()

    def save(self, turn: Turn, encoded: Encoded, result: Computed) -> None:
        """Save a clip's features, or say why they cannot be."""
        found, work = turn.found, self._works[turn.number]
        destination = work.destination
        self._mention(turn, result)
        try:
            start = time.monotonic()
            if not all(all_finite(each) for each in result.features):
                raise ClipError("its features are not finite numbers")
            recipe = replace(destination.recipe, compute=result.compute)
            clip = destination.clip(found)
            with self._saving:
                if self._vanishing and _inode(found) != found.inode:
                    raise FileNotFoundError(2, "its folder is gone", found.name)
                if destination.out_dir is not None:
                    clip.folder.mkdir(parents=True, exist_ok=True)
                ours = save(result.features, encoded, clip, recipe, source=found.clip, again=self._again)
        except (ClipError, OSError) as error:
            self.fail(turn, error)
        else:
            self._reporter.spent("save", time.monotonic() - start)
            work.account.saved(found.name, ours=ours)
            self._settle(turn)

    def fail(self, turn: Turn, error: Exception) -> None:
        """Say why a clip has no features."""
        found, account = turn.found, self._works[turn.number].account
        if self._vanishing and _inode(found) != found.inode:
            account.forget(found.name)  # whoever took it away may make it again: then it gets another turn
        else:
            if not regular.may_exist(found.path):
                reason = "its folder is gone"
            elif isinstance(error, OSError):
                reason = f"{error.filename or found.name}: {error.strerror}"
            else:
                reason = str(error)
            account.failed(found.name, reason)
        self._settle(turn, unread=isinstance(error, UnreadableError))

    def _mention(self, turn: Turn, result: Computed) -> None:
        """Say once for each set that a clip was not computed as the others are."""
        usual = self._works[turn.number].destination.recipe.compute
        with self._lock:
            if result.compute == usual or turn.number in self._wider:
                return
            self._wider.add(turn.number)
        self._reporter.say(
            f"NOTE: {turn.found.name}: a value exceeds {usual}'s range; this clip and others like it are computed in "
            f"{result.compute}, as their sidecars record"
        )

    def _settle(self, turn: Turn, *, unread: bool = False) -> None:
        self._source.settled(turn, unread=unread)
        self._works[turn.number].account.ended()
        self._release()


def _inode(found: Found) -> int:
    try:
        return found.path.stat().st_ino
    except OSError:
        return 0
