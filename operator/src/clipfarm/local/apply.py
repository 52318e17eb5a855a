"""Carries out a plan: the only code here that starts or ends anything during a run."""

from clipfarm.decide.admission import Start
from clipfarm.decide.plan import Plan
from clipfarm.local import processes
from clipfarm.local.encoders import start_encoder
from clipfarm.local.processes import Worker
from clipfarm.local.state import State
from clipfarm_contract.atomic import write_atomically


def _start(state: State, start: Start, now: float) -> Worker:
    """Have a renderer make a clip: one that has just made another on that GPU, or else a new one."""
    for server in [each for each in state.idle if each.gpu == start.gpu]:
        state.idle.remove(server)
        worker = processes.give_another(state.job, start.index, server, now)
        if worker is not None:
            return worker
        state.leaving.append(server)
    return processes.start_worker(state.job, start.index, start.gpu, now, state.lock)


def apply(plan: Plan, state: State, now: float) -> None:
    """Carry the plan out.

    Raises:
        OSError: a part of it cannot be done now, as the disk is full; what has been done is noted in the state.
    """
    state.watermarks, state.turn = plan.watermarks, plan.turn
    while state.left_behind:
        state.left_behind.pop().unlink(missing_ok=True)
    for start in plan.start:
        state.workers[start.index] = _start(state, start, now)
        if state.waiting and state.waiting[0] == start.index:
            state.waiting.popleft()
        elif start.index not in state.ended:
            state.waiting.remove(start.index)
    while state.idle:
        server = state.idle.pop()
        state.leaving.append(server)
        server.release()
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
