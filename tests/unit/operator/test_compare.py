"""What a clip that was made again may differ in, by what made it."""

import importlib
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from clipfarm.cli import made_again
from clipfarm.cli.made_again import MadeAgain
from clipfarm.local.comparing.bounds import OTHER_GPU, OTHER_PROCESSOR, SAME_GPU, allowed
from clipfarm.local.comparing.compare import Comparison, Verdict, compare
from clipfarm_contract.experiment import Picture
from clipfarm_contract.layers import FLOOR, THING
from clipfarm_contract.layout import Clip, RunFolder
from clipfarm_contract.machine import Machine
from clipfarm_render.picture import preview

clip_command = importlib.import_module("clipfarm.cli.clip")
FRAMES, SIZE = 4, 50
PICTURE = Picture(FRAMES, 12, SIZE, ("rgb",))
XEON, EPYC = Machine("Intel Xeon (family 6, model 207)"), Machine("AMD EPYC (family 25, model 17)")
H200, NEWER, H100 = (Machine(XEON.processor, gpu, driver) for gpu, driver in
                     (("NVIDIA H200", "580.159"), ("NVIDIA H200", "590.44"), ("NVIDIA H100", "580.159")))  # fmt: skip


@pytest.fixture
def pair(tmp_path):
    """Two equal clips, each with frames, depth, motion and ground truth."""
    return tuple(make(Clip(tmp_path / name)) for name in ("first", "again"))


def make(clip):
    for folder in (clip.rgb, clip.folder / "depth", clip.actions.parent):
        folder.mkdir(parents=True)
    picture = (np.arange(SIZE * SIZE * 3) % 200).astype(np.uint8).reshape(SIZE, SIZE, 3)
    for i in range(FRAMES):
        Image.fromarray(picture).save(clip.frame(i))
        np.save(clip.layer("depth", i), np.full((SIZE, SIZE), np.inf, np.float32))
    np.save(clip.states, np.ones((FRAMES, 2), np.float32))
    np.save(clip.actions, np.zeros((FRAMES, 2), np.float32))
    clip.ground_truth.write_text(json.dumps({"mass": 1.5, "object": {"shape": "cube"}}))
    return clip


def change(clip, pixels, by=1, frame=0):
    """Change some pixels of a frame."""
    with Image.open(clip.frame(frame)) as picture:
        values = np.array(picture)
    values.reshape(-1, 3)[1 : pixels + 1, 2] += np.uint8(by)
    Image.fromarray(values).save(clip.frame(frame))


