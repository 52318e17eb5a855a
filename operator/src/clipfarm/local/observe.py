"""One observation of this machine: processes, folder, GPU memory."""

import shutil
from itertools import islice
from pathlib import Path

from clipfarm.decide.vram import encoders
from clipfarm.encoder_memory import encoder_memory
from clipfarm.local import follow_encoder
from clipfarm.local.encoders import share
from clipfarm.local.processes import Worker, last_line
from clipfarm.local.serving import Server
from clipfarm.local.state import WAITING_SHOWN, State, unreadable
from clipfarm.world import Departed, Encoder, Encoding, Ended, GpuId, Moment, Node, OtherRun, Running, Standing, World
from clipfarm_contract.clip import ClipState, inspect
from clipfarm_contract.exit_codes import RAN_OUT, ExitCode
from clipfarm_contract.fields import ContractError
from clipfarm_contract.result import ClipResult

DEPARTED_SECONDS = 120.0
"""How long a worker that has ended is remembered: no reading that counts is older."""


def observe(state: State, moment: Moment) -> World:
    """Return the world as it is at a moment."""
    now = moment.now
    if not state.completions:
        state.completions.append(now)
    _reap_workers(state, now)
    follow_encoder.follow(state, now)
    _look_at_gpus(state, now)
    return World(
        moment=moment,
        nodes=(Node(state.node, state.cpus, _known_gpus(state), state.look.problem),),
        total=len(state.job.clips),
        rendered=len(state.complete),
        waiting=tuple(islice(state.waiting, WAITING_SHOWN)),
        running=tuple(
            Running(
                worker.clip,
                state.node,
                worker.gpu,
                worker.holds_since,
                standing=Standing("Working", worker.started_at),
            )
            for worker in state.workers.values()
        ),
        ended=tuple(end for clip, end in state.ended.items() if clip not in state.workers),
        ran_out_before=frozenset(clip for clip, end in state.ended.items() if end.exit_code in RAN_OUT),
        readings=tuple(state.readings.values()),
        watermarks=state.watermarks,
        completions=tuple(state.completions),
        encoding=Encoding(
            running=len(state.encoders),
            pods=tuple(
                Encoder(f"encoder-{number}", Standing("Working", encoder.started_at), ready=encoder.failed is not None)
                for number, encoder in sorted(state.encoders.items())
            ),
            encoded=len(state.complete) - len(state.unencoded),
            failed=dict(state.encode_failed),
            early_ends=tuple(state.early_ends),
            asked=len(state.encoders),
            answering=len(state.encoders),
            left=len(state.unencoded - state.encode_failed.keys()),
        ),
        free_bytes=_free_bytes(state.job.folder.root),
        clip_bytes=state.clip_bytes,
        encode_completions=tuple(state.encode_completions),
        # What renderers hold that have no clip is free as soon as another takes its place, or they end.
        departed=(*state.departed, *(_departed(state, each, now) for each in state.idle + state.leaving if each.kept)),
        clip_memory=state.clip_memory.summary(),
        complete_before=state.complete_before,
        turn=state.turn,
        others=(*state.claims.others(), *_encoder_claims(state)) if state.claims else (),
    )


def _encoder_claims(state: State) -> tuple[OtherRun, ...]:
    """Return what this run's encoders claim of the GPUs that they use."""
    run, gpus = state.job.run, state.look.gpus
    encode = run.spec.encode
    if not (state.encoders and gpus):
        return ()
    pods = [
        Running(number, state.node, gpu, encoder.started_at)
        for number, encoder in sorted(state.encoders.items())
        for gpu in (share(gpus, number, encode.replicas) if encode.replicas > 1 else gpus)
    ]
    size = encoder_memory(encode, run.spec.frames)
    return (encoders.claims(run.name, size, pods, (), state.readings),)


def _reap_workers(state: State, now: float) -> None:
    for clip, worker in list(state.workers.items()):
        status = worker.poll()
        if status is None:
            continue
        del state.workers[clip]
        found = inspect(state.job.folder.clip(clip), state.job.recipe(clip), state.job.renderer)
        if found.state is ClipState.COMPLETE:
            state.complete.add(clip)
            state.unencoded.add(clip)
            state.ended.pop(clip, None)
            state.completions.append(now)
            _learn(state, worker)
        elif found.state is ClipState.UNREADABLE:
            state.ended[clip] = unreadable(clip, found.reason, now)
        else:
            attempts = state.ended[clip].attempts + 1 if clip in state.ended else 1
            code, reason = _why(state, worker, status)
            state.ended[clip] = Ended(clip, code, reason, now, attempts)
        out_of_vram = clip in state.ended and state.ended[clip].exit_code is ExitCode.OUT_OF_VRAM
        goes_on = worker.server is not None and worker.process.poll() is None
        if worker.server is not None and goes_on:
            state.idle.append(worker.server)
        else:
            _forget(state, worker.errors, worker.server)
        if not (worker.server and goes_on and worker.server.kept):
            state.departed.append(Departed(state.node, worker.gpu, worker.holds_since, now, out_of_vram))
    for server in [each for each in state.leaving if each.process.poll() is not None]:
        state.leaving.remove(server)
        _forget(state, server.errors, server)
        if server.kept:
            state.departed.append(_departed(state, server, now))
    while state.departed and now - state.departed[0].ended_at > DEPARTED_SECONDS:
        state.departed.popleft()


def _forget(state: State, errors: Path, server: Server | None) -> None:
    state.left_behind.append(errors)
    if server is not None:
        server.close()


def _departed(state: State, server: Server, now: float) -> Departed:
    return Departed(state.node, server.gpu, server.holds_since, now)


def _learn(state: State, worker: Worker) -> None:
    """Count the GPU memory that a clip reports; one that reports none is complete nevertheless."""
    try:
        reported = ClipResult.read(state.job.folder.result(worker.clip)).vram
    except (OSError, ContractError):
        return
    if reported is not None:
        state.clip_memory.add(str(worker.clip), [reported])


def _why(state: State, worker: Worker, status: int) -> tuple[ExitCode, str]:
    """Return how an attempt failed: by its result, or by how the supervisor itself ended."""
    if status in set(ExitCode):
        try:
            result = ClipResult.read(state.job.folder.result(worker.clip))
        except (OSError, ContractError):
            pass
        else:
            if result.exit_code is not ExitCode.OK:
                return result.exit_code, result.reason
    printed = last_line(worker.errors)
    if status == ExitCode.USAGE:
        return ExitCode.USAGE, printed.removeprefix("clipfarm-render: ")
    how = f"was killed by signal {-status}" if status < 0 else f"ended with {status} and left no clip"
    return ExitCode.FAILED, f"the renderer's supervisor {how}" + (f": {printed}" if printed else "")


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None  # not made yet, when a plan asks


def _look_at_gpus(state: State, now: float) -> None:
    vram = state.job.run.spec.vram
    due = state.looked_at is None or now >= state.looked_at + vram.check_interval
    if state.vram_source is None or not due:
        return
    state.looked_at = now
    state.look = state.vram_source.look(now)
    state.readings |= {reading.gpu: reading for reading in state.look.readings}


def _known_gpus(state: State) -> tuple[GpuId, ...]:
    """Return every GPU seen so far: one that the driver no longer shows is unknown, not gone."""
    return tuple(sorted(set(state.look.gpus) | state.readings.keys()))
