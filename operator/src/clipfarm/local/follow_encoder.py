"""How far the encoders are, by the files that they leave."""

import heapq

from clipfarm.local.encoders import Encoder
from clipfarm.local.features import wanted
from clipfarm.local.processes import last_line
from clipfarm.local.state import State
from clipfarm.world import EarlyEnd
from clipfarm_contract.encoder_progress import EncoderProgress
from clipfarm_contract.encoder_progress import State as Standing
from clipfarm_contract.features import State as Features
from clipfarm_contract.features import inspect
from clipfarm_contract.fields import ContractError
from clipfarm_contract.text import printable

LOOKED_AT = 256
"""Clips that one look goes through: encoders take them in order, and of thousands that wait none is done yet."""


def follow(state: State, now: float) -> None:
    """Take in which clips have features by now, which cannot get any, and which encoders have ended."""
    if not state.job.run.spec.encode.enabled:
        return
    # Before their logs are read: what one says last is there when it has ended.
    ends = {number: end for number, each in state.encoders.items() if (end := each.process.poll()) is not None}
    _read_logs(state)
    done = _newly_encoded(state, everything=bool(ends))
    state.unencoded -= done
    for clip in done:
        state.encode_failed.pop(clip, None)
    if done:
        state.early_ends.clear()
    if not state.encoders:
        return
    if not state.encode_completions:
        state.encode_completions.append(now)  # where the window begins
    state.encode_completions.extend([now] * len(done - state.encoded_before))
    for number, end in ends.items():
        _take_end(state, state.encoders.pop(number), number, end)
    if not state.encoders:
        state.rested.clear()


def _take_end(state: State, encoder: Encoder, number: int, status: int) -> None:
    """Take note of how an encoder ended: one that others outlive may have left its failures for them to try."""
    if encoder.finished and state.encoders:
        state.rested[number] = encoder.failed or {}
    elif state.unencoded - state.encode_failed.keys():
        state.early_ends.append(EarlyEnd(status, last_line(encoder.errors)))


def _newly_encoded(state: State, *, everything: bool) -> set[int]:
    if not state.features_trusted:
        return set()
    candidates = state.unencoded - state.encode_failed.keys()
    if everything:
        candidates = state.unencoded
    elif len(candidates) > LOOKED_AT:
        candidates = set(heapq.nsmallest(LOOKED_AT, candidates))
    folder, asked = state.job.folder, wanted(state.job.run.spec.encode)
    done = set()
    for clip in candidates:
        lacks = state.lacks.setdefault(clip, {each.set_name for each in asked})
        lacks -= {
            each.set_name
            for each in asked
            if each.set_name in lacks and inspect(folder.clip(clip), each)[0] is Features.DONE
        }
        if not lacks:
            del state.lacks[clip]
            done.add(clip)
    return done


def _read_logs(state: State) -> None:
    """Take over what the encoders say. Each tries what failed elsewhere, so a clip has failed when it has for all."""
    for encoder in state.encoders.values():
        _read_log(encoder)
    said = [encoder.failed for encoder in state.encoders.values()]
    # It writes its log after it has compared the features that were there with what it would make.
    state.features_trusted |= any(failed is not None for failed in said)
    known = [failed for failed in (*said, *state.rested.values()) if failed is not None]
    if not said or len(known) < len(said) + len(state.rested):
        return  # one has just been started
    everywhere = set.intersection(*map(set, known)) & state.unencoded
    state.encode_failed = {clip: known[0][clip] for clip in sorted(everywhere)}


def _read_log(encoder: Encoder) -> None:
    """Read an encoder's log; it is replaced as a whole, so it is never half there."""
    try:
        said = EncoderProgress.read(encoder.log)
    except (OSError, ContractError):
        return  # not written yet
    encoder.failed = {clip: printable(each.reason) for each in said.failures if (clip := each.index) is not None}
    encoder.finished = said.state is Standing.FINISHED
