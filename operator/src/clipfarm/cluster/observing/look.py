"""One look at a run: the world that its rules decide on, and what is remembered of it from then on."""

from clipfarm.cluster.api.views import JobView
from clipfarm.cluster.observing import results
from clipfarm.cluster.observing.memory import Memory
from clipfarm.cluster.observing.observe import observe
from clipfarm.cluster.observing.own import own_objects
from clipfarm.cluster.observing.seen import Seen
from clipfarm.cluster.observing.tracked import Tracked
from clipfarm.cluster.observing.work import Answers, EncoderReports, Releases, Sweeping
from clipfarm.world import World


def look(tracked: Tracked, seen: Seen) -> World:
    """Replace what is remembered of a run, and return the world that its rules decide on.

    Before, what parts of the operator report of another Job is dropped, and what watches show as done.
    """
    own = own_objects(tracked.asked, seen.store)
    if (own.job.uid if own.job else "") != tracked.memory.rendering.job:
        _begin(tracked, own.job)
    tracked.releases.settle(own.pods)
    if not (own.deployment and own.deployment.replicas) and not tracked.status.get("completionTime"):
        tracked.encoding.forget_rest()
    world, tracked.memory = observe(tracked, own, seen)
    _settle_answers(tracked.answers, tracked.memory)
    return world


def _begin(tracked: Tracked, job: JobView | None) -> None:
    """Begin with another Job: what was done about the pods of the last one is over."""
    tracked.releases, tracked.sweeping = Releases(), Sweeping()
    tracked.work.begin()
    tracked.answers.begin()
    if tracked.memory.rendering.job:
        before = tracked.encoding
        tracked.encoding = EncoderReports(before.encoded, before.sets)  # encoders get another chance
    memory = results.read(job.results if job else "").memory
    if memory is not None:
        tracked.restore(memory)


def _settle_answers(answers: Answers, memory: Memory) -> None:
    """Drop answers of which this look has shown that they are over."""
    rendering = memory.rendering
    standings = {uid: encoder.standing for uid, encoder in memory.encoders.items()}
    standings |= {uid: rendering.at_work[uid][1].standing for uid in answers.words if uid in rendering.at_work}
    answers.settle(rendering.departed, standings, missing=rendering.missing_since is not None)
