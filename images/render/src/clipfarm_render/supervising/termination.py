"""The termination message: what a block of clips came to, in at most 4096 bytes.

Kubernetes takes that much from a container and shows it in the pod's status.
"""

import json
from collections.abc import Sequence
from typing import Any

from clipfarm_contract.result import GpuReading
from clipfarm_render.supervising.attempt import Outcome

MAX_BYTES = 4096


def message(outcomes: Sequence[Outcome], gpu: GpuReading | None = None) -> str:
    """Return ``{"clips": [...]}`` with each clip's result, shortened step by step until it fits.

    First the reasons are cut, then clips that are complete give up their details, then all do; at last only the
    counts are left: ``{"done": n, "failed": n}``. The memory of their GPU, where it is known, stays: ``"gpu": {...}``.
    """
    left = {"gpu": gpu.to_json()} if gpu else {}
    for form in (_full, _cut, _failures, _bare, _counts):
        text = json.dumps(form(outcomes) | left, separators=(",", ":"), ensure_ascii=False)
        if len(text.encode()) <= MAX_BYTES:
            return text
    raise AssertionError("two numbers and a GPU fit")


def _full(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {"clips": [_clip(outcome) for outcome in outcomes]}


def _cut(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {"clips": [_clip(outcome) | {"reason": outcome.result.reason[:200]} for outcome in outcomes]}


def _failures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    kept = [
        _code(outcome) | ({"reason": outcome.result.reason[:120]} if outcome.result.reason else {})
        for outcome in outcomes
    ]
    return {"clips": kept}


def _bare(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {"clips": [_code(outcome) for outcome in outcomes]}


def _counts(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    failed = sum(outcome.result.exit_code != 0 for outcome in outcomes)
    return {"done": len(outcomes) - failed, "failed": failed}


def _clip(outcome: Outcome) -> dict[str, Any]:
    return outcome.result.to_json() | ({"skipped": True} if outcome.skipped else {})


def _code(outcome: Outcome) -> dict[str, Any]:
    return {"index": outcome.result.index, "exitCode": int(outcome.result.exit_code)}
