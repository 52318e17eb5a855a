"""Encoders of a run as the ledger of GPU memory knows them."""

from collections.abc import Mapping

from clipfarm.cluster.api.pod_views import EncoderPod
from clipfarm.cluster.observing.asked import Asked
from clipfarm.cluster.observing.devices import sharing
from clipfarm.cluster.observing.seen import Seen
from clipfarm.decide.vram import encoders
from clipfarm.encoder_memory import encoder_memory
from clipfarm.world import Encoder, GpuId, Node, OtherRun, Reading, Running


def encoder_claims(
    asked: Asked,
    pods: Mapping[str, EncoderPod],
    known: Mapping[str, Encoder],
    seen: Seen,
    readings: Mapping[GpuId, Reading],
) -> tuple[OtherRun, ...]:
    """Return what a run's encoders claim; nothing if they use no GPU.

    An encoder with a runtime class uses every GPU of its node. If it requests one, the device plugin chooses it.
    """
    spec = asked.run.spec
    options = spec.encode.pod
    if not spec.encode.enabled or not (options.runtime_class_name or options.gpu_request):
        return ()
    found = []
    for uid, encoder in known.items():
        pod = pods.get(uid)
        # One that is ending takes no more than readings show, and gives it back.
        if pod is not None and pod.node and encoder.state not in ("Ending", "Lost"):
            began = encoder.since if encoder.state == "Working" else None
            found.append(Running(0, pod.node, None, began, pod.name, encoder.standing))
    there = {pod.node for pod in found}
    nodes = []
    for view in seen.store.nodes.all():
        gpus = seen.gpus.on(view.name)
        if view.name in there and gpus:
            nodes.append(Node(view.name, view.cpus, gpus, sharing=sharing(view, options, len(gpus))))
    size = encoder_memory(spec.encode, spec.frames)
    return (encoders.claims("/".join(asked.key), size, found, nodes, readings),)
