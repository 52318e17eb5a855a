"""From a scene to pictures, by Blender Cycles.

:mod:`cycles` renders on a :mod:`device`, and :mod:`view` turns linear light into colours. :mod:`frames` writes a clip's
frames: whole, or put together from the :mod:`background` that all clips of a run share and the :mod:`region` that the
object changes. :mod:`layers` writes depth, flow and the other layers.
"""
