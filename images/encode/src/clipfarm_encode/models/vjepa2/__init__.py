"""V-JEPA 2 and 2.1.

:mod:`model` says what the encoder has to know of it, and :mod:`loading` loads it. :mod:`network` is the network, read
top to bottom; :mod:`packed` makes it fast on a CPU. :mod:`half` lays it out for CUDA in half precision:
:mod:`operations` are its steps, :mod:`kernels` compiles those of ``kernels.cu``, and :mod:`graph` launches a batch as a
whole. :mod:`half_lane` moves batches there and features back. :mod:`checkpoint` and :mod:`huggingface` read the two
kinds of published weights.
"""

from clipfarm_encode.models.vjepa2.loading import check, load

__all__ = ["check", "load"]
