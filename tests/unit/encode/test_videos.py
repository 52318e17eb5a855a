"""Other people's videos: which frames a clip gets, and what is wrong with the rest. The videos are real ones."""

import errno
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from clipfarm_contract.clip import OF_A_VIDEO, ClipState, inspect
from clipfarm_contract.examining import Findings, examine
from clipfarm_contract.excerpt import Cut, Excerpt, Videos
from clipfarm_contract.layout import RunFolder
from clipfarm_encode.files.clips import ClipError, read_clip
from clipfarm_encode.videos import cutting, film
from clipfarm_encode.videos.cli import _ended, together
from clipfarm_encode.videos.cutting import cut_all
from clipfarm_encode.videos.error import VideoError
from clipfarm_encode.videos.film import length, read_film
from clipfarm_encode.videos.finding import find_videos
from clipfarm_encode.videos.folder import settle
from clipfarm_encode.videos.pictures import pictures, read_pictures
from clipfarm_encode.videos.sampling import beginnings, sampled, true_rate
from helpers.runs import make_run
from helpers.videos import KINDS, STEP, make_pictures, make_video


def numbers(frames):
    """Return which frames of a made-up video these are."""
    return [round(float(each.mean()) / STEP) for each in frames]


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_of_a_video_is_found_from_any_beginning(name, tmp_path):
    path = make_video(tmp_path / name)
    assert length(path) == (40, 30.0)
    for first in (0, 1, 11, 12, 13, 25, 36):
        assert numbers(read_film(path, first, 4, 30.0)) == list(range(first, first + 4))


@pytest.mark.parametrize(
    ("fps", "first", "expected"),
    [(10.0, 0, [0, 3, 6, 9]), (10.0, 5, [15, 18, 21, 24]), (15.0, 1, [2, 4, 6, 8]), (60.0, 2, [1, 1, 2, 2])],
)
def test_frames_are_those_that_are_shown_at_the_rate_that_is_asked_for(fps, first, expected, tmp_path):
    assert numbers(read_film(make_video(tmp_path / "x.mp4"), first, 4, fps)) == expected


def test_a_video_whose_frames_come_at_odd_times_is_sampled_by_these(tmp_path):
    # Half a second at 20 frames a second, then 5 a second.
    path = make_video(tmp_path / "x.mkv", frames=20, at=lambda i: 50 * i if i < 10 else 500 + 200 * (i - 10))
    assert numbers(read_film(path, 0, 12, 10.0)) == [0, 2, 4, 6, 8, 10, 10, 11, 11, 12, 12, 13]
    frames, rate = length(path)  # its head says 30 frames a second: all of them in 0.7 s of its 2.3 s
    assert (frames, rate) == (20, pytest.approx(19.75 / 2.3))
    assert numbers(read_film(path, 0, 20, rate))[::6] == [0, 11, 14, 18]
    assert numbers(read_film(path, 19, 1, rate)) == [18]
    last = sampled(frames, rate, 50.0) - 1
    assert numbers(read_film(path, last, 1, 50.0)) == [19]


def test_a_video_whose_times_are_rounded_keeps_the_rate_that_its_head_says(tmp_path):
    assert length(make_video(tmp_path / "x.mkv", at=lambda i: round(i * 1000 / 30))) == (40, 30.0)
    assert true_rate([0.0], 30.0) == 30.0


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
@pytest.mark.parametrize(("head", "rate"), [(30, 20.0), (30, 10.0), (30, 60.0), (5, 30.0), (120, 25.0), (1000, 30.0)])
def test_frames_that_come_evenly_count_and_not_the_rate_in_the_head(head, rate, suffix, tmp_path):
    path = make_video(tmp_path / f"x{suffix}", rate=head, at=lambda i: round(i * 1000 / rate))
    assert length(path) == (40, pytest.approx(rate, rel=1e-4))
    for fps in (length(path)[1], rate):
        for first in (0, 1, 11, 12, 13, 25, 36):
            assert numbers(read_film(path, first, 4, fps)) == list(range(first, first + 4))
    assert numbers(read_film(path, 1, 4, rate / 2)) == [2, 4, 6, 8]
    with pytest.raises(VideoError, match="it ends after 2 of the clip's 4 frames"):
        list(read_film(path, 38, 4, rate))


