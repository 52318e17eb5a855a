"""What is in the picture, and how it moves: all of a clip that is known before a pixel is rendered.

:mod:`sample` draws what is random. :mod:`arena` and :mod:`camera` are the same in every clip. :mod:`bodies`,
:mod:`shapes` and :mod:`manifest` make the object, :mod:`stage` puts the scene together, and :mod:`physics` moves it.
:mod:`ground_truth` describes the result. Nothing here needs Cycles.
"""
