"""From a clip's decoded frames to its features.

:mod:`vjepa2` is a model, and :mod:`weights` loads it. :mod:`encoder` puts it on devices. A :mod:`lane` moves a batch to
a device and its features back.
"""