@pytest.mark.parametrize("head", [20, 24, 30, 31])
@pytest.mark.parametrize("fps", [7.0, 12.0, 25.0])
def test_a_clip_may_end_with_the_last_frame_whatever_the_head_says(fps, head, tmp_path):
    path = make_video(tmp_path / "x.mkv", frames=17, rate=head, at=lambda i: 40 * i)
    frames, rate = length(path)
    assert (frames, rate) == (17, pytest.approx(25.0))
    count = sampled(frames, rate, fps)
    assert len(numbers(read_film(path, 0, count, fps))) == count


def test_a_rate_that_is_a_little_off_is_noticed_in_a_long_video():
    moments = [round(i * 1001 / 30) / 1000 for i in range(3000)]
    assert true_rate(moments, 30.0) == pytest.approx(30000 / 1001, rel=1e-5)
    assert true_rate(moments[:200], 30.0) == 30.0


def test_a_picture_on_the_cover_is_not_the_video(tmp_path):
    with av.open(str(tmp_path / "x.mp4"), "w") as container:
        cover = container.add_stream("png")
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        video = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for stream, count in ((cover, 1), (video, 10)):
            for _ in range(count):
                picture = np.zeros((stream.height, stream.width, 3), np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
    assert length(tmp_path / "x.mp4") == (10, 30.0)
    assert next(read_film(tmp_path / "x.mp4", 0, 1, 30.0)).shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("count", "rate", "fps", "expected"),
    [
        (90, 30, 10, 30),
        (91, 30, 10, 31),
        (40, 30, 30, 40),
        (1, 30, 5, 1),
        (24, 24, 23.976, 24),
        (10, 10, 20, 20),
        (17, 30, 25, 14),
    ],
)
def test_how_many_frames_a_video_has_at_another_rate(count, rate, fps, expected):
    assert sampled(count, rate, fps) == expected


@pytest.mark.parametrize(
    ("count", "frames", "stride", "expected"),
    [(40, 8, 8, [0, 8, 16, 24, 32]), (41, 8, 8, [0, 8, 16, 24, 32]), (20, 8, 4, [0, 4, 8, 12]), (7, 8, 8, [])],
)
def test_where_clips_begin(count, frames, stride, expected):
    assert list(beginnings(count, frames, stride)) == expected


def test_a_video_that_is_to_be_turned_is_turned():
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[0, 0] = 255
    frame = SimpleNamespace(to_ndarray=lambda **_: picture, rotation=90)
    assert film._picture(frame).shape == (3, 2, 3)
    assert film._picture(frame)[2, 0, 0] == 255  # the upper left corner, a quarter turn to the left


def test_a_video_that_ends_early_says_so(tmp_path):
    path = make_video(tmp_path / "x.mp4", frames=10)
    with pytest.raises(VideoError, match="it ends after 2 of the clip's 4 frames"):
        list(read_film(path, 8, 4, 30.0))


