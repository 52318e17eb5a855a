"""What a clip that was made again may differ in, by what made it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipfarm.cli import made_again
from clipfarm.local.compare import OTHER_GPU, OTHER_PROCESSOR, SAME_GPU, Comparison, Verdict, allowed, compare
from clipfarm_contract.layout import Clip, RunFolder
from clipfarm_contract.machine import Machine

FRAMES, SIZE = 4, 50
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


def compared(pair, first=XEON, now=EPYC):
    ours, theirs = pair
    names = {str(path.relative_to(ours.folder)) for path in ours.folder.rglob("*") if path.is_file()}
    differing = [name for name in names if (ours.folder / name).read_bytes() != (theirs.folder / name).read_bytes()]
    return compare(*pair, differing, FRAMES, first, now)


@pytest.mark.parametrize(
    ("first", "now", "bounds"),
    [
        (XEON, XEON, ()),
        (XEON, EPYC, (OTHER_PROCESSOR,)),
        (None, XEON, (OTHER_PROCESSOR, OTHER_GPU)),
        (H200, H200, (SAME_GPU,)),
        (H200, NEWER, (OTHER_GPU,)),
        (H200, H100, (OTHER_GPU,)),
        (H200, XEON, (OTHER_GPU,)),
    ],
)
def test_how_far_two_makings_may_be_apart_depends_on_what_made_them(first, now, bounds):
    assert allowed(first, now) == bounds


def test_equal_bytes_are_identical_wherever_they_were_made(pair):
    found = compared(pair)
    assert (found.verdict, found.lines) == (Verdict.IDENTICAL, ("every byte is the same",))


def test_a_few_pixels_by_one_step_are_within_the_bound_of_another_processor_and_counted(pair):
    change(pair[1], pixels=6)
    change(pair[1], pixels=4, frame=2)
    found = compared(pair)
    assert found.verdict is Verdict.WITHIN
    assert found.lines == (
        "equal within the bound of another processor: rgb: 10 of 10,000 pixels differ (0.1000%), by at most 1 of 255;"
        " made on Intel Xeon (family 6, model 207), and again on AMD EPYC (family 25, model 17)",
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
        (50, 16, None, XEON, Verdict.WITHIN),
        (51, 1, None, XEON, Verdict.DIFFERENT),
    ],
)
def test_how_many_pixels_may_differ_and_by_how_much(pair, pixels, by, first, now, verdict):
    change(pair[1], pixels, by)
    assert compared(pair, first, now).verdict is verdict


def test_what_differs_is_told_with_what_was_expected(pair):
    change(pair[1], pixels=2000, by=40)
    [line] = compared(pair).lines
    assert line.startswith("different: rgb: 2,000 of 10,000 pixels differ (20.0000%), by at most 40 of 255; expected")
    assert "at most 0.10% by 2 of 255" in line


def test_on_the_same_processor_every_byte_is_expected(pair):
    change(pair[1], pixels=1)
    [line] = compared(pair, XEON, XEON).lines
    assert (
        line == "different: rgb: 1 of 10,000 pixels differ (0.0100%), by at most 1 of 255; expected every byte the same"
    )


def test_at_an_edge_a_pixel_of_the_depth_may_show_what_is_behind(pair):
    depth = np.full((SIZE, SIZE), np.inf, np.float32)
    depth[0, :10] = 3.0
    np.save(pair[1].layer("depth", 1), depth)
    assert compared(pair).verdict is Verdict.WITHIN
    depth[0, :11] = 3.0
    np.save(pair[1].layer("depth", 1), depth)
    assert compared(pair).verdict is Verdict.DIFFERENT


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
    assert found.lines[0].startswith(f"different: {name} differs")


def test_the_last_digit_of_a_number_is_no_difference(pair):
    pair[1].ground_truth.write_text(json.dumps({"mass": 1.5000000001, "object": {"shape": "cube"}}))
    assert compared(pair).verdict is Verdict.WITHIN


def test_a_frame_of_another_size_or_that_is_no_picture_cannot_be_measured(pair):
    pair[1].frame(3).write_bytes(b"no picture")
    found = compared(pair)
    assert (found.verdict, found.lines[0]) == (Verdict.DIFFERENT, "rgb/frame_00003.png differs")
    Image.new("RGB", (8, 8)).save(pair[1].frame(3))
    assert "cannot be measured: frame_00003.png: shape" in compared(pair).lines[1]


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
    ],
)
def test_a_damaged_file_is_a_difference_in_whatever_way_its_parser_fails(pair, harm, damaged):
    harm(pair[0])
    found = compared(pair)
    assert found.verdict is Verdict.DIFFERENT
    [name, why] = found.lines
    path = Path(name.removesuffix(" differs"))
    assert why.startswith(f"cannot be measured: {path.name}: ")
    assert damaged in str(path)
    assert "\n" not in why


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
    found = Comparison(verdict, ("as it is",))
    monkeypatch.setattr(made_again, "compared_when_made_again", lambda *_: found)
    run = RunFolder(Path("run"))
    assert made_again.again(run, 3, "cpu", run, exact=exact) is well
    expected = "; --exact expects every byte the same" if (verdict, exact) == (Verdict.WITHIN, True) else ""
    assert capsys.readouterr().out == f"clip 3, made again: as it is{expected}\n"
