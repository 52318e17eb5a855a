"""The rules of admission, each with one reason to hold."""

from collections.abc import Callable
from dataclasses import dataclass

from clipfarm.decide.expectation import Expected
from clipfarm.decide.others import opens_below
from clipfarm.decide.places import Place
from clipfarm.pod_options import requested
from clipfarm.run import Run
from clipfarm.units import format_bytes, format_duration
from clipfarm.world import Gate, World
from clipfarm_contract.exit_codes import ENDED_WITH_2


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a clip does not start, in a word for machines and a line for people."""

    reason: str
    message: str
    capacity: bool = False
    """Whether one more node would take the clip; else it waits, for memory, time or a person."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A clip that could start."""

    clip: int
    due: float | None = None
    """When a clip that is tried again may start."""
    made: bool = True
    """Whether its pod is there. One without a pod starts nothing, and counts as held, or as one that could run."""


@dataclass(slots=True)
class Situation:
    """What the rules look at beside the clip and the place; grows by each clip that is let in."""

    run: Run
    now: float
    workers: int
    fatal: str
    at_work: int
    """Pods that run, and those that this plan starts."""
    free_bytes: int | None = None
    clip_bytes: int = 0
    per_clip: Expected | None = None


# Of a clip, wherever it would start.


def fatal(_candidate: Candidate, situation: Situation) -> Hold | None:
    """Nothing starts in a run that cannot succeed."""
    return Hold("Fatal", situation.fatal) if situation.fatal else None


def suspended(_candidate: Candidate, situation: Situation) -> Hold | None:
    """``suspend: true`` starts nothing; what runs goes on."""
    if not situation.run.spec.suspend:
        return None
    return Hold("Suspended", "spec.suspend is true; set it to false to start clips")


def retry_not_due(candidate: Candidate, situation: Situation) -> Hold | None:
    """A clip that ran out of GPU memory waits, so that the memory can come free."""
    if candidate.due is None or situation.now >= candidate.due:
        return None
    spec = situation.run.spec
    ended = ENDED_WITH_2 if spec.render.device == "cpu" else "ran out of GPU memory"
    return Hold("RetryDelay", f"{ended}; starts again {format_duration(spec.retry.delay)} after that")


def workers_busy(_candidate: Candidate, situation: Situation) -> Hold | None:
    """At most ``workers`` clips run at a time."""
    if situation.at_work < situation.workers:
        return None
    return Hold("WorkersBusy", f"{situation.workers} of {situation.workers} workers are busy")


def storage_full(_candidate: Candidate, situation: Situation) -> Hold | None:
    """No clip starts that would not fit beside those at work: it would be rendered and then lost."""
    if situation.free_bytes is None:
        return None
    needed = (situation.at_work + 1) * situation.clip_bytes
    if situation.free_bytes >= needed:
        return None
    left = format_bytes(situation.free_bytes)
    return Hold("StorageFull", f"{left} left for clips of up to {format_bytes(situation.clip_bytes)}; make room")


# Of a place, whichever clip would start there. What holds once holds for the rest of the tick: places only fill up.


def node_full(place: Place, _situation: Situation) -> Hold | None:
    """A pod that is sent to a node cannot go elsewhere: none is sent where it would wait for CPUs or a device."""
    node, there = place.node, place.on_node
    if not place.gates:
        return None  # nobody sends it anywhere: the scheduler finds a node
    if node.avoided:
        return _full(f"a clip that was sent to {node.name} did not get to run: {node.avoided}")
    if node.room is not None and there.pods >= node.room:
        return _full(f"{node.name} has room for {_clips(node.room)} of this run")
    if node.room is not None and there.waits:
        return _full(f"a clip that was sent to {node.name} does not get to run: {there.waits}")
    return None


def _full(why: str) -> Hold:
    return Hold("NodesFull", why, capacity=True)


def no_node(run: Run, world: World) -> Hold:
    """Return why there is no place at all, where that is so."""
    if not world.nodes:
        return Hold("NoNode", "no node fits the run's node selector and tolerations", capacity=True)
    threads, wanted = run.spec.render.threads, requested(run.spec.render.pod)
    pod = f"{threads} CPU{'s' if threads > 1 else ''}" + (f" and {wanted[0]}: {wanted[1]}" if wanted else "")
    nodes = "1 node fits" if len(world.nodes) == 1 else f"{len(world.nodes)} nodes fit"
    return Hold(
        "NoNode", f"{nodes} the run's node selector and tolerations, and none has {pod} for a pod", capacity=True
    )


def vram_unknown(place: Place, situation: Situation) -> Hold | None:
    """Without a fresh reading ``whenUnknown`` says what to do; unknown is never taken for free."""
    vram = situation.run.spec.vram
    if not (vram.enabled and place.needs_gpu) or vram.when_unknown == "Admit":
        return None
    if not place.gates:
        return _unknown(f"GPU memory of {place.node.name} is unknown ({place.node.gpu_problem or 'no GPU found'})")
    blind = [gate for gate in place.gates if gate.reading is None]
    enough = len(blind) < len(place.gates) if place.node.sharing == "Whole" else not blind
    return None if enough else _unknown(f"memory of {blind[0].gpu} is unknown ({blind[0].problem})")


def _unknown(what: str) -> Hold:
    return Hold("VRAMUnknown", f"{what}; vram.whenUnknown: Admit starts clips all the same")


