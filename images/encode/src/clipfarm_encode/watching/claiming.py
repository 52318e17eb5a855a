"""Claiming a clip, on a disk that may be full or away for a while."""

import time

from clipfarm_contract import regular
from clipfarm_encode.files.claims import Claims
from clipfarm_encode.files.finding import Found
from clipfarm_encode.reporting.account import Account

TROUBLE_SECONDS = 60.0
"""How long claims may fail before their clips count as failed: a full disk or a server that is away may pass."""


class Claiming:
    """One feature set's claims, and what becomes of clips that cannot be claimed."""

    def __init__(self, claims: Claims, account: Account) -> None:
        self.unclaimed: set[str] = set()
        """Clips that count as failed because they could not be claimed for so long."""
        self._claims = claims
        self._account = account
        self._trouble: tuple[int | None, float] | None = None
        """Why the last claim could not be made, as an error number, and since when none could."""
        self._refused = False

    def begin(self) -> None:
        """Begin with another round of claims."""
        self._refused = False

    def end(self) -> None:
        """End the round: if no claim was refused, the trouble is over."""
        if not self._refused:
            self._trouble = None

    def take(self, found: Found) -> bool:
        """Claim a clip; False if another encoder has it, or the disk refuses."""
        try:
            taken = self._claims.take(found.name)
        except OSError as error:  # the disk is full, the server is away: both pass
            self._cannot(found, error)
            return False
        self._trouble = None
        if found.name in self.unclaimed:
            self.unclaimed.discard(found.name)
            self._account.forget(found.name)
            self._account.found([found.name])
        return taken

    def _cannot(self, found: Found, error: OSError) -> None:
        why = f"{error.filename2 or error.filename}: {regular.describe(error)}"
        number, since = self._trouble or (None, time.monotonic())
        if number != error.errno:
            self._account.say(f"clips cannot be claimed for the moment: {why}")
        self._trouble, self._refused = (error.errno, since), True
        if time.monotonic() - since >= TROUBLE_SECONDS and found.name not in self.unclaimed:
            self.unclaimed.add(found.name)
            self._account.failed(found.name, f"cannot be claimed: {why}")