def spread(clip, pixels, by=1):
    """Change some pixels, as many in each frame as can be."""
    for frame in range(FRAMES):
        change(clip, pixels // FRAMES + (frame < pixels % FRAMES), by, frame)


def compared(pair, first=XEON, now=EPYC):
    ours, theirs = pair
    names = {str(path.relative_to(ours.folder)) for path in ours.folder.rglob("*") if path.is_file()}
    differing = [name for name in names if (ours.folder / name).read_bytes() != (theirs.folder / name).read_bytes()]
    return compare(*pair, differing, PICTURE, first, now)


@pytest.mark.parametrize(
    ("first", "now", "bound"),
    [
        (XEON, XEON, None),
        (XEON, EPYC, OTHER_PROCESSOR),
        (None, XEON, OTHER_PROCESSOR),
        (XEON, None, OTHER_PROCESSOR),
        (None, None, OTHER_PROCESSOR),
        (None, H200, OTHER_GPU),
        (H200, H200, SAME_GPU),
        (H200, NEWER, OTHER_GPU),
        (H200, H100, OTHER_GPU),
        (H200, XEON, OTHER_GPU),
    ],
)
def test_how_far_two_makings_may_be_apart_depends_on_what_made_them(first, now, bound):
    assert allowed(first, now) == bound


def test_equal_bytes_are_identical_wherever_they_were_made(pair):
    found = compared(pair)
    assert found == Comparison(Verdict.IDENTICAL, "every byte is the same")


def test_a_few_pixels_by_one_step_are_within_the_bound_of_another_processor_and_counted(pair):
    change(pair[1], pixels=5)
    change(pair[1], pixels=4, frame=2)
    found = compared(pair)
    assert found == Comparison(
        Verdict.WITHIN,
        "equal within the bound of another processor",
        ("rgb: 9 of 10,000 pixels differ (0.090%), at most 5 in a frame, by at most 1 of 255",),
        "made on Intel Xeon (family 6, model 207), and again on AMD EPYC (family 25, model 17)",
    )


@pytest.mark.parametrize(
    ("pixels", "by", "first", "now", "verdict"),
    [
        (10, 2, XEON, EPYC, Verdict.WITHIN),
        (11, 1, XEON, EPYC, Verdict.DIFFERENT),
        (1, 3, XEON, EPYC, Verdict.DIFFERENT),
        (1, 1, XEON, XEON, Verdict.DIFFERENT),
        (5, 2, H200, H200, Verdict.WITHIN),
        (6, 1, H200, H200, Verdict.DIFFERENT),
        (50, 16, H200, XEON, Verdict.WITHIN),
        (50, 17, H200, XEON, Verdict.DIFFERENT),
        (51, 1, H200, XEON, Verdict.DIFFERENT),
        (10, 2, None, XEON, Verdict.WITHIN),
        (11, 1, None, XEON, Verdict.DIFFERENT),
        (50, 16, None, H200, Verdict.WITHIN),
    ],
)
def test_how_many_pixels_may_differ_and_by_how_much(pair, pixels, by, first, now, verdict):
    spread(pair[1], pixels, by)
    assert compared(pair, first, now).verdict is verdict


def test_what_differs_is_told_with_what_was_expected(pair):
    change(pair[1], pixels=2000, by=40)
    [line] = compared(pair).findings
    assert line.startswith("rgb: 2,000 of 10,000 pixels differ (20.000%), by at most 40 of 255; expected")
    assert "at most 0.10% by 2 of 255" in line


def test_on_the_same_processor_every_byte_is_expected(pair):
    change(pair[1], pixels=1)
    [line] = compared(pair, XEON, XEON).findings
    assert line == "rgb: 1 of 10,000 pixels differ (0.010%), by at most 1 of 255; expected every byte the same"


def test_one_frame_may_not_hold_what_all_of_them_may(pair):
    change(pair[1], pixels=5)
    assert compared(pair).verdict is Verdict.WITHIN
    change(pair[0], pixels=6, frame=1)
    change(pair[1], pixels=0)
    found = compared(pair)
    assert found.verdict is Verdict.DIFFERENT
    assert "expected at most 0.10% by 2 of 255, and 0.20% of the pixels of a frame" in found.findings[0]


def test_of_a_clip_whose_machine_is_not_recorded_the_verdict_says_what_it_counts_as(pair):
    change(pair[1], pixels=1)
    found = compared(pair, None, XEON)
    assert found.summary == "equal within the bound of another processor"
    machines = (
        "made on a machine that is not recorded, which counts as another processor (if it was a GPU, use --device"
    )
    assert found.machines.startswith(machines)


def with_object(clip, layer, pixels=100, frames=range(FRAMES), value=3.0):
    """Write a layer that shows an object of some pixels in some frames, and nothing in the others."""
    clip.layer(layer, 0).parent.mkdir(exist_ok=True)
    for i in range(FRAMES):
        shown = (np.arange(SIZE * SIZE) < (pixels if i in frames else 0)).reshape(SIZE, SIZE)
        if layer == "segmentation":
            Image.fromarray(np.where(shown, np.uint8(THING), np.uint8(FLOOR))).save(clip.layer(layer, i))
        elif layer == "depth":
            np.save(clip.layer(layer, i), np.where(shown, np.float32(value), np.float32(np.inf)))
        else:
            values = np.where(shown[..., None], np.float16(value), np.float16(0)).repeat(3, axis=-1)
            np.save(clip.layer(layer, i), values[..., :2].astype(np.float32) if layer == "flow" else values)


@pytest.mark.parametrize("first", [None, EPYC, H200])
@pytest.mark.parametrize("layer", ["segmentation", "flow", "depth", "normal", "object_coordinates"])
@pytest.mark.parametrize("frames", [(), (0, 1, 2)])
@pytest.mark.parametrize("pixels", [9, 25, 100])
def test_the_object_may_be_missing_in_no_layer_and_no_frame(pair, first, layer, frames, pixels):
    with_object(pair[0], layer, pixels, frames)
    with_object(pair[1], layer, pixels)
    assert compared(pair, first, XEON).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("frames", [(), (0, 1, 2)])
def test_of_a_large_run_one_frame_without_the_object_counts_if_another_layer_tells_its_size(pair, frames):
    for clip in pair:
        with_object(clip, "segmentation")
    with_object(pair[0], "depth", frames=frames)
    with_object(pair[1], "depth")
    found = compared(pair, H200, XEON)
    assert found.verdict is Verdict.DIFFERENT
    assert "expected at most 5% of the 400 that show the object, and 10% of those of a frame" in found.findings[0]


def test_a_clip_cannot_widen_its_own_bound_by_showing_the_object_everywhere(pair):
    with_object(pair[0], "flow", pixels=SIZE * SIZE, value=0.01)
    with_object(pair[1], "flow", pixels=100, value=0.01)
    assert compared(pair, H200, XEON).verdict is Verdict.DIFFERENT


def test_at_an_edge_pixels_of_other_layers_may_show_what_is_behind(pair):
    for clip in pair:
        with_object(clip, "segmentation")
    for by, verdict in ((8, Verdict.WITHIN), (9, Verdict.DIFFERENT)):  # of 400, at most 2 %
        for clip, pixels in zip(pair, (100, 100 - by // 2), strict=True):
            with_object(clip, "depth", pixels, frames=(0, 1))
        if by % 2:
            with_object(pair[1], "depth", 100 - by, frames=(0,))
        assert compared(pair).verdict is verdict


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        (
            "actions_states/ground_truth_states.npy",
            lambda c: np.save(c.states, np.full((FRAMES, 2), 1.001, np.float32)),
        ),
        ("ground_truth.json", lambda c: c.ground_truth.write_text('{"mass": 1.5, "object": {"shape": "torus"}}')),
        ("notes.txt", lambda c: (c.folder / "notes.txt").write_text("other")),
    ],
)
def test_motion_and_records_may_not_differ(pair, name, harm):
    (pair[0].folder / "notes.txt").write_text("one")
    (pair[1].folder / "notes.txt").write_text("one")
    harm(pair[1])
    found = compared(pair)
    assert found.verdict is Verdict.DIFFERENT
    assert found.findings[0].startswith(f"{name} differs; expected other last digits")


def test_the_last_digit_of_a_number_is_no_difference(pair):
    pair[1].ground_truth.write_text(json.dumps({"mass": 1.5000000001, "object": {"shape": "cube"}}))
    assert compared(pair).verdict is Verdict.WITHIN


def test_a_frame_of_another_size_or_that_is_no_picture_cannot_be_measured(pair):
    pair[1].frame(3).write_bytes(b"no picture")
    found = compared(pair)
    assert (found.verdict, found.findings) == (Verdict.DIFFERENT, ("rgb/frame_00003.png differs",))
    Image.new("RGB", (8, 8)).save(pair[1].frame(3))
    assert "cannot be measured: frame_00003.png: found shape" in compared(pair).summary


def claims_to_be_huge(clip):
    whole = bytearray(clip.frame(0).read_bytes())
    whole[16:24] = struct.pack(">2I", 60_000, 60_000)
    whole[29:33] = struct.pack(">I", zlib.crc32(whole[12:29]))
    clip.frame(0).write_bytes(whole)


def array_that_claims_to_be_huge(clip):
    whole = clip.layer("depth", 0).read_bytes()
    clip.layer("depth", 0).write_bytes(whole.replace(b"(50, 50), }          ", b"(500000, 50000000), }"))


def wrong_checksum(clip):
    whole = bytearray(clip.frame(0).read_bytes())
    whole[-13] ^= 0xFF  # of the pixels, before the 12 bytes of the end
    clip.frame(0).write_bytes(whole)


def broken_png(clip):
    whole = clip.frame(0).read_bytes()
    clip.frame(0).write_bytes(whole.replace(b"IDAT", b"ID]T"))


@pytest.mark.parametrize(
    ("harm", "damaged"),
    [
        (lambda clip: clip.actions.write_bytes(b""), "actions"),
        (lambda clip: clip.actions.write_bytes(b"PK\x03\x04abc"), "actions"),
        (lambda clip: clip.layer("depth", 0).write_bytes(b""), "depth"),
        (lambda clip: clip.ground_truth.write_text("[" * 100_000), "ground_truth"),
        (broken_png, "frame"),
        (wrong_checksum, "frame"),
        (claims_to_be_huge, "frame"),
        (array_that_claims_to_be_huge, "depth"),
        (lambda clip: Image.new("P", (SIZE, SIZE)).save(clip.frame(0)), "frame"),
        (lambda clip: np.save(clip.layer("depth", 0), np.full((SIZE, SIZE), np.inf)), "depth"),
        (lambda clip: np.save(clip.states, np.ones((FRAMES, 2))), "states"),
        (lambda clip: np.save(clip.actions, np.zeros((FRAMES, 2), bool)), "actions"),
    ],
)
def test_a_damaged_file_is_a_difference_in_whatever_way_its_parser_fails(pair, harm, damaged):
    harm(pair[0])
    found = compared(pair)
    assert found.verdict is Verdict.DIFFERENT
    [name] = found.findings
    path = Path(name.removesuffix(" differs"))
    assert found.summary.startswith(f"different, and it cannot be measured: {path.name}: ")
    assert damaged in str(path)
    assert "\n" not in found.summary


@pytest.mark.parametrize("name", ["rgb/frame_00000.png", "depth/depth_00000.npy", "ground_truth.json"])
def test_what_is_no_file_is_not_waited_for(pair, name):
    path = pair[0].folder / name
    path.unlink()
    os.mkfifo(path)
    found = compare(*pair, [name], PICTURE, XEON, EPYC)
    assert found.verdict is Verdict.DIFFERENT
    assert found.summary == f"different, and it cannot be measured: {path.name}: not a regular file"


def test_the_preview_is_the_one_of_the_frames(pair):
    spread(pair[0], pixels=48, by=16)
    for clip in pair:
        preview.write(clip, FRAMES, PICTURE.fps)
    assert pair[0].preview.read_bytes() != pair[1].preview.read_bytes()
    assert compared(pair, H200, XEON).verdict is Verdict.WITHIN
    preview.write(pair[0], FRAMES, PICTURE.fps * 2)
    assert compared(pair, H200, XEON).findings[1].startswith("preview.gif differs")


@pytest.mark.parametrize("content", [None, b"", b"GIF89a", b"anything"])
def test_a_preview_of_something_else_or_that_is_missing_is_different(pair, content):
    for clip in pair:
        preview.write(clip, FRAMES, PICTURE.fps)
    pair[0].preview.unlink() if content is None else pair[0].preview.write_bytes(content)
    assert compare(*pair, ["preview.gif"], PICTURE, XEON, EPYC).verdict is Verdict.DIFFERENT


def test_a_preview_that_is_not_made_again_is_different(pair):
    preview.write(pair[0], FRAMES, PICTURE.fps)
    assert compare(*pair, ["preview.gif"], PICTURE, XEON, EPYC).verdict is Verdict.DIFFERENT


def test_infinitely_far_is_not_infinitely_near(pair):
    for i in range(FRAMES):
        np.save(pair[0].layer("depth", i), np.full((SIZE, SIZE), -np.inf, np.float32))
    assert compared(pair, H200, XEON).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize(("one", "other"), [("true", "1"), ("1", "1.0"), ("0", "null")])
def test_values_of_another_type_are_different(pair, one, other):
    for clip, value in zip(pair, (one, other), strict=True):
        clip.ground_truth.write_text(f'{{"rolls": {value}}}')
    assert compared(pair).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("linked", [False, True])
def test_a_clip_is_not_compared_with_a_copy_that_is_there_already(tmp_path, monkeypatch, linked):
    for name in ("run", "kept"):
        (tmp_path / name / "clip_00003").mkdir(parents=True)
    if linked:
        (tmp_path / "kept" / "clip_00003").rmdir()
        (tmp_path / "kept" / "clip_00003").symlink_to(tmp_path / "run" / "clip_00003")
    monkeypatch.setattr(clip_command, "MadeAgain", lambda *_: pytest.fail("made again"))
    ran = CliRunner().invoke(clip_command.clip, [str(tmp_path / "run"), "3", "--output", str(tmp_path / "kept")])
    assert ran.exit_code == 2
    assert "clip_00003 exists already; move it away, or name another folder" in ran.output


@pytest.mark.parametrize(
    ("verdict", "exact", "well"),
    [
        (Verdict.IDENTICAL, False, True),
        (Verdict.IDENTICAL, True, True),
        (Verdict.WITHIN, False, True),
        (Verdict.WITHIN, True, False),
        (Verdict.DIFFERENT, False, False),
        (Verdict.DIFFERENT, True, False),
    ],
)
def test_a_clip_within_its_bound_is_well_unless_the_bytes_were_asked_for(verdict, exact, well, monkeypatch, capsys):
    found = Comparison(verdict, "as it is")
    monkeypatch.setattr(made_again, "compared_when_made_again", lambda *_, **__: found)
    run = RunFolder(Path("run"))
    assert MadeAgain("cpu", run, exact).of_run(run, 3) is well
    expected = "; --exact expects every byte the same" if (verdict, exact) == (Verdict.WITHIN, True) else ""
    assert capsys.readouterr().out == f"clip 3, made again: as it is{expected}\n"


def test_what_made_clips_is_said_once_and_again_where_it_changes(monkeypatch, capsys):
    layers = ("rgb: 9 of 10,000 pixels differ", "flow: no value differs by 0.001 or more (at most 3.1e-05)")
    within = [Comparison(Verdict.WITHIN, "equal within a bound", layers, machines) for machines in ("a", "a", "b")]
    found = [within[0], within[1], Comparison(Verdict.IDENTICAL, "every byte is the same"), within[2]]
    monkeypatch.setattr(made_again, "compared_when_made_again", lambda _run, clip, *_, **__: found[clip])
    run, made = RunFolder(Path("run")), MadeAgain("cpu", RunFolder(Path("again")), False)
    assert [made.of_run(run, clip) for clip in range(4)] == [True] * 4
    said = capsys.readouterr().out.splitlines()
    assert said[:4] == ["a", "clip 0, made again: equal within a bound", *(f"  {line}" for line in layers)]
    assert said[4] == "clip 1, made again: equal within a bound"
    assert said[7:9] == ["clip 2, made again: every byte is the same", "b"]


def test_a_layer_of_numbers_that_differ_by_less_than_counts_says_by_how_much(pair):
    for clip, value in zip(pair, (3.0, 3.00003), strict=True):
        with_object(clip, "flow")
        for i in range(FRAMES):
            flow = np.load(clip.layer("flow", i))
            np.save(clip.layer("flow", i), np.where(flow, np.float32(value), flow))
    found = compared(pair, H200, XEON)
    assert (found.verdict, found.findings) == (
        Verdict.WITHIN,
        ("flow: no value differs by 0.001 or more (at most 3.0e-05)",),
    )


def test_a_further_view_is_bound_like_the_clips_own_frames_and_named(pair):
    views = [make(clip.view("side")) for clip in pair]
    change(views[1], pixels=5)
    for clip in views:
        preview.write(clip, FRAMES, PICTURE.fps)
    found = compared(pair)
    assert found.verdict is Verdict.WITHIN
    assert found.findings == ("views/side/rgb: 5 of 10,000 pixels differ (0.050%), by at most 1 of 255",)
    change(views[1], pixels=2000, by=40)
    (views[1].folder / "more.txt").write_text("")
    (views[0].folder / "more.txt").write_text("of one alone")
    first, second, *_ = compared(pair).findings
    assert first.startswith("views/side/rgb: 2,000 of 10,000 pixels differ (20.000%)")
    assert second.startswith("views/side/more.txt differs")
