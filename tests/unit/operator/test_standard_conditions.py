"""Which of the conditions hold that kubectl wait, kstatus, Flux and Argo CD know, and when a standstill is a stall."""

import pytest

from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.process.decided import decided
from clipfarm.cluster.reporting import conditions
from clipfarm.cluster.reporting.standard_conditions import FOR_GOOD, PATIENT, PAUSED, PROGRESS_SECONDS, standard
from clipfarm.decide.plan import decide
from clipfarm.decide.status import Status
from clipfarm.manifests.common import Owner
from clipfarm.world import Ended, Running
from clipfarm_contract.exit_codes import ExitCode
from helpers.runs import NODE, make_run, make_world

BAD = Ended(0, ExitCode.FAILED, "was black", 900.0, 1)
DONE = {"rendered": 4, "waiting": ()}
SOME_FAILED = {"rendered": 3, "waiting": (), "ended": (BAD,)}
ALL_FAILED = {"rendered": 0, "waiting": (), "ended": tuple(Ended(i, ExitCode.FAILED, "x", 0, 1) for i in range(4))}
UNFINISHED = ("False", "Unfinished", "not all clips are done yet")
REFUSED = ("False", "PodsRefused", "no PriorityClass")


def status(**world) -> Status:
    run = make_run(clips=4)
    return decide(run, make_world(run, **world)).status


# world, Ready's reason, Progressing's finding, stood still for too long, conditions with their reasons
TABLE = [
    (DONE, "Succeeded", ("False", "Succeeded"), False, {"Complete": "Succeeded"}),
    (SOME_FAILED, "CompletedWithFailures", ("False", "CompletedWithFailures"), False,
     {"Failed": "CompletedWithFailures", "Stalled": "CompletedWithFailures"}),
    (ALL_FAILED, "Failed", ("False", "Failed"), False, {"Failed": "Failed", "Stalled": "Failed"}),
    (SOME_FAILED, "Error", ("False", "CompletedWithFailures"), True,
     {"Failed": "CompletedWithFailures", "Stalled": "CompletedWithFailures"}),
    ({}, "Unfinished", ("True", "Rendering"), False, {"Reconciling": "Rendering"}),
    ({}, "Unfinished", ("True", "Rendering"), True, {"Reconciling": "Rendering"}),
    ({}, "Error", ("True", "Rendering"), True, {"Reconciling": "Rendering"}),
    ({}, "Unfinished", ("False", "Waiting"), False, {"Reconciling": "Waiting"}),
    ({}, "Unfinished", ("False", "Waiting"), True, {"Stalled": "Waiting"}),
    ({}, "PodsRefused", ("False", "PodsRefused"), False, {"Reconciling": "PodsRefused"}),
    ({}, "PodsRefused", ("False", "PodsRefused"), True, {"Stalled": "PodsRefused"}),
    ({}, "Error", ("False", "Error"), True, {"Stalled": "Error"}),
    ({}, "Unfinished", ("False", "VRAMUnknown"), True, {"Stalled": "VRAMUnknown"}),
    *[({}, "Unfinished", ("False", reason), True, {"Reconciling": reason}) for reason in sorted(PATIENT - PAUSED)],
    *[({}, "Unfinished", ("False", reason), True, {}) for reason in sorted(PAUSED)],
    *[({}, reason, ("True", "Rendering"), False, {"Stalled": reason}) for reason in sorted(FOR_GOOD)],
]  # fmt: skip


@pytest.mark.parametrize(("world", "ready", "progressing", "too_long", "expected"), TABLE)
def test_the_conditions_that_other_tools_know_follow_from_ready_and_progressing(
    world, ready, progressing, too_long, expected
):
    truth = "True" if ready == "Succeeded" else "False"
    found = dict(standard(status(**world), (truth, ready, "why"), (*progressing, "what"), too_long=too_long))
    assert {kind: finding[1] for kind, finding in found.items()} == expected
    assert {finding[0] for finding in found.values()} <= {"True"}, "each is listed only while it is true"


def test_a_run_is_never_both_stalled_and_reconciling():
    for world, ready, progressing, too_long, _ in TABLE:
        kinds = dict(standard(status(**world), ("False", ready, ""), (*progressing, ""), too_long=too_long)).keys()
        assert not {"Stalled", "Reconciling"} <= kinds
        assert not {"Complete", "Failed"} <= kinds


def listed(tracked: Tracked, now: float, **world) -> dict[str, str]:
    run = tracked.run
    plan = decide(run, make_world(run, **world))
    tracked.memory = decided(tracked, plan, now)
    found = list(conditions.conditions(tracked, plan.status, None, now, 1.8e9))
    tracked.status = {"conditions": [entry.model_dump(by_alias=True) for entry in found]}
    return {entry.type: entry.reason for entry in found}


def tracked(**spec) -> Tracked:
    made = Tracked(
        Asked(make_run(clips=4, **({"storage": {"claimName": "clips"}} | spec)), Owner("ns", "u", {}), 1), {}
    )
    made.answers.claim = "Bound"
    return made


NOTHING = {"waiting": ()}
AT_WORK = {"waiting": (), "running": (Running(0, NODE, None, 990.0),)}


def test_a_run_that_stands_still_for_ten_minutes_is_stalled_and_goes_on_when_a_pod_runs():
    run = tracked()
    assert "Reconciling" in listed(run, 1000.0, **NOTHING)
    assert "Reconciling" in listed(run, 1000.0 + PROGRESS_SECONDS - 1, **NOTHING)
    assert "Stalled" in listed(run, 1000.0 + PROGRESS_SECONDS, **NOTHING)
    assert "Reconciling" in listed(run, 1700.0, **AT_WORK)
    assert "Reconciling" in listed(run, 1701.0, **NOTHING), "the ten minutes begin anew"


def test_a_stalled_run_stays_stalled_when_the_operator_starts_again():
    run = tracked()
    listed(run, 1000.0, **NOTHING)
    listed(run, 1000.0 + PROGRESS_SECONDS, **NOTHING)
    again = Tracked(Asked(run.run, run.owner, 1), run.status)
    again.answers.claim = "Bound"
    assert "Stalled" in listed(again, 5.0, **NOTHING)


@pytest.mark.parametrize(("device", "there"), [("cpu", False), ("cuda", True), ("optix", True)])
def test_a_run_that_uses_no_gpu_has_no_condition_about_gpu_memory(device, there):
    assert ("VRAMHeld" in listed(tracked(render={"device": device}), 1000.0, **AT_WORK)) is there
