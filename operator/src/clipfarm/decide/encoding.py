"""How many encoders there should be, and how they take turns with renderers if there is no room for both."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from clipfarm.decide.admission import Held
from clipfarm.decide.rules.table import Reason
from clipfarm.encode import Encode
from clipfarm.world import Encoding, Turn, World
from clipfarm_contract.exit_codes import EncoderExitCode

MOST_EARLY_ENDS = 3
"""Encoders that may end early in a row, for any reason, before a person has to act."""
IDLE_SECONDS = 300.0
"""An encoder leaves after so long without work: others may need its memory. Loading a model takes up to a minute, so it
stays for clips that come more often."""
CROWDED_SECONDS = 15.0
"""The same while renderers find no room and none runs. A pod that has ended frees its room within seconds."""
VRAM_SECONDS = 90.0
"""The same while GPU memory holds all renderers. A DCGM exporter collects every 30 s; values may be as old again."""
START_SECONDS = 300.0
"""How long an encoder that does not answer may keep renderers waiting: its image or its weights may never come."""
AWAY_SECONDS = 600.0
"""An encoder that has made room returns after this at the earliest, unless rendering is done before. Loading its model
then takes little time compared with the work that has gathered."""
VANISHED_SECONDS = 120.0
"""Clips that the encoders do not find for so long are gone. A listing may be 30 s old, and an NFS client may have it
from a minute before."""
NO_ROOM = ("Insufficient ", "Too many pods")
"""The scheduler's words for a node on which something would have to leave."""


def failures(world: World) -> Mapping[int, str]:
    """Return the clips that cannot be encoded, with reasons."""
    return {**world.turn.gone, **world.encoding.failed}


def remaining(world: World) -> int:
    """Return how many complete clips have neither features nor a reason why they cannot get any.

    It is the run's count or the encoders' own, whichever is larger: complete clips may not be counted yet. It is at
    least one while encoders were asked for and have not answered yet, and while videos are not listed yet.
    """
    encoding = world.encoding
    if encoding.listing:
        return 1
    counted = world.encodable - encoding.encoded - len(failures(world))
    seen = encoding.left if encoding.left is not None else min(encoding.asked, 1)
    return max(counted, seen)


def scale(encode: Encode, world: World, held: Sequence[Held], *, finished: bool) -> tuple[int, Turn]:
    """Return how many encoders there should be, and what the next tick has to know.

    There is none before the first clip is complete, and none after the last is encoded. In between they stay while
    there is work, and for some time without it. If renderers wait for room and none runs, they leave sooner. Clips
    of videos are made by the encoders themselves, which are there from the beginning.

    Args:
        encode: the run's options.
        world: the snapshot.
        held: clips that could run and are held.
        finished: whether no other clip will be rendered.
    """
    now, asked, wait = world.now, world.encoding.asked, renderers_wait(world, held)
    turn = _turn(world, waits=wait is not None)
    if not encode.enabled or stuck(world.encoding) or (world.encodable == 0 and not world.encoding.listing):
        return 0, turn
    if not asked:
        away = turn.made_room_at is not None and now - turn.made_room_at < AWAY_SECONDS
        return (encode.replicas if remaining(world) and (finished or not away) else 0), turn
    if turn.idle_since is None:
        # Encoders that see nothing to do may never find a clip that is counted: its folder may have been removed.
        done = _passed(now, turn.done_since, VANISHED_SECONDS)
        makes_room = done and wait is not None and _passed(now, turn.waiting_since, wait)
        makes_room, leaves = makes_room or _passed(now, turn.blocked_since, START_SECONDS), False
    else:
        # Both for so long: at the end of a clip the next may wait for a moment, however long encoders have been idle.
        makes_room = wait is not None and _passed(now, turn.idle_since, wait) and _passed(now, turn.waiting_since, wait)
        leaves = finished or _passed(now, turn.idle_since, IDLE_SECONDS)
    if makes_room and not finished:
        return 0, replace(turn, made_room_at=now)
    return (0 if leaves else encode.replicas), turn


def renderers_wait(world: World, held: Sequence[Held]) -> float | None:
    """Return how long encoders without work may keep renderers from starting, seconds; None if they keep none.

    Only if no renderer runs: while some do, rendering goes on, and the encoders have their place beside it.
    """
    if any(pod.state != "Released" for pod in world.running):
        return None
    if any(word in pod.waits for pod in world.running for word in NO_ROOM):
        return CROWDED_SECONDS
    if not world.running and any(each.hold.reason in (Reason.VRAM_HIGH, Reason.VRAM_CLAIMS) for each in held):
        return VRAM_SECONDS
    return None


def _turn(world: World, *, waits: bool) -> Turn:
    now, before = world.now, world.turn
    blocked = waits and bool(world.encoding.asked) and not world.encoding.answering
    done = bool(world.encoding.answering) and world.encoding.left == 0
    missing_since = _since(before.missing_since, now, holds=bool(world.encoding.vanished))
    gone = before.gone
    if _passed(now, missing_since, VANISHED_SECONDS):
        gone = {**gone, **world.encoding.vanished}
    return Turn(
        idle_since=_since(before.idle_since, now, holds=not remaining(world)),
        done_since=_since(before.done_since, now, holds=done),
        missing_since=missing_since,
        waiting_since=_since(before.waiting_since, now, holds=waits),
        blocked_since=_since(before.blocked_since, now, holds=blocked),
        made_room_at=before.made_room_at,
        gone=gone,
    )


def _since(before: float | None, now: float, *, holds: bool) -> float | None:
    if not holds:
        return None
    return now if before is None else before


def _passed(now: float, since: float | None, seconds: float) -> bool:
    return since is not None and now - since >= seconds


def stuck(encoding: Encoding) -> str:
    """Return why no encoder can work until a person acts; empty if one may still be started.

    A usage error stays one. Anything else, such as a crash or a kill, may be temporary.
    """
    if not encoding.early_ends:
        return encoding.stuck
    last = encoding.early_ends[-1]
    if last.status != EncoderExitCode.USAGE and len(encoding.early_ends) < MOST_EARLY_ENDS:
        return ""
    how = f"was killed by signal {-last.status}" if last.status < 0 else f"ended with {last.status}"
    return f"the encoder {how}: {last.printed or 'it printed nothing'}"
