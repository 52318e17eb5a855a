"""Carries out a plan: the only code here that starts or ends anything during a run."""

from clipfarm.decide.plan import Plan
from clipfarm.local import processes
from clipfarm.local.encoders import start_encoder
from clipfarm.local.state import State
from clipfarm_contract.clip import write_atomically


def apply(plan: Plan, state: State, now: float) -> None:
    """Carry the plan out.

    Raises:
        OSError: a part of it cannot be done now, as the disk is full; what has been done is noted in the state.
    """
    state.watermarks, state.turn = plan.watermarks, plan.turn
    while state.left_behind:
        state.left_behind.pop().unlink(missing_ok=True)
    for start in plan.start:
        state.workers[start.index] = processes.start_worker(state.job, start.index, start.gpu, now, state.lock)
        if state.waiting and state.waiting[0] == start.index:
            state.waiting.popleft()
        elif start.index not in state.ended:
            state.waiting.remove(start.index)
    marker = state.job.folder.all_rendered
    if plan.no_more_clips != marker.exists():
        if plan.no_more_clips:
            write_atomically(marker, "")
        else:
            marker.unlink()
    if not plan.encoders and not plan.no_more_clips and not plan.status.stuck:
        for encoder in state.encoders.values():
            encoder.process.terminate()  # it has no work, and its GPU memory may be what clips wait for
    for number in range(plan.encoders):
        if number not in state.encoders and number not in state.rested:
            state.encoders[number] = start_encoder(state.job, number, state.cpus, state.node, now, state.lock)
