"""How many encoders should be at work."""

from clipfarm.run import Encode
from clipfarm.world import Encoding, World
from clipfarm_contract.exit_codes import EncoderExitCode

MOST_EARLY_ENDS = 3
"""Encoders that may end early one after the other, for whatever reason, before a person has to look."""


def remaining(world: World) -> int:
    """Return how many complete clips have neither features nor a reason why they cannot get any."""
    return max(0, world.encodable - world.encoding.encoded - len(world.encoding.failed))


def replicas(encode: Encode, world: World, *, finished: bool) -> int:
    """Return the replicas wanted: none before the first clip is complete, none after the last is encoded.

    In between they stay, also when they have caught up: starting one costs a model load. One that runs when the last
    clip is done ends by itself.
    """
    if not encode.enabled or stuck(world.encoding) or world.encodable == 0:
        return 0
    if remaining(world) == 0 and (finished or world.encoding.running == 0):
        return 0
    return encode.replicas


def stuck(encoding: Encoding) -> str:
    """Return why no encoder can work, where a person has to act; empty where one may still be started.

    A usage error stays one. Anything else, a crash or a kill, may be of the moment.
    """
    if not encoding.early_ends:
        return ""
    last = encoding.early_ends[-1]
    if last.status != EncoderExitCode.USAGE and len(encoding.early_ends) < MOST_EARLY_ENDS:
        return ""
    how = f"was killed by signal {-last.status}" if last.status < 0 else f"ended with {last.status}"
    return f"the encoder {how}: {last.printed or 'it printed nothing'}"
