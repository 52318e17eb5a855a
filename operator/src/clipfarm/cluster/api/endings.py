"""How a renderer's pod failed: its exit code, what the supervisor left as its last message, what the kubelet saw."""

from dataclasses import dataclass, replace

from clipfarm.cluster.api.owners import COUNT, RunKey, controller, index_of, run_key
from clipfarm.cluster.api.times import read_time, unix_time
from clipfarm.manifests.blocks import Blocks
from clipfarm.manifests.common import Manifest
from clipfarm.manifests.job import CONTAINER
from clipfarm_contract.exit_codes import ENDED_WITH_2, STOPPED, ExitCode
from clipfarm_contract.fields import ContractError
from clipfarm_contract.reasons import alike
from clipfarm_contract.result import GpuReading, VramUse
from clipfarm_contract.termination import Termination
from clipfarm_contract.text import printable

FAILURES_ANNOTATION = "batch.kubernetes.io/job-index-failure-count"
IGNORED_ANNOTATION = "batch.kubernetes.io/job-index-ignored-failure-count"
MOST_TEXT = 1000
TENTH = 0.1


@dataclass(frozen=True, slots=True)
class FailedPod:
    """A renderer's pod that failed."""

    uid: str
    run: RunKey
    owner: str
    """UID of its Job."""
    index: int
    exit_code: ExitCode
    reason: str
    ended: float
    """Unix time."""
    attempts: int
    """Which attempt at its index it was by the Job's count, the first is 1."""
    disrupted: bool
    """Evicted, deleted, its node gone, never begun, or failed by another container than the renderer's: not the clip's
    doing. What comes next is the Job's business."""
    clips: tuple[tuple[int, str], ...] = ()
    """Of its block, the clips that failed, with reasons; empty if the pod could not report them. A clip at which the
    block broke off is not among them."""
    done: int = 0
    """Of its block, how many clips are complete."""
    ignored: int = 0
    """Pods of its index before it that failed and that the Job did not count."""


def failed_pod(manifest: Manifest) -> FailedPod | None:
    """Return a view of a renderer's pod that failed; None where it is no pod of an Indexed Job.

    Raises:
        ValueError: its index is no number.
    """
    metadata, status = manifest["metadata"], manifest.get("status", {})
    annotations = metadata.get("annotations", {})
    key, index = run_key(manifest), index_of(annotations)
    if key is None or index is None:
        return None
    ended = _ended(status)
    at = read_time(ended.get("finishedAt"))
    if at is None:
        at = unix_time(metadata["creationTimestamp"])
    code = ended.get("exitCode", 1)
    told = _termination(ended)
    broke_off = code == ExitCode.BROKE_OFF and _goes_on(told)
    ends = [clip for clip in told.clips or () if clip.exit_code]
    clips, again = (
        tuple((clip.index, clip.reason[:MOST_TEXT]) for clip in ends if clip.again == waits) for waits in (False, True)
    )
    return FailedPod(
        uid=metadata["uid"],
        run=key,
        owner=controller(manifest),
        index=index,
        exit_code=_of_a_renderer(code, broke_off=broke_off),
        reason=_reason(ended, status, again or clips, broke_off=broke_off)[:MOST_TEXT],
        ended=at,
        attempts=_count(annotations, FAILURES_ANNOTATION) + 1,
        disrupted=ended.get("exitCode", STOPPED) in (STOPPED, ExitCode.OK)
        or any(c["type"] == "DisruptionTarget" and c["status"] == "True" for c in status.get("conditions", ())),
        clips=clips,
        done=told.done,
        ignored=_count(annotations, IGNORED_ANNOTATION),
    )


def _goes_on(told: Termination) -> bool:
    """Return whether a supervisor reports a clip that is tried again, or had no room to name any.

    A program that knows nothing of the contract may end with any exit code, and would be tried again for ever.
    """
    return any(clip.again for clip in told.clips) if told.clips is not None else bool(told.done or told.failed)


def _of_a_renderer(code: int, *, broke_off: bool) -> ExitCode:
    known = code in set(ExitCode) and (code != ExitCode.BROKE_OFF or broke_off)
    return ExitCode(code) if known else ExitCode.FAILED


