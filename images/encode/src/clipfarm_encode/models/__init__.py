"""From a clip's decoded frames to its features.

:mod:`base` says what a model is, and :mod:`catalogue` finds and loads one by its name: :mod:`vjepa2` or another.
:mod:`encoder` puts it on a device. A :mod:`lane` moves a batch there and its features back; :mod:`batch` is one under
way.
"""
