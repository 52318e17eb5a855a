"""The one source of a clip's randomness."""


def clip_seed(run_seed: int, index: int) -> int:
    """Return the first 64 bits of ``SeedSequence(run_seed, spawn_key=(index,))``, a whole number below 2**64.

    Clips of one run are independent streams whatever their number, and a clip's stream does not depend on which
    process makes it, when, or beside which others.
    """
    # Imported here: the thread limits have to be in the environment before NumPy is loaded.
    from numpy import uint64
    from numpy.random import SeedSequence

    return int(SeedSequence(run_seed, spawn_key=(index,)).generate_state(1, uint64)[0])