def vram_high(place: Place, situation: Situation) -> Hold | None:
    """A closed gate lets nothing in; what runs goes on."""
    vram = situation.run.spec.vram
    if not vram.enabled:
        return None
    known = [gate for gate in place.gates if gate.reading is not None]
    closed = [gate for gate in known if gate.closed]
    if not closed or (place.node.sharing == "Whole" and len(closed) < len(known)):
        return None
    gate = closed[0]
    assert gate.reading is not None
    below = opens_below(vram, gate.reading, gate.others)
    use = f"{gate.gpu} at {gate.reading.used_fraction:.0%}{holders(gate)}; starts again below {below:.0%}"
    if place.count.pods:
        return Hold("VRAMHigh", use)
    return Hold("VRAMHigh", f"{use}; no clip of this run is on it, so something else has to free the memory")


def holders(gate: Gate) -> str:
    """Return who has a GPU's memory, in brackets, as far as the reading tells."""
    named = gate.reading.holders[:3] if gate.reading else ()
    if not named:
        return ""
    told = (f"{each.name} {each.used_mib / 1024:.3g} GiB" if each.used_mib else each.name for each in named)
    return f" ({', '.join(told)})"


def ran_out(place: Place, situation: Situation) -> Hold | None:
    """Where a clip ran out of memory, the reading before that says nothing: somebody else has it now."""
    if not situation.run.spec.vram.enabled or not place.count.ran_out:
        return None
    if place.gate is None or place.gate.reading is None:
        return None  # no newer reading will come: the delay of the retry has to do
    where = place.gpu or place.node.name
    return Hold("VRAMHigh", f"{where}: a clip ran out of memory there; waits for a reading that is newer than that")


def claims_full(place: Place, situation: Situation) -> Hold | None:
    """Pods that a reading cannot show yet count with what they are expected to take.

    Without an expectation admission starts slowly: no more than twice as many pods as were there together some time
    ago, and at least one, so 1, 2, 4, ... run; and each is expected to take as much as those did.
    """
    gate, per_clip = place.gate, situation.per_clip
    sure = per_clip if per_clip is not None and not per_clip.guessed else None
    if not situation.run.spec.vram.enabled or gate is None:
        return None
    if place.node.sharing == "Whole" and any(each.reading for each in place.gates):
        return _devices_claimed(place, sure)
    if gate.reading is None:
        return None
    if sure is None and not place.count.pods:
        return None  # a guess may be wrong, and only a clip that runs can mend it
    if sure is not None:
        return _no_room(place, gate, sure, situation)
    if place.count.pods >= max(1, 2 * place.count.proven):
        waits = f"waits for a reading that shows {_clips(place.count.unseen)} started just now"
        return Hold("VRAMClaims", f"{gate.gpu}: {waits}; vram.perClip: SIZE makes this faster")
    if per_clip is None and place.count.proven:
        # No clip takes more, on average, than all that is in use divided by those that show.
        share = gate.reading.used_mib / place.count.proven
        per_clip = Expected(share, share)
    return _no_room(place, gate, per_clip, situation) if per_clip is not None else None


def _no_room(place: Place, gate: Gate, per_clip: Expected, situation: Situation) -> Hold | None:
    reading, vram = gate.reading, situation.run.spec.vram
    assert reading is not None
    first = not place.count.pods
    most, total = per_clip.alone if first else per_clip.most, reading.total_mib
    if most > total and (first or per_clip.given) and situation.per_clip is not None:
        said = f"vram.perClip asks for {most:.0f} MiB: lower it" if per_clip.given else f"a clip takes {most:.0f} MiB"
        return Hold("VRAMTooSmall", f"{gate.gpu} has {total:.0f} MiB, and {said}")
    # The first clip on a GPU may use all that is free: no clip of this run would ever make more room for it.
    limit = total * (1.0 if first else vram.high)
    if place.measured(per_clip) + most <= limit:
        return None
    # Together they have to fit; and those that are there, on average, must not be above the limit already.
    clips = place.count.pods
    usual = place.counted(clips * per_clip.average, per_clip)
    if usual <= limit and place.counted(per_clip.together(clips + 1), per_clip) <= total:
        return None
    claims = f", {_clips(place.count.unseen)} started just now" if place.count.unseen else ""
    return Hold(
        "VRAMClaims",
        f"{gate.gpu}: {reading.used_mib:.0f} MiB in use{claims}, {most:.0f} MiB a clip,"
        f" would pass {limit:.0f} of {total:.0f} MiB",
    )


def _devices_claimed(place: Place, per_clip: Expected | None) -> Hold | None:
    """Hold where the device plugin may have no GPU with room left: those not shown yet will take one each."""
    known = [(gate, gate.reading) for gate in place.gates if gate.reading is not None]
    most = per_clip.alone if per_clip else 0.0
    if all(most > reading.total_mib for _, reading in known):
        largest = max(reading.total_mib for _, reading in known)
        return Hold(
            "VRAMTooSmall", f"GPUs of {place.node.name} have {largest:.0f} MiB, and a clip takes {most:.0f} MiB"
        )
    full = [reading for gate, reading in known if gate.closed or reading.used_mib + most > reading.total_mib]
    fit = len(known) - len(full)
    # Clips that show are on full GPUs that a clip can have filled, having half of what is in use there or more; or else
    # on some of those that have room.
    elsewhere = sum(not most or reading.used_mib <= 2 * most for reading in full)
    if fit - place.count.unseen - max(0, place.count.seen - elsewhere) > 0:
        return None
    return Hold(
        "VRAMClaims", f"{place.node.name}: {fit} of {len(known)} GPUs have room, {_clips(place.count.pods)} there"
    )


ClipRule = Callable[[Candidate, Situation], Hold | None]
PlaceRule = Callable[[Place, Situation], Hold | None]
CLIP_RULES: tuple[ClipRule, ...] = (fatal, suspended, retry_not_due, workers_busy, storage_full)
PLACE_RULES: tuple[PlaceRule, ...] = (node_full, vram_unknown, vram_high, ran_out, claims_full)
"""In this order; the first hold wins."""


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count} clips"
