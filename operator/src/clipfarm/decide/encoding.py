"""How many encoders should be at work."""

from clipfarm.run import Encode
from clipfarm.world import World


def remaining(world: World) -> int:
    """Return how many complete clips have neither features nor a reason why they cannot get any."""
    return max(0, world.rendered - world.encoding.encoded - len(world.encoding.failed))


def replicas(encode: Encode, world: World, *, finished: bool) -> int:
    """Return the replicas wanted: none before the first clip is complete, none after the last is encoded.

    In between they stay, also when they have caught up: starting one costs a model load. One that runs when the last
    clip is done ends by itself.
    """
    if not encode.enabled or world.encoding.stuck or world.rendered == 0:
        return 0
    if remaining(world) == 0 and (finished or world.encoding.running == 0):
        return 0
    return encode.replicas
