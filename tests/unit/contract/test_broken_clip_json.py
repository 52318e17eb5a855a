"""One broken clip.json is one damaged clip, whatever is broken in it, and never an error of the run."""

import copy
import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipfarm_contract import clip as clips
from clipfarm_contract import completing, examining
from clipfarm_contract.clip import ClipState
from clipfarm_contract.layout import RunFolder
from helpers.experiments import make_recipe

RECIPE = make_recipe(frames=4, resolution=64)
ENTRY = {"sha256": "0" * 64, "size": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    run = RunFolder(tmp_path_factory.mktemp("run"))
    attempt = run.attempt(7, "1")
    (attempt / "rgb").mkdir(parents=True)
    (attempt / "rgb" / "frame_00000.png").write_text("picture")
    completing.complete(attempt, run.clip(7), RECIPE, {"lit": 3}, ("python", "mine.py"))
    return run.clip(7), json.loads(run.clip(7).manifest.read_text())


def judged(clip):
    found = clips.inspect(clip, RECIPE, ("python", "mine.py"))
    return found.state, found.reason


INSIDE = "expected the path of a file inside the clip's folder"
BROKEN = [
    (("files", "rgb/a\0b"), ENTRY, f'clip.json.files: found "rgb/a\\u0000b", {INSIDE}'),
    (("files", "/etc/passwd"), ENTRY, f'clip.json.files: found "/etc/passwd", {INSIDE}'),
    (("files", "../clip_00001/a"), ENTRY, f'clip.json.files: found "../clip_00001/a", {INSIDE}'),
    (("files", "rgb/../a"), ENTRY, f'clip.json.files: found "rgb/../a", {INSIDE}'),
    (("files", "rgb//a"), ENTRY, f'clip.json.files: found "rgb//a", {INSIDE}'),
    (("files", ""), ENTRY, f'clip.json.files: found "", {INSIDE}'),
    (("files", "clip.json"), ENTRY, f'clip.json.files: found "clip.json", {INSIDE}'),
    (("files", "feature_maps/a"), ENTRY, f'clip.json.files: found "feature_maps/a", {INSIDE}'),
    (("files", "\ud800"), ENTRY, 'clip.json.files: found "\\ud800", expected a name in UTF-8'),
    (("files", "a"), [], "clip.json.files.a: found [], expected an object"),
    (("files", "a"), ENTRY | {"size": -1}, "clip.json.files.a.size: found -1, expected 0 or more"),
    (("files", "a"), ENTRY | {"sha256": "x"}, 'clip.json.files.a.sha256: found "x", expected 64 hexadecimal digits'),
    (("renderer",), [["python"]], 'clip.json.renderer[0]: found ["python"], expected a string'),
    (("renderer",), "python", 'clip.json.renderer: found "python", expected a list'),
    (("recipe", "experiment", "layers"), [["rgb"]], 'layers[0]: found ["rgb"], expected a string'),
    (("recipe", "experiment", "phase", "name"), ["A"], 'name: found ["A"], expected a string'),
    (("checks",), [], "clip.json.checks: found [], expected an object"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "reason"), BROKEN, ids=[reason[:50] for _, _, reason in BROKEN])
def test_what_is_wrong_is_named(made, place, value, reason):
    clip, document = made
    broken = copy.deepcopy(document)
    inner = broken
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    clip.manifest.write_text(json.dumps(broken))
    state, why = judged(clip)
    assert state is ClipState.DAMAGED
    assert why.endswith(reason)
    assert examining.damage(clip) == [why]


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder", "nested"])
def test_something_else_in_its_place_is_neither_waited_for_nor_read_for_ever(made, kind):
    clip, _ = made
    clip.manifest.unlink(missing_ok=True)
    match kind:
        case "FIFO":
            os.mkfifo(clip.manifest)
        case "device":
            clip.manifest.symlink_to("/dev/zero")
        case "folder":
            clip.manifest.mkdir()
        case "nested":
            clip.manifest.write_text("[" * 100_000)
    state, why = judged(clip)
    assert (state, why.startswith("clip.json: ")) == (ClipState.DAMAGED, True)
    assert len(examining.damage(clip)) == 1
    clip.manifest.rmdir() if kind == "folder" else clip.manifest.unlink()


TEXTS = st.sampled_from(["", "\0", "a\0b", "/etc/passwd", "..", "\ud800", "x" * 300, "\x1b[2J", "rgb/frame_00000.png"])
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=5,
)


def places(value, path=()):
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_changed_in_it_the_clip_is_judged(made, data):
    clip, document = made
    broken = {"": copy.deepcopy(document)}
    *way, last = ("", *data.draw(st.sampled_from(list(places(document)))))
    inner = broken
    for key in way:
        inner = inner[key]
    if isinstance(inner[last], dict) and data.draw(st.booleans()):
        inner[last][data.draw(TEXTS)] = data.draw(VALUES)
    else:
        inner[last] = data.draw(VALUES)
    clip.manifest.write_text(json.dumps(broken[""]))
    state, _ = judged(clip)
    assert state is not ClipState.ABSENT
    assert all(isinstance(problem, str) for problem in examining.damage(clip))
