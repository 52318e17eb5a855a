"""How far the encoder is, by the files that it leaves."""

import heapq
import json

from clipfarm.local.features import wanted
from clipfarm.local.processes import last_line
from clipfarm.local.state import State
from clipfarm.world import EarlyEnd
from clipfarm_contract.features import State as Features
from clipfarm_contract.features import inspect
from clipfarm_contract.layout import clip_index

LOOKED_AT = 256
"""Clips that one look goes through: the encoder takes them in order, and of thousands that wait none is done yet."""


def follow(state: State, now: float) -> None:
    """Take in which clips have features by now, which cannot get any, and whether the encoder has ended."""
    if not state.job.run.spec.encode.enabled:
        return
    status = state.encoder.process.poll() if state.encoder else None
    _read_log(state)
    ended = state.encoder is not None and status is not None
    done = _newly_encoded(state, everything=ended)
    state.unencoded -= done
    for clip in done:
        state.encode_failed.pop(clip, None)
    if done:
        state.early_ends.clear()
    if state.encoder is None:
        return
    if not state.encode_completions:
        state.encode_completions.append(now)  # where the window begins
    state.encode_completions.extend([now] * len(done - state.encoded_before))
    if status is not None:
        printed = last_line(state.encoder.errors)
        state.encoder = None
        if state.unencoded - state.encode_failed.keys():
            state.early_ends.append(EarlyEnd(status, printed))


def _newly_encoded(state: State, *, everything: bool) -> set[int]:
    if not state.features_trusted:
        return set()
    candidates = state.unencoded - state.encode_failed.keys()
    if everything:
        candidates = state.unencoded
    elif len(candidates) > LOOKED_AT:
        candidates = set(heapq.nsmallest(LOOKED_AT, candidates))
    folder, asked = state.job.folder, wanted(state.job.run.spec.encode)
    return {clip for clip in candidates if inspect(folder.clip(clip), asked)[0] is Features.DONE}


def _read_log(state: State) -> None:
    """Take over what the encoder says; its log is replaced as a whole, so it is never half there."""
    if state.encoder is None:
        return
    try:
        log = json.loads(state.job.folder.encode_log.read_text(encoding="utf-8"))
        failures = {clip_index(failure["clip"]): failure["reason"] for failure in log["failures"]}
    except (OSError, ValueError, KeyError, TypeError):
        return  # not written yet
    # It writes its log after it has compared the features that were there with what it would make.
    state.features_trusted = True
    state.encode_failed = {
        clip: str(reason) for clip, reason in failures.items() if clip is not None and clip in state.unencoded
    }