def _count(annotations: Manifest, name: str) -> int:
    text = annotations.get(name, "")
    return int(text) if COUNT.fullmatch(text) else 0


def within(pod: FailedPod, blocks: Blocks) -> FailedPod:
    """Return a failed pod without what it reports of clips that are not in its block."""
    failed = pod.clips
    if failed:
        block = set(blocks.of_index(pod.index))
        failed = tuple((clip, reason) for clip, reason in dict(failed).items() if clip in block)
    most = blocks.size(pod.index) - len(failed)
    return replace(pod, clips=failed, done=pod.done if 0 <= pod.done <= most else 0)


def clips_vram(manifest: Manifest) -> list[VramUse]:
    """Return what a pod's complete clips took of GPU memory; of a large block, what some of them took."""
    return list(_termination(_ended(manifest.get("status", {}))).vram)


def slow_there(manifest: Manifest) -> tuple[str, ...]:
    """Return what a pod says makes clips slow on its node, one line each."""
    return tuple(printable(line) for line in _termination(_ended(manifest.get("status", {}))).slow)


def gpu_reading(manifest: Manifest) -> tuple[GpuReading, float] | None:
    """Return what a pod measured of its GPU, and how long before its end, in seconds.

    None where it does not say, or says that it has measured when its container did not run.
    """
    end = _ended(manifest.get("status", {}))
    gpu = _termination(end).gpu
    began, ended = read_time(end.get("startedAt")), read_time(end.get("finishedAt"))
    # All by the node's clock: what the kubelet says in whole seconds, what the pod says to a tenth.
    if gpu is None or began is None or ended is None or not began - TENTH <= gpu.at <= ended + 1.0 + TENTH:
        return None
    return gpu, max(0.0, ended + 1.0 - gpu.at)


def _termination(ended: Manifest) -> Termination:
    """Return the termination message of a container; one that reports nothing if it is none of ours."""
    try:
        return Termination.parse(ended.get("message", ""))
    except ContractError:
        return Termination()


def _ended(status: Manifest) -> Manifest:
    """Return how the renderer's container ended; other containers of the pod say nothing about the clip."""
    ends = {
        entry["name"]: entry["state"]["terminated"]
        for entry in status.get("containerStatuses", ())
        if entry.get("state", {}).get("terminated")
    }
    found: Manifest = ends.get(CONTAINER, {})
    return found


def _reason(ended: Manifest, status: Manifest, clips: tuple[tuple[int, str], ...], *, broke_off: bool = False) -> str:
    if ended.get("exitCode") == ExitCode.OK:
        return _failed_beside(status)
    if ended.get("reason") == "OOMKilled":
        return "the kernel ended the pod: it took more memory than render.memory allows"
    reasons = [reason for _, reason in clips if reason]
    if reasons:
        kinds: dict[str, str] = {}
        for reason in reasons:
            kinds.setdefault(alike(reason), reason)
        return "; ".join(kinds.values())
    if status.get("message"):
        return str(status["message"])  # the kubelet's: evicted, or not admitted
    if "exitCode" not in ended:
        return str(status.get("reason", "the pod failed"))
    message = str(ended.get("message", "")).strip()
    said = message.splitlines()[-1].removeprefix("clipfarm-render: ") if message and message[0] != "{" else ""
    if said and (ended["exitCode"] == ExitCode.USAGE or ended.get("reason") != "Error"):
        return said  # the supervisor refuses its command line, or the container could not be started
    # What follows is of what ran in the supervisor's place, or of one that was killed.
    code = ended["exitCode"]
    how = ENDED_WITH_2 if code == ExitCode.OUT_OF_VRAM else f"exit status {code}"
    if broke_off:
        how = "GPU memory ran out"
    return f"{how}; last line: {said}" if said else how


def _failed_beside(status: Manifest) -> str:
    """Return which other container failed, in a pod whose renderer did not."""
    for entry in status.get("containerStatuses", ()):
        code = entry.get("state", {}).get("terminated", {}).get("exitCode", 0)
        if code and entry["name"] != CONTAINER:
            return f"its container {CONTAINER} ended with 0, but the container {entry['name']} ended with {code}"
    return str(status.get("message") or f"its container {CONTAINER} ended with 0, but the pod failed")