def write_sound(path):
    with av.open(str(path), "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.rate = 8000
        for packet in stream.encode(frame):
            container.mux(packet)


def test_what_is_no_video_is_refused_with_a_reason(tmp_path):
    (tmp_path / "noise.mp4").write_bytes(b"no video" * 100)
    (tmp_path / "empty.mp4").touch()
    write_sound(tmp_path / "sound.avi")
    make_video(tmp_path / "short.mp4", frames=5)
    make_video(tmp_path / "good.mp4", frames=9)
    make_video(tmp_path / "one.mp4", frames=1)
    whole = make_video(tmp_path / "broken off.mp4", frames=16).read_bytes()
    (tmp_path / "broken off.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile good.mp4\n")
    outcome = cut(tmp_path, tmp_path / "out")
    assert outcome.clips == 1
    assert outcome.refused == {
        "noise.mp4": "Invalid data found when processing input",
        "empty.mp4": "Invalid data found when processing input",
        "sound.avi": "it has sound at most, and no pictures",
        "short.mp4": "it has 5 frames at 30 a second, and a clip 8",
        "one.mp4": "it has 1 frame at 30 a second, and a clip 8",
        "broken off.mp4": "it has neither pictures nor sound; it may not have been copied completely",
        "list.mp4": "it is a list of other files, expected a video",
    }


def test_frames_that_a_head_promises_and_a_file_cannot_hold_are_counted(tmp_path):
    path = make_video(tmp_path / "x.avi", frames=16)
    data = bytearray(path.read_bytes())
    promised = data.index(b"strh") + 8 + 32
    assert int.from_bytes(data[promised : promised + 4], "little") == 16
    data[promised : promised + 4] = (0x7FFFFFF0).to_bytes(4, "little")
    path.write_bytes(data)
    assert length(path) == (16, 30.0)


def test_what_is_no_file_is_passed_over_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    make_video(tmp_path / "x.mp4", frames=8)
    outcome = cut(tmp_path, tmp_path / "out")
    assert (outcome.clips, outcome.refused) == (1, {"pipe.mp4": "it is no file"})


def test_a_video_whose_title_is_not_utf_8_is_used(tmp_path):
    path = make_video(tmp_path / "x.avi", frames=8, title="a caf\u00e9 at noon")
    path.write_bytes(path.read_bytes().replace("caf\u00e9".encode(), b"caf\xe9 "))
    assert cut(tmp_path, tmp_path / "out").clips == 1
    assert read_clip(RunFolder(tmp_path / "out").clip(0)).frames.shape == (8, 48, 64, 3)


def test_a_video_whose_name_is_not_utf_8_is_passed_over(tmp_path):
    make_video(tmp_path / "x.mp4", frames=8).rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    outcome = cut(tmp_path, tmp_path / "out")
    assert list(outcome.refused.values()) == ["its name is not UTF-8, expected one that video.json can hold"]


def cut(root: Path, output: Path, frames=8, **more):
    folder = RunFolder(output)
    folder.state.mkdir(parents=True, exist_ok=True)
    made = Cut(frames, more.pop("stride", frames), **more)
    folder.videos.write_text(Videos(str(root), made).to_json())
    return cut_all(root, find_videos(root, output), folder, made)


def excerpts(output):
    folder = RunFolder(output)
    return {index: Excerpt.read(folder.clip(index)) for index in folder.clips()}


def test_videos_at_any_depth_become_clips_in_the_order_of_their_names(tmp_path):
    make_video(tmp_path / "b" / "two.webm", frames=17)
    make_video(tmp_path / "one.mp4", frames=8)
    make_pictures(tmp_path / "b" / "three")
    make_video(tmp_path / ".hidden" / "no.mp4")
    make_video(tmp_path / "._two.mp4")
    output = tmp_path / "out"
    assert cut(tmp_path, output).clips == 4
    found = [(each.video, each.first, each.part, each.parts) for each in excerpts(output).values()]
    assert found == [("one.mp4", 0, 0, 1), ("b/two.webm", 0, 0, 2), ("b/two.webm", 8, 1, 2), ("b/three", 0, 0, 1)]
    frames = [numbers(read_clip(RunFolder(output).clip(i)).frames) for i in range(4)]
    assert frames == [list(range(8)), list(range(8)), list(range(8, 16)), list(range(8))]


def test_links_to_folders_are_followed_and_no_folder_is_looked_into_twice(tmp_path):
    elsewhere, videos = tmp_path / "elsewhere", tmp_path / "videos"
    for path in (elsewhere / "deep" / "far.mp4", videos / "z" / "near.mp4"):
        path.parent.mkdir(parents=True)
        path.touch()
    for name, target in {"a": "z", "b": "../elsewhere", "round": ".", "gone": "nowhere", "f.mp4": "z/near.mp4"}.items():
        (videos / name).symlink_to(target)
    (elsewhere / "back").symlink_to(videos)
    assert list(find_videos(videos, tmp_path / "out")) == ["f.mp4", "z/near.mp4", "b/deep/far.mp4"]


def test_a_folder_that_cannot_be_listed_is_passed_over_and_the_rest_goes_on(tmp_path, monkeypatch):
    make_video(tmp_path / "x.mp4", frames=8)
    (tmp_path / "lost+found").mkdir()
    scandir = os.scandir

    def refusing(folder="."):
        if os.fspath(folder).endswith("lost+found"):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    outcome = cut(tmp_path, tmp_path / "out")
    assert (outcome.clips, outcome.refused) == (1, {"lost+found": "Permission denied"})
    with pytest.raises(PermissionError):
        list(find_videos(tmp_path / "lost+found", tmp_path / "out"))


def test_clips_keep_their_numbers_when_videos_are_added_and_when_a_cut_was_broken_off(tmp_path):
    make_video(tmp_path / "m.mp4", frames=24)
    output = tmp_path / "out"
    cut(tmp_path, output)
    before = excerpts(output)
    RunFolder(output).clip(1).excerpt.unlink()
    RunFolder(output).clip(1).folder.rmdir()
    make_video(tmp_path / "a.mp4", frames=8)
    assert cut(tmp_path, output).clips == 4
    after = excerpts(output)
    assert {index: after[index] for index in (0, 2)} == {index: before[index] for index in (0, 2)}
    assert sorted((each.video, each.part) for each in after.values()) == [
        ("a.mp4", 0),
        *(("m.mp4", part) for part in range(3)),
    ]


def test_a_video_whose_cut_was_broken_off_is_cut_on_at_the_rate_at_which_it_was_begun(tmp_path):
    make_video(tmp_path / "m.mp4", frames=24)
    output = tmp_path / "out"
    cut(tmp_path, output)
    for index in (0, 2):
        RunFolder(output).clip(index).excerpt.unlink()
        RunFolder(output).clip(index).folder.rmdir()
    clip = RunFolder(output).clip(1)
    begun = replace(Excerpt.read(clip), fps=25.0)  # as an earlier version read it
    clip.excerpt.write_text(begun.to_json())
    assert cut(tmp_path, output).clips == 3
    assert sorted(excerpts(output).values(), key=lambda each: each.part) == [
        replace(begun, part=part, first=8 * part) for part in range(3)
    ]


def test_two_programs_that_cut_at_the_same_time_make_each_clip_once(tmp_path):
    for i in range(6):
        make_video(tmp_path / f"v{i}.mp4", frames=16)
    output = tmp_path / "out"
    command = [sys.executable, "-m", "clipfarm_encode.videos", str(tmp_path), "--output", str(output), "--frames", "8"]
    both = [subprocess.Popen([*command, "--no-encode"], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[1].strip().splitlines()[-1] for process in both] == [
        "clipfarm encode: 6 videos, 0 of them passed over: 12 clips"
    ] * 2
    found = sorted((each.video, each.part) for each in excerpts(output).values())
    assert found == [(f"v{i}.mp4", part) for i in range(6) for part in range(2)]


def test_a_program_that_has_found_a_video_more_than_another_makes_no_clip_twice(tmp_path, monkeypatch):
    for name in ("b", "c"):
        make_video(tmp_path / f"{name}.mp4", frames=16)
    output = RunFolder(tmp_path / "out")
    there = cutting._there

    def another_meanwhile(of):
        monkeypatch.undo()
        found = there(of)
        cut(tmp_path, output.root)
        make_video(tmp_path / "a.mp4", frames=8)
        return found

    monkeypatch.setattr(cutting, "_there", another_meanwhile)
    outcome = cut_all(tmp_path, ["a.mp4", "b.mp4", "c.mp4"], output, Cut(8, 8))
    found = [(each.video, each.part) for _, each in sorted(excerpts(output.root).items())]
    assert found == [("b.mp4", 0), ("b.mp4", 1), ("c.mp4", 0), ("c.mp4", 1), ("a.mp4", 0)]
    assert (outcome.clips, outcome.numbers) == (5, set(range(5)))


def test_encoders_in_pods_whose_processes_have_one_number_may_begin_at_the_same_time(tmp_path, monkeypatch):
    folder, videos, others = RunFolder(tmp_path), Videos("/videos", Cut(8, 8)), [1]
    replace = Path.replace

    def another_first(path, target):
        if others:
            others.pop()
            settle(folder, videos)
        return replace(path, target)

    monkeypatch.setattr(os, "getpid", lambda: 7)
    monkeypatch.setattr(Path, "replace", another_first)
    settle(folder, videos)
    assert Videos.read(folder) == videos


def test_an_encoder_that_begins_while_another_cuts_the_first_clip_finds_its_videos(tmp_path, monkeypatch):
    folder, videos = RunFolder(tmp_path), Videos("/videos", Cut(8, 8))
    read = Videos.read

    def another_just_after(of):
        monkeypatch.undo()
        try:
            return read(of)
        finally:
            settle(folder, videos)
            folder.clip(0).folder.mkdir()

    monkeypatch.setattr(Videos, "read", another_just_after)
    settle(folder, videos)
    assert Videos.read(folder) == videos


def test_a_video_that_changed_or_went_away_is_named(tmp_path):
    path = make_video(tmp_path / "x.mp4", frames=8)
    output = tmp_path / "out"
    cut(tmp_path, output)
    clip = RunFolder(output).clip(0)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(ClipError, match=rf"^x\.mp4: found {size + 4} bytes, expected {size} as when it was cut$"):
        read_clip(clip)
    assert cut(tmp_path, output).refused == {
        "x.mp4": "it has changed since it was cut; remove its clips, or put it back"
    }
    path.unlink()
    with pytest.raises(ClipError, match=r"^x\.mp4: not found in "):
        read_clip(clip)


def test_a_picture_that_is_damaged_or_of_another_size_is_named(tmp_path):
    folder = make_pictures(tmp_path / "walk", suffix=".png")
    output = tmp_path / "out"
    cut(tmp_path, output)
    clip = RunFolder(output).clip(0)
    (folder / "img3.png").write_bytes(b"no picture")
    with pytest.raises(ClipError, match=r"^walk: img3\.png: damaged, or no picture$"):
        read_clip(clip)
    Image.new("RGB", (20, 20)).save(folder / "img3.png")
    with pytest.raises(ClipError, match=r"^walk: its pictures have different sizes, 20 x 20 and 64 x 48$"):
        read_clip(clip)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [([0, 0], 0), ([-9, 0], 0), ([1, 0], 0), ([1, 1], 1), ([2, 1], 1), ([-9], 137), ([-9, -15], 137)],
)
def test_an_encoder_that_was_killed_costs_nothing_if_another_finished(statuses, expected):
    assert together(statuses) == expected


@pytest.mark.parametrize(
    ("status", "printed", "expected"),
    [
        (0, "NOTE: no GPU\nFinished: 3 encoded\n", "Finished: 3 encoded"),
        (-9, "NOTE: no GPU\n", "killed by signal 9"),
        (3, "", "ended with 3"),
    ],
)
def test_what_is_said_of_one_of_several_encoders(status, printed, expected):
    assert _ended(status, printed) == expected


def test_pictures_are_in_order_of_their_numbers(tmp_path):
    make_pictures(tmp_path / "walk")
    (tmp_path / "walk" / ".img0.jpg").touch()
    assert [path.stem for path in pictures(tmp_path / "walk")] == [f"img{i}" for i in range(12)]


def test_pictures_whose_numbers_are_the_same_or_none_have_an_order_that_every_machine_agrees_on(tmp_path, monkeypatch):
    names = ["1.png", "01.png", "²3.png", "²20.png", "m².png"]
    for name in names:
        (tmp_path / name).touch()
    scandir = os.scandir

    @contextmanager
    def backwards(folder):
        with scandir(folder) as entries:
            yield sorted(entries, key=lambda entry: entry.name, reverse=True)

    orders = [[path.name for path in pictures(tmp_path)]]
    monkeypatch.setattr(os, "scandir", backwards)
    orders.append([path.name for path in pictures(tmp_path)])
    assert orders == [["01.png", "1.png", "m².png", "²3.png", "²20.png"]] * 2


def test_pictures_are_as_they_are_to_be_shown(tmp_path):
    upright = Image.Exif()
    upright[0x0112] = 6  # its left side goes up
    picture = Image.new("RGB", (64, 48))
    picture.paste((255, 255, 255), (0, 0, 16, 48))
    picture.save(tmp_path / "turned.jpg", exif=upright)
    Image.new("LA", (64, 48), (100, 0)).save(tmp_path / "veiled.png")
    turned, veiled = read_pictures([tmp_path / "turned.jpg", tmp_path / "veiled.png"])
    assert (turned.shape, turned[8, 24].tolist(), turned[40, 24].tolist()) == ((64, 48, 3), [255] * 3, [0] * 3)
    assert veiled[0, 0].tolist() == [100] * 3


TEXT_FOR_A_NUMBER = (
    b"Exif\0\0MM\0*\0\0\0\x08\0\x02"
    b"\x01\x01\0\x02\0\0\0\x04abc\0"  # the picture's height, as text
    b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # its left side goes up
)


@pytest.mark.parametrize(
    ("recorded", "shape"),
    [
        pytest.param(b"Exif\0\0II*\0", (48, 64, 3), id="broken off"),
        pytest.param(b"Exif\0\0junk", (48, 64, 3), id="no Exif data"),
        pytest.param(TEXT_FOR_A_NUMBER, (64, 48, 3), id="another entry of another type"),
    ],
)
def test_damaged_exif_data_cost_no_picture(tmp_path, recorded, shape):
    Image.new("RGB", (64, 48), (10, 20, 30)).save(tmp_path / "a.png", exif=recorded)
    [read] = read_pictures([tmp_path / "a.png"])
    assert (read.shape, read[0, 0].tolist()) == (shape, [10, 20, 30])


def test_a_picture_whose_values_8_bits_do_not_hold_is_named_and_not_clipped(tmp_path):
    Image.fromarray(np.full((48, 64), 3000, np.uint16)).save(tmp_path / "depth.png")
    with pytest.raises(VideoError, match=r"^depth\.png: pixels of mode I;16, expected values of 8 bits$"):
        list(read_pictures([tmp_path / "depth.png"]))


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "no json",
        json.dumps({"video": "../x", "size": 1, "part": 0, "parts": 1, "first": 0, "frames": 1, "fps": 1.0}),
    ],
)
def test_a_description_that_is_none_fails_its_clip_alone(text, tmp_path):
    make_video(tmp_path / "x.mp4", frames=8)
    output = tmp_path / "out"
    cut(tmp_path, output)
    clip = RunFolder(output).clip(0)
    clip.excerpt.write_text(text)
    with pytest.raises(ClipError, match=r"^video\.json"):
        read_clip(clip)


