"""Other people's videos: what they hold, how they are cut into clips, and the frames of a clip.

:mod:`cli` is ``clipfarm encode``. PyAV is imported when a video is opened.
"""
