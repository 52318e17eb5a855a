import errno
import os
import threading

import pytest

from clipfarm_encode.files.clips import read_frames
from clipfarm_encode.files.decoder import SharedMemory, answer
from clipfarm_encode.files.decoding import Decoders
from unit.encode.made_up import make_clip

pytestmark = pytest.mark.torch


def processes(decoders):
    return [each._process.pid for each in decoders._all if each._process is not None]


def test_decoders_are_started_together_before_a_thread_asks_and_serve_the_threads_that_do(tmp_path):
    clips = [make_clip(tmp_path, i) for i in range(3)]
    with Decoders(3) as decoders:
        decoders.start(3)
        started = processes(decoders)
        assert len(started) == 3
        found, both = {}, threading.Barrier(3)

        def read(i):
            frames = decoders.read(clips[i]).frames
            both.wait(30)  # each still has its own
            found[i] = frames.copy()

        threads = [threading.Thread(target=read, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert processes(decoders) == started
    assert all((found[i] == read_frames(clips[i])).all() for i in range(3))


@pytest.mark.parametrize(("clips", "count", "expected"), [(0, 4, 0), (1, 4, 1), (9, 2, 2)])
def test_no_more_decoders_are_started_than_there_are_clips_or_threads(clips, count, expected):
    with Decoders(count) as decoders:
        decoders.start(clips)
        assert len(processes(decoders)) == expected


def test_decoders_that_were_not_started_are_when_they_are_needed(tmp_path):
    clip = make_clip(tmp_path, 0)
    with Decoders(2) as decoders:
        assert decoders.read(clip).frames.shape == (4, 48, 48, 3)
        assert len(processes(decoders)) == 1


def test_all_decoders_end_when_the_first_is_waited_for(tmp_path, monkeypatch):
    ended = []
    with Decoders(2) as decoders:
        decoders.start(2)
        first, second = decoders._all
        close = first.close

        def closing(timeout):
            ended.append(second._process.wait(30))
            close(timeout)

        monkeypatch.setattr(first, "close", closing)
    assert ended == [0]


def test_an_error_of_reading_is_told_from_damage(tmp_path, monkeypatch):
    clip = make_clip(tmp_path, 0)
    opened = os.open

    def refuse(path, *arguments, **options):
        if str(path).endswith("frame_00002.png"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    reply = answer(clip.folder, SharedMemory(os.memfd_create("frames")))
    assert reply == {"unreadable": "cannot be read: rgb/frame_00002.png: Input/output error (EIO)"}
    clip.frame(2).unlink()
    monkeypatch.setattr(os, "open", opened)
    reply = answer(clip.folder, SharedMemory(os.memfd_create("frames")))
    assert reply == {"refused": "rgb: 3 frames, expected 4"}