def test_a_clip_of_a_video_is_whole_and_no_rendered_run_takes_it_for_its_own(tmp_path):
    make_video(tmp_path / "x.mp4", frames=8)
    output = tmp_path / "out"
    cut(tmp_path, output)
    clip = RunFolder(output).clip(0)
    assert examine(clip) == Findings()
    found = inspect(clip, make_run().spec.contract().recipe(0, 0))
    assert (found.state, found.reason) == (ClipState.FOREIGN, OF_A_VIDEO)
    (clip.folder / "notes.txt").touch()
    assert examine(clip).wrong == ["notes.txt: not part of the clip"]


def run(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "clipfarm_encode.videos", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    return done.returncode, done.stdout + done.stderr


def test_a_folder_keeps_the_origin_of_its_clips(tmp_path):
    output = RunFolder(tmp_path / "out")
    call = ["--output", str(output.root), "--frames", "8", "--no-encode"]
    for name in ("a", "b"):
        make_video(tmp_path / name / "x.mp4", frames=8)
    first, other = str(tmp_path / "a"), str(tmp_path / "b")
    assert run(first, *call)[0] == 0
    (tmp_path / "link").symlink_to(first)
    assert run(str(tmp_path / "link"), *call)[0] == 0
    code, said = run(other, *call)
    assert code == 2
    assert said == (
        f"clipfarm encode: {output.root} has clips of the videos in {first}, found {other}; name another"
        " folder, or add --moved if these are the same videos in another place\n"
    )
    assert Videos.read(output).root == first
    assert read_clip(output.clip(0)).frames.shape == (8, 48, 64, 3)
    (tmp_path / "a").rename(tmp_path / "c")
    assert run(str(tmp_path / "c"), *call, "--moved")[0] == 0
    assert Videos.read(output).root == str(tmp_path / "c")
    assert output.clips() == [0]
    assert read_clip(output.clip(0)).frames.shape == (8, 48, 64, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--output", "out"], "nowhere: not found, expected a video or a folder with videos"),
        (["--weights", "random", ".", "--output", "out"], "found --weights first, expected VIDEOS before any option"),
        ([".", "--output", "out", "--seed", "1"], "--seed: found an option of clipfarm-encode that clipfarm encode"),
        ([".", "--output", "out", "--data_dir=x"], "--data-dir: found an option of clipfarm-encode that"),
        (["videos", "--output", "new", "--clip-frames", "8"], "--clip-frames: found an option of clipfarm-encode that"),
        (
            ["empty", "--output", "out", "--model", "vjepa2_tiny16"],
            "empty: found no video, expected files such as .mp4, .webm or .avi, or folders",
        ),
        ([".", "--output", "made"], "made has clips of --frames 8 --stride 8 (all frames), found --frames 32"),
        (
            ["videos", "--output", "made", "--frames", "8", "--model", "vjepa2_tiny16"],
            "made/clip_00000: video.json: not JSON",
        ),
        ([".", "--output", "rendered"], "rendered has clips that were not made of videos"),
        (["videos", "--output", "new", "--modle", "x"], "No such option '--modle'"),
        (
            ["videos", "--output", "new", "--weights="],
            "--weights is needed: a .pt file, a Hugging Face",
        ),
        (["videos", "--output", "new", "--context", "frame"], "--name: missing, expected a name for features that are"),
        (
            ["videos", "--output", "new", "--frames", "7"],
            "--frames: found 7, expected a multiple of 2, the frames that vjepa2_vitl16 takes at a time",
        ),
        (
            [
                *("videos", "--output", "new", "--frames", "8", "--stride", "8"),
                *("--features", '[{"name": "x", "context": "prefix", "stride": 10}]'),
            ],
            "x: stride: found 10, expected 8 or less, the frames of a clip",
        ),
        (["videos", "--output", "new", "--layers", "8,30", "--name", "x"], "--layers: found 30, expected 1 to 24"),
        (["videos", "--output", "new", "--model", "vjepa2_huge"], "model: vjepa2_huge is none of vjepa2_vitl16, "),
        (["videos", "--output", "new", "--check"], "--check: found an option of clipfarm-encode that clipfarm encode"),
        (["videos", "--output", "new", "--crop-size", "250"], "--crop-size: found 250, expected a multiple of 16"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("rendered/clip_00000").mkdir(parents=True)
    make_video(Path("videos/x.mp4").absolute(), frames=8)
    cut(tmp_path / "videos", tmp_path / "made")
    Path("made/clip_00000/video.json").write_text("")
    given = [] if "--weights=" in arguments else ["--weights", "random"]
    code, output = run(*arguments, *given)
    assert code == 2
    assert message in output
    assert len(output.splitlines()) == 1
    assert not Path("new").exists(), "nothing is cut"
