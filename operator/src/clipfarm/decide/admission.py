"""Which clips start now, and where; and why the others wait."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from clipfarm.decide.retry import Outcome
from clipfarm.run import Run, default_workers
from clipfarm.units import format_bytes, format_duration
from clipfarm.world import Gate, GpuId, Node, Running, World

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Start:
    """A clip that starts now."""

    clip: int
    node: str
    gpu: GpuId | None


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a clip does not start, in a word for machines and a line for people."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Held:
    """Clips that one hold keeps back: those that would run now without it."""

    hold: Hold
    clips: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Admission:
    """What starts and what is held."""

    start: tuple[Start, ...]
    held: tuple[Held, ...]
    workers: int
    """Clips that may run at a time."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A clip that could start."""

    clip: int
    due: float | None = None
    """When a clip that is tried again may start."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a clip could start: a GPU with its gate, or a node's CPUs."""

    node: Node
    gate: Gate | None
    """None: nothing there is measured."""
    needs_gpu: bool


@dataclass(frozen=True, slots=True)
class Situation:
    """What the rules look at beside the clip and the place; grows by each clip that is let in."""

    run: Run
    now: float
    workers: int
    fatal: str
    pods: tuple[Running, ...]
    """Those that run, and those that this plan starts."""
    free_bytes: int | None = None
    clip_bytes: int = 0


Rule = Callable[[Candidate, Place, Situation], Hold | None]


def choose(run: Run, world: World, gates: Mapping[GpuId, Gate], outcome: Outcome) -> Admission:
    """Take clips in order, those that are tried again first, and let in each that no rule holds."""
    workers = worker_limit(run, world)
    situation = Situation(run, world.now, workers, outcome.fatal, world.running, world.free_bytes, world.clip_bytes)
    places = _places(run, world, gates)
    candidates = [Candidate(again.clip, again.due) for again in outcome.again]
    candidates += [Candidate(clip) for clip in world.waiting]
    start: list[Start] = []
    held: dict[Hold, list[int]] = {}
    # A clip that is held for another reason than busy workers would run now: it takes a worker in this count,
    # so that "held" means clips that could be running, and the walk ends.
    would_run = len(world.running)
    for candidate in candidates:
        if would_run >= workers:
            break
        place, hold = _first_open(candidate, places, situation)
        if place is not None and hold is None:
            gpu = place.gate.gpu if place.gate else None
            start.append(Start(candidate.clip, place.node.name, gpu))
            pod = Running(candidate.clip, place.node.name, gpu, world.now)
            situation = replace(situation, pods=(*situation.pods, pod))
        elif hold is not None:
            held.setdefault(hold, []).append(candidate.clip)
        if hold is None or hold.reason != "RetryDelay":
            would_run += 1
    return Admission(tuple(start), tuple(Held(hold, tuple(clips)) for hold, clips in held.items()), workers)


def worker_limit(run: Run, world: World) -> int:
    """Return how many clips may run at a time."""
    return run.spec.workers or sum(default_workers(node.cpus, run.spec.render.threads) for node in world.nodes)


# The rules, each with one reason to hold.


def fatal(_candidate: Candidate, _place: Place, situation: Situation) -> Hold | None:
    """Nothing starts in a run that cannot succeed."""
    return Hold("Fatal", situation.fatal) if situation.fatal else None


def suspended(_candidate: Candidate, _place: Place, situation: Situation) -> Hold | None:
    """``suspend: true`` starts nothing; what runs goes on."""
    if not situation.run.spec.suspend:
        return None
    return Hold("Suspended", "spec.suspend is true; set it to false to start clips")


def retry_not_due(candidate: Candidate, _place: Place, situation: Situation) -> Hold | None:
    """A clip that ran out of GPU memory waits, so that the memory can come free."""
    if candidate.due is None or situation.now >= candidate.due:
        return None
    delay = format_duration(situation.run.spec.retry.delay)
    return Hold("RetryDelay", f"ran out of GPU memory; starts again {delay} after that")


def workers_busy(_candidate: Candidate, _place: Place, situation: Situation) -> Hold | None:
    """At most ``workers`` clips run at a time."""
    if len(situation.pods) < situation.workers:
        return None
    return Hold("WorkersBusy", f"{situation.workers} of {situation.workers} workers are busy")


def storage_full(_candidate: Candidate, _place: Place, situation: Situation) -> Hold | None:
    """No clip starts that would not fit beside those at work: it would be rendered and then lost."""
    if situation.free_bytes is None:
        return None
    needed = (len(situation.pods) + 1) * situation.clip_bytes
    if situation.free_bytes >= needed:
        return None
    left = format_bytes(situation.free_bytes)
    return Hold("StorageFull", f"{left} left for clips of up to {format_bytes(situation.clip_bytes)}; make room")


