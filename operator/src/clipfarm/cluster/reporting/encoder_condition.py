"""The condition EncoderReady: whether clips are being turned into features, and if not, why."""

from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.memory import Memory
from clipfarm.cluster.observing.work import EncoderReports
from clipfarm.cluster.reporting.standard_conditions import Finding
from clipfarm.decide.encoding import AWAY_SECONDS
from clipfarm.decide.starting import sentence, word
from clipfarm.decide.status import Status
from clipfarm.units import format_duration


def encoder_ready(asked: Asked, memory: Memory, reports: EncoderReports, status: Status) -> Finding:
    """Whether clips are being turned into features."""
    if not asked.run.spec.encode.enabled:
        return ("False", "Disabled", "spec.encode.enabled is false")
    if status.stuck and (reports.early_ends or reports.stuck):
        return ("False", "Stuck", status.stuck)
    clips = "1 clip is" if status.encoded == 1 else f"{status.encoded} clips are"
    if status.finished:
        return ("False", "Done", f"{clips} encoded")
    if memory.encoder_refusal:
        return ("False", "Refused", encoder_refused(asked, memory.encoder_refusal))
    at_work = [each for each in memory.encoders.values() if each.state == "Working" and not each.standing.reason]
    ready = any(encoder.ready for encoder in at_work)
    if ready and reports.silence:
        return ("Unknown", "Silent", f"the encoder does not report its progress: {reports.silence}")
    if ready:
        return ("True", "AtWork", f"{clips} encoded")
    if reports.early_ends:
        last = reports.early_ends[-1]
        return ("False", "Restarting", f"the encoder ended with {last.status}: {last.printed or 'it printed nothing'}")
    if at_work:
        listing = asked.run.spec.source is not None and reports.listing is None
        what = "listing the videos, or loading its model" if listing else "loading its model"
        return ("False", "Loading", f"the encoder is {what}")
    if status.encoder_troubles:
        first = status.encoder_troubles[0]
        return ("False", word(first), f"the encoder's pod does not start working: {sentence(first)}")
    if any(encoder.state != "Ending" for encoder in memory.encoders.values()):
        return ("False", "Starting", "the encoder's pod is starting")
    if memory.turn.made_room_at is not None:
        comes_back = f"returns when rendering is done, or after {format_duration(AWAY_SECONDS)} if clips wait for it"
        return ("False", "MadeRoom", f"{clips} encoded; it left so that renderers can start, and {comes_back}")
    if asked.run.spec.source is not None:
        return ("False", "Waiting", "the operator is about to create the encoder")
    return ("False", "Waiting", "starts with the first complete clip")


def encoder_refused(asked: Asked, why: str) -> str:
    """Return why the API server refuses the encoder's pods, and what to do."""
    # The ReplicaSet controller waits twice as long after each refusal, up to 17 minutes.
    restart = f"kubectl -n {asked.owner.namespace} rollout restart deployment {asked.names.encoder}"
    return f"the API server refuses the encoder's pods: {why}; `{restart}` then tries again at once"
