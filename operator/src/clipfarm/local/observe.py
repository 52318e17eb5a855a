"""One look at this machine: processes, folder, GPU memory, time."""

import json
from itertools import islice

from clipfarm.local.processes import Worker, last_line
from clipfarm.local.state import WAITING_SHOWN, State
from clipfarm.world import Encoding, Ended, GpuId, Node, Running, World
from clipfarm_contract.clip import ClipState, inspect
from clipfarm_contract.exit_codes import ExitCode
from clipfarm_contract.fields import ContractError
from clipfarm_contract.layout import clip_index
from clipfarm_contract.result import ClipResult

ENCODER_TRIES = 3
"""Encoders that may end early in a row before that counts as stuck."""


def observe(state: State, now: float) -> World:
    """Return what is; the only place that looks."""
    if not state.completions:
        state.completions.append(now)
    _reap_workers(state, now)
    _follow_encoder(state, now)
    _look_at_gpus(state, now)
    return World(
        now=now,
        nodes=(Node(state.node, state.cpus, _known_gpus(state), state.look.problem),),
        total=len(state.job.clips),
        rendered=len(state.complete),
        waiting=tuple(islice(state.waiting, WAITING_SHOWN)),
        running=tuple(
            Running(worker.clip, state.node, worker.gpu, worker.started_at) for worker in state.workers.values()
        ),
        ended=tuple(end for clip, end in state.ended.items() if clip not in state.workers),
        readings=tuple(state.readings.values()),
        gates=state.gates,
        completions=tuple(state.completions),
        encoding=Encoding(
            running=1 if state.encoder else 0,
            encoded=len(state.complete) - len(state.unencoded),
            failed=dict(state.encode_failed),
            stuck=state.encoder_problem if state.encoder_exits >= ENCODER_TRIES else "",
        ),
        encode_completions=tuple(state.encode_completions),
    )


def _reap_workers(state: State, now: float) -> None:
    for clip, worker in list(state.workers.items()):
        status = worker.process.poll()
        if status is None:
            continue
        del state.workers[clip]
        found = inspect(state.job.folder.clip(clip), state.job.recipe(clip), state.job.renderer)
        if found.state is ClipState.COMPLETE:
            state.complete.add(clip)
            state.unencoded.add(clip)
            state.ended.pop(clip, None)
            state.completions.append(now)
        else:
            attempts = state.ended[clip].attempts + 1 if clip in state.ended else 1
            code, reason = _why(state, worker, status)
            state.ended[clip] = Ended(clip, code, reason, now, attempts)
        worker.errors.unlink(missing_ok=True)


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
        return ExitCode.USAGE, printed
    how = f"was killed by signal {-status}" if status < 0 else f"ended with {status} and left no clip"
    return ExitCode.FAILED, f"the renderer's supervisor {how}" + (f": {printed}" if printed else "")


def _follow_encoder(state: State, now: float) -> None:
    encode = state.job.run.spec.encode
    if not encode.enabled:
        return
    folder = state.job.folder
    # The sidecar is there before the features are renamed into place.
    done = {clip for clip in state.unencoded if folder.clip(clip).features(encode.model).exists()}
    state.unencoded -= done
    if done:
        state.encoder_exits = 0
    if state.encoder is None:
        return
    state.encode_completions.extend([now] * (len(done) if state.encode_completions else 1))
    status = state.encoder.process.poll()
    _read_encode_log(state)
    if status is None:
        return
    printed = last_line(state.encoder.errors)
    state.encoder = None
    if state.unencoded - state.encode_failed.keys():
        usage = status == ExitCode.OUT_OF_VRAM  # in an encoder 2 is a usage error: trying again cannot help
        state.encoder_exits = ENCODER_TRIES if usage else state.encoder_exits + 1
        state.encoder_problem = f"the encoder ended with {status}: {printed or 'it printed nothing'}"


def _read_encode_log(state: State) -> None:
    """Take over why clips cannot be encoded; the log is replaced as a whole, so it is never half there."""
    try:
        failures = json.loads(state.job.folder.encode_log.read_text())["failures"]
    except (OSError, ValueError, KeyError):
        return  # not written yet
    for failure in failures:
        clip = clip_index(failure["clip"])
        if clip in state.unencoded:
            state.encode_failed[clip] = failure["reason"]


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
