"""The world as one observation found it: a snapshot of a cluster, or of one machine.

A renderer is called a pod in both: in a cluster it is one, on one machine it is a process. All times are seconds on
the clock of the snapshot's :class:`Moment`, unless they are said to be wall time. Types are frozen and hold no logic
beyond simple properties; whatever is unknown is None, never zero.
"""

from clipfarm.world.encoders import EarlyEnd, Encoder, Encoding, Turn
from clipfarm.world.gpus import ClipMemory, GpuId, Holder, Neighbours, Reading, WatermarkState
from clipfarm.world.nodes import HOSTNAME_LABEL, Label, Node, NodeKind, Requests, Sharing
from clipfarm.world.others import OtherRun, RunStanding
from clipfarm.world.pods import POD_STATES, Departed, Ended, PodState, Running, Standing
from clipfarm.world.snapshot import Moment, World

__all__ = [
    "HOSTNAME_LABEL",
    "POD_STATES",
    "ClipMemory",
    "Departed",
    "EarlyEnd",
    "Encoder",
    "Encoding",
    "Ended",
    "GpuId",
    "Holder",
    "Label",
    "Moment",
    "Neighbours",
    "Node",
    "NodeKind",
    "OtherRun",
    "PodState",
    "Reading",
    "Requests",
    "RunStanding",
    "Running",
    "Sharing",
    "Standing",
    "Turn",
    "WatermarkState",
    "World",
]
