"""What one machine does where the claims of GPU memory cannot be shared."""

from contextlib import contextmanager
from types import SimpleNamespace

from clipfarm.decide.plan import decide
from clipfarm.local import executor
from clipfarm.local.claims import ClaimsError
from helpers.runs import make_run, make_world

RUN = make_run(clips=3, workers=1, encode={"weights": {"source": "random"}})


class Unusable:
    @contextmanager
    def turn(self):
        raise ClaimsError("/claims: found no folder")
        yield


def test_without_the_folder_of_claims_nothing_starts_and_all_else_of_a_plan_is_done(monkeypatch):
    world = make_world(RUN, rendered=2, waiting=(2,))
    plan = decide(RUN, world)
    assert plan.start
    assert plan.encoders
    done = []
    monkeypatch.setattr(executor, "observe", lambda *_: world)
    monkeypatch.setattr(executor, "apply", lambda plan, *_: done.append(plan))
    found = executor._decide_and_apply(SimpleNamespace(run=RUN), SimpleNamespace(claims=Unusable()))
    [asked] = done
    assert (asked.start, asked.encoders) == ((), plan.encoders)
    assert found.status.stuck == "/claims: found no folder; no clip starts meanwhile"
