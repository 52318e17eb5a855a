"""Each check, on a small clip without Blender: a dark square on a light ground, and then doctored."""

import json

import numpy as np
import pytest
from PIL import Image

from clipfarm_contract.layout import Clip
from clipfarm_render import checks
from clipfarm_render.checks import CheckError
from clipfarm_render.experiments import push
from clipfarm_render.scene.camera import Camera
from helpers.experiments import declared

SIZE = 64
SCENE = declared(frames=6, resolution=SIZE).scene


class MadeUp:
    """A clip that passes, whose parts a test changes before it is written."""

    def __init__(self, folder):
        self.clip = Clip(folder)
        self.offsets = [0, 0, 0, 1, 2, 3]
        self.states = np.array([(0.3 * k, 0) for k in self.offsets], np.float32)
        self.positions = [[0.3 * k, 0.0, 0.6] for k in self.offsets]
        self.pictures = [self.picture(20 + 3 * k) for k in self.offsets]
        self.camera = Camera(SIZE)

    @staticmethod
    def picture(left, ground=150, square=40):
        pixels = np.full((SIZE, SIZE, 3), ground, np.uint8)
        pixels[20:32, left : left + 12] = square
        return pixels

    def write(self):
        self.clip.rgb.mkdir()
        self.clip.actions.parent.mkdir()
        for i, pixels in enumerate(self.pictures):
            Image.fromarray(pixels).save(self.clip.frame(i))
        np.save(self.clip.states, self.states)
        trajectory = {"positions": self.positions, "quaternions": [[1, 0, 0, 0]] * len(self.positions)}
        self.clip.ground_truth.write_text(
            json.dumps(
                {
                    "impulse": {"atFrame": 2},
                    "object": {"bounds": [[-0.6] * 3, [0.6] * 3], "trajectory": trajectory},
                    "camera": self.camera.to_json(),
                }
            )
        )


@pytest.fixture
def made_up(tmp_path):
    return MadeUp(tmp_path)


def failure(made_up):
    with pytest.raises(CheckError) as raised:
        checks.check(made_up.clip, SCENE, push.CHECKS)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_a_good_clip_passes_and_its_values_are_kept(made_up):
    made_up.write()
    found = checks.check(made_up.clip, SCENE, push.CHECKS)
    assert found["frames"] == 6
    assert found["at_rest"] == {"drift": 0.0, "grey": 0.0}
    assert found["moves"]["step"] == pytest.approx(0.3)
    assert found["in_view"]["marginPixels"] > 10
    assert json.loads(json.dumps(found)) == found


def test_a_missing_frame_is_named(made_up):
    made_up.write()
    made_up.clip.frame(4).unlink()
    assert failure(made_up) == "frames: found 5 of 6, first wrong one frame_00004.png"


def test_a_surplus_frame_is_named(made_up):
    made_up.write()
    Image.fromarray(made_up.pictures[0]).save(made_up.clip.frame(6))
    assert "first wrong one frame_00006.png" in failure(made_up)


def test_a_frame_of_another_size_is_named(made_up):
    made_up.write()
    Image.new("RGB", (32, 64), "grey").save(made_up.clip.frame(3))
    assert failure(made_up).startswith("frames: frame_00003.png is 32 x 64")


def test_a_frame_cut_short_is_named(made_up):
    made_up.write()
    whole = made_up.clip.frame(1).read_bytes()
    made_up.clip.frame(1).write_bytes(whole[: len(whole) // 2])
    assert failure(made_up).startswith("frames: frame_00001.png cannot be read")


def test_states_of_another_length_fail(made_up):
    made_up.states = made_up.states[:5]
    made_up.write()
    assert failure(made_up).startswith("frames: states have shape (5, 2)")


def test_motion_before_the_push_fails_by_its_states(made_up):
    made_up.states[1] += 0.01
    made_up.write()
    assert failure(made_up).startswith("at_rest: before the push the object moves 0.0141 m")


def test_motion_before_the_push_fails_by_its_pixels(made_up):
    made_up.pictures[2] = made_up.picture(26)
    made_up.write()
    assert failure(made_up).startswith("at_rest:")


def test_an_object_that_never_moves_fails_by_its_states(made_up):
    made_up.states[:] = 0
    made_up.write()
    assert failure(made_up).startswith("moves: in the frame after the push the object moves 0.0000 m")


def test_an_object_that_starts_to_move_a_frame_late_fails(made_up):
    made_up.states[3:] = made_up.states[2:5]
    made_up.write()
    assert failure(made_up).startswith("moves:")


def test_pictures_that_never_change_fail_though_the_states_move(made_up):
    made_up.pictures = [made_up.picture(20)] * 6
    made_up.write()
    assert "0 pixels change" in failure(made_up)


def test_an_object_that_leaves_the_picture_fails_with_its_frame(made_up):
    made_up.positions[5] = [6.5, 0, 0.6]
    made_up.write()
    message = failure(made_up)
    assert message.startswith("in_view: the object leaves the picture by")
    assert message.endswith("in frame 5")


@pytest.mark.parametrize(("ground", "square"), [(3, 60), (252, 100)])
def test_frames_that_are_black_or_white_fail(made_up, ground, square):
    made_up.pictures = [made_up.picture(20 + 3 * k, ground, square) for k in made_up.offsets]
    made_up.write()
    assert failure(made_up).startswith("lit: frame")


ASIDE = Camera(SIZE, (0.0, -20.0, 10.0), (-10.0, 0.0, 0.0))


def test_a_camera_of_the_clips_own_may_cut_an_object_but_has_to_show_it(made_up):
    made_up.camera = ASIDE
    made_up.write()
    assert checks.check(made_up.clip, SCENE, push.CHECKS)["in_view"]["marginPixels"] < 0, "its right side is cut"


def test_an_object_that_a_camera_of_the_clips_own_never_shows_fails(made_up):
    made_up.camera = Camera(SIZE, (0.0, -20.0, 10.0), (-20.0, 0.0, 0.0))
    made_up.write()
    assert failure(made_up).startswith("in_view: the object is outside of the picture in all frames")


def test_an_object_that_leaves_the_usual_picture_fails(made_up):
    made_up.positions[4][0] = 6.0
    made_up.write()
    assert failure(made_up).startswith("in_view: the object leaves the picture by")