def vram_unknown(_candidate: Candidate, place: Place, situation: Situation) -> Hold | None:
    """Without a fresh reading ``whenUnknown`` says what to do; unknown is never taken for free."""
    vram = situation.run.spec.vram
    if not (vram.enabled and place.needs_gpu) or vram.when_unknown == "Admit":
        return None
    if place.gate is None:
        return _unknown(f"GPU memory of {place.node.name} is unknown ({place.node.gpu_problem or 'no GPU found'})")
    if place.gate.reading is None:
        return _unknown(f"memory of {place.gate.gpu} is unknown ({place.gate.problem})")
    return None


def _unknown(what: str) -> Hold:
    return Hold("VRAMUnknown", f"{what}; vram.whenUnknown: Admit starts clips all the same")


def vram_high(_candidate: Candidate, place: Place, situation: Situation) -> Hold | None:
    """A closed gate lets nothing in; what runs goes on."""
    vram, gate = situation.run.spec.vram, place.gate
    if not vram.enabled or gate is None or gate.reading is None or not gate.closed:
        return None
    use = f"{gate.gpu} at {gate.reading.used_fraction:.0%}; starts again below {vram.low:.0%}"
    if any(pod.gpu == gate.gpu for pod in situation.pods):
        return Hold("VRAMHigh", use)
    return Hold("VRAMHigh", f"{use}; no clip of this run is on it, so something else has to free the memory")


def claims_full(_candidate: Candidate, place: Place, situation: Situation) -> Hold | None:
    """Pods too young to show in a reading count with what they are expected to take.

    Without an expectation (``perClip``) admission starts slowly: no more unmeasured pods than measured ones, and at
    least one, so 1, 2, 4, ... run.
    """
    vram, gate = situation.run.spec.vram, place.gate
    if not vram.enabled or gate is None or gate.reading is None:
        return None
    reading, here = gate.reading, [pod for pod in situation.pods if pod.gpu == gate.gpu]
    unmeasured = [pod for pod in here if reading.at < pod.started_at + vram.allocation_time]
    if vram.per_clip is None:
        measured = len(here) - len(unmeasured)
        if len(unmeasured) < max(1, measured):
            return None
        return Hold(
            "VRAMClaims", f"{gate.gpu}: waits for a reading that shows {_clips(len(unmeasured))} started just now"
        )
    per_clip = vram.per_clip / MIB
    if per_clip > reading.total_mib:
        text = f"{gate.gpu} has {reading.total_mib:.0f} MiB, and vram.perClip asks for {per_clip:.0f} MiB: lower it"
        return Hold("VRAMTooSmall", text)
    expected = reading.used_mib + (len(unmeasured) + 1) * per_clip
    # The first clip on a GPU may use all that is free: no clip of this run would ever make more room for it.
    limit = reading.total_mib * (vram.high if here else 1.0)
    if expected <= limit:
        return None
    claims = f", {_clips(len(unmeasured))} started just now" if unmeasured else ""
    return Hold(
        "VRAMClaims",
        f"{gate.gpu}: {reading.used_mib:.0f} MiB in use{claims}, {per_clip:.0f} MiB a clip,"
        f" would pass {limit:.0f} of {reading.total_mib:.0f} MiB",
    )


RULES: tuple[Rule, ...] = (
    fatal,
    suspended,
    retry_not_due,
    workers_busy,
    storage_full,
    vram_unknown,
    vram_high,
    claims_full,
)
"""In this order; the first hold wins."""


def _first_open(candidate: Candidate, places: list[Place], situation: Situation) -> tuple[Place | None, Hold | None]:
    """Return the least busy place with no hold, or the least busy one with its hold."""

    def load(place: Place) -> int:
        return sum(pod.gpu == place.gate.gpu for pod in situation.pods) if place.gate else 0

    first: tuple[Place | None, Hold] = (None, Hold("NoNode", "no node fits the run's node selector and tolerations"))
    for place in sorted(places, key=load):
        hold = next((found for rule in RULES if (found := rule(candidate, place, situation))), None)
        if hold is None:
            return place, None
        if first[0] is None:
            first = (place, hold)
    return first


def _places(run: Run, world: World, gates: Mapping[GpuId, Gate]) -> list[Place]:
    """Return where clips could run: each GPU where the run renders on GPUs, else the nodes' CPUs."""
    if run.spec.render.device == "cpu":
        return [Place(node, None, needs_gpu=False) for node in world.nodes]
    return [
        place
        for node in world.nodes
        for place in ([Place(node, gates[gpu], True) for gpu in node.gpus] or [Place(node, None, needs_gpu=True)])
    ]


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count} clips"
