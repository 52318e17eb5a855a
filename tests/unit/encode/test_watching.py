import errno
import os
import shutil

import pytest

from clipfarm_contract.completing import discard
from clipfarm_contract.layout import Clip, RunFolder
from clipfarm_encode.files.claims import Claims
from clipfarm_encode.files.finding import find_clips
from clipfarm_encode.files.identity import Identity
from clipfarm_encode.selection import Destination, survey
from clipfarm_encode.watching import claiming, one_set
from clipfarm_encode.watching.one_set import SetWatch
from clipfarm_encode.watching.watch import POLL_SECONDS, POLL_SECONDS_AT_MOST, POLL_SHARE, Watch
from unit.encode.made_up import SEED, make_clip, make_experiment
from unit.encode.shared import RECIPE, give_features


def watch_for(root, destination, reporter, claims, *, surveyed=None, identity=None, **options):
    """Return a watch for one feature set."""
    sets = [SetWatch(destination, reporter.sets[0], claims, surveyed, identity)]
    return Watch(root, sets, reporter, **options)


@pytest.fixture
def claims(tmp_path):
    with Claims(RunFolder(tmp_path).claims("m"), 60) as claims:
        yield claims


@pytest.fixture
def other(tmp_path):
    """Return the claims of another encoder on the same folder."""
    with Claims(RunFolder(tmp_path).claims("m"), 60) as claims:
        yield claims


@pytest.fixture
def watch(tmp_path, destination, reporter, claims):
    """Watch the folder; what is yielded is settled at once, and ``steps`` happen in the pauses."""

    def run(steps=(), destination=destination):
        events = iter(steps)
        source = watch_for(tmp_path, destination, reporter, claims, sleep=lambda _: next(events)())
        for turn in source:
            yield turn.found.name if turn else None
            if turn:
                source.settled(turn)

    return run


def finish(root):
    RunFolder(root).state.mkdir(exist_ok=True)
    RunFolder(root).all_rendered.touch()


def test_a_watched_folder_yields_clips_as_they_come_and_ends_at_the_marker(tmp_path, watch, reporter):
    events = [
        lambda: make_clip(tmp_path, 0),
        lambda: None,
        lambda: (make_clip(tmp_path, 2), make_clip(tmp_path, 1)),
        lambda: (make_clip(tmp_path, 3), finish(tmp_path)),
    ]
    expected = [None, "clip_00000", None, None, "clip_00001", "clip_00002", None, "clip_00003", None]
    assert list(watch(events)) == expected
    assert len(reporter.tally.found) == 4


def test_features_that_cannot_be_read_are_looked_at_again_and_never_made_over(tmp_path, watch, reporter, monkeypatch):
    make_clip(tmp_path, 0)
    give_features(make_clip(tmp_path, 1))
    opened = os.open

    def refuse(path, *arguments, **options):
        if str(path).endswith("clip_00001/feature_maps/m.npy"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)

    def look():
        assert reporter.tally.failures == {"clip_00001": "m.npy: Input/output error (EIO)"}

    def recover():
        monkeypatch.setattr(os, "open", opened)
        finish(tmp_path)

    assert list(watch([look, look, recover])) == ["clip_00000", None, None, None, None]
    assert (reporter.tally.failures, reporter.tally.skipped) == ({}, {"clip_00001"})


def test_a_clip_whose_frames_could_not_be_read_gets_another_turn(tmp_path, destination, reporter, claims, monkeypatch):
    make_clip(tmp_path, 0)
    monkeypatch.setattr(one_set, "RETRY_SECONDS", 0)
    source = watch_for(tmp_path, destination, reporter, claims, sleep=lambda _: None)
    looks = iter(source)
    for _ in range(2):
        turn = next(looks)
        assert turn.found.name == "clip_00000"
        reporter.sets[0].failed("clip_00000", "cannot be read: rgb: Input/output error (EIO)")
        source.settled(turn, unread=True)
    assert next(looks).found.name == "clip_00000"
    assert reporter.tally.failures == {}
    reporter.sets[0].failed("clip_00000", "rgb: no frames")
    source.settled(turn)
    finish(tmp_path)
    assert list(looks) == [None]
    assert reporter.tally.failures == {"clip_00000": "rgb: no frames"}


def test_a_folder_that_cannot_be_read_for_a_while_is_looked_at_again(tmp_path, watch, said, monkeypatch):
    make_clip(tmp_path, 0)
    finish(tmp_path)
    scandir = os.scandir

    def stale(path):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))

    monkeypatch.setattr(os, "scandir", stale)
    steps = [lambda: None, lambda: monkeypatch.setattr(os, "scandir", scandir)]
    assert list(watch(steps)) == [None, None, "clip_00000", None]
    assert said == [f"the folder cannot be read for the moment: {tmp_path}: Stale file handle (ESTALE)"]


def test_watching_skips_what_has_features_and_waits_for_what_is_not_complete(tmp_path, watch, reporter):
    give_features(make_clip(tmp_path, 0))
    (tmp_path / "clip_00001").mkdir()
    (tmp_path / ".clip_00002.x").mkdir()
    finish(tmp_path)
    assert list(watch()) == [None]
    assert reporter.tally.found == reporter.tally.skipped == {"clip_00000"}


def test_a_clip_that_another_has_replaced_gets_another_turn(tmp_path, watch, reporter):
    give_features(make_clip(tmp_path, 0))

    def replace():
        discard(tmp_path / "clip_00000")
        make_clip(tmp_path, 1)  # takes the freed inode, where the filesystem gives it out again at once
        make_clip(tmp_path, 0)
        finish(tmp_path)

    assert list(watch([replace])) == [None, "clip_00000", "clip_00001", None]
    assert len(reporter.tally.found) == 2


def test_a_clip_that_vanishes_and_comes_again_gets_another_turn(tmp_path, watch, reporter):
    make_clip(tmp_path, 0)
    events = [lambda: shutil.rmtree(tmp_path / "clip_00000"), lambda: (make_clip(tmp_path, 0), finish(tmp_path))]
    assert list(watch(events)) == ["clip_00000", None, None, "clip_00000", None]
    assert reporter.tally.found == {"clip_00000"}


def test_features_made_otherwise_that_turn_up_while_watching_are_a_failure(tmp_path, watch, reporter):
    clip = make_clip(tmp_path, 0)
    give_features(clip)
    clip.features_sidecar("m").unlink()
    finish(tmp_path)
    assert list(watch()) == [None]
    assert list(reporter.tally.failures) == ["clip_00000"]


def test_what_was_surveyed_a_moment_ago_is_not_looked_at_again(tmp_path, destination, reporter, claims, monkeypatch):
    give_features(make_clip(tmp_path, 0))
    make_clip(tmp_path, 1)
    finish(tmp_path)
    surveyed = survey(find_clips(tmp_path), destination)
    inspected = []
    inspect = Destination.inspect
    monkeypatch.setattr(
        Destination, "inspect", lambda self, found: inspected.append(found.name) or inspect(self, found)
    )
    source = watch_for(tmp_path, destination, reporter, claims, surveyed=surveyed)
    assert next(iter(source)).found.name == "clip_00001"
    assert set(inspected) == {"clip_00001"}
    assert reporter.tally.skipped == {"clip_00000"}
    assert reporter.tally.found == {"clip_00000", "clip_00001"}


def test_overwriting_means_features_made_otherwise_and_not_those_of_another_encoder(tmp_path, watch):
    clips = [make_clip(tmp_path, i) for i in range(2)]
    for clip in clips:
        give_features(clip)
    clips[1].features_sidecar("m").unlink()
    finish(tmp_path)
    found = watch(destination=Destination(RECIPE, None, overwrite=True))
    assert next(found) == "clip_00001"
    give_features(clips[1])
    assert list(found) == [None]


def test_what_another_encoder_has_claimed_is_waited_for(tmp_path, watch, other, reporter):
    for i in range(2):
        make_clip(tmp_path, i)
    other.take("clip_00000")
    finish(tmp_path)

    def done():
        give_features(Clip(tmp_path / "clip_00000"))
        other.release("clip_00000")

    assert list(watch([lambda: None, done])) == ["clip_00001", None, None, None]
    assert reporter.tally.skipped == {"clip_00000"}


def test_what_another_encoder_gives_up_gets_a_turn_here(tmp_path, watch, other):
    make_clip(tmp_path, 0)
    other.take("clip_00000")
    finish(tmp_path)
    assert list(watch([lambda: other.release("clip_00000")])) == [None, "clip_00000", None]


def test_features_that_come_between_the_look_and_the_claim_are_seen_under_the_claim(
    tmp_path, watch, claims, reporter, monkeypatch
):
    clip = make_clip(tmp_path, 0)
    finish(tmp_path)
    take = claims.take

    def late(name):
        give_features(clip)
        return take(name)

    monkeypatch.setattr(claims, "take", late)
    assert list(watch()) == [None]
    assert claims.held == 0
    assert reporter.tally.skipped == {"clip_00000"}


def test_a_full_disk_delays_claims_and_ends_nothing(tmp_path, watch, claims, said, monkeypatch):
    make_clip(tmp_path, 0)
    finish(tmp_path)
    take = claims.take

    def full(name):
        raise OSError(28, "No space left on device", "owners/us", None, "claims/clip_00000.0")

    monkeypatch.setattr(claims, "take", full)
    steps = [lambda: None, lambda: monkeypatch.setattr(claims, "take", take)]
    assert list(watch(steps)) == [None, None, "clip_00000", None]
    assert said == [
        "clips cannot be claimed for the moment: claims/clip_00000.0: No space left on device (ENOSPC)",
    ]


def test_clips_that_cannot_be_claimed_for_long_have_failed_until_they_can_be(
    tmp_path, watch, claims, reporter, monkeypatch
):
    make_clip(tmp_path, 0)
    monkeypatch.setattr(claiming, "TROUBLE_SECONDS", 0)
    take = claims.take

    def refused(name):
        raise OSError(1, "Operation not permitted", "owners/us", None, "claims/clip_00000.0")

    def look():
        assert reporter.tally.failures == {
            "clip_00000": "cannot be claimed: claims/clip_00000.0: Operation not permitted (EPERM)"
        }

    monkeypatch.setattr(claims, "take", refused)
    steps = [look, lambda: monkeypatch.setattr(claims, "take", take)]
    source = watch(steps)
    assert [next(source) for _ in range(3)] == [None, None, "clip_00000"]
    assert reporter.tally.failures == {}
    monkeypatch.setattr(claims, "take", refused)
    make_clip(tmp_path, 1)
    finish(tmp_path)
    assert list(watch()) == [None]
    assert list(reporter.tally.failures) == ["clip_00000", "clip_00001"]


def test_a_failure_that_another_encoder_makes_good_is_none(tmp_path, watch, reporter):
    clip = make_clip(tmp_path, 0)
    seen = []
    for name in watch([lambda: give_features(clip), lambda: finish(tmp_path)]):
        seen.append(name)
        if name:
            reporter.sets[0].failed(name, "the disk is full")
    assert seen == ["clip_00000", None, None, None]
    assert reporter.tally.failures == {}
    assert reporter.tally.skipped == {"clip_00000"}


@pytest.fixture
def of_run(tmp_path, destination, reporter, claims):
    """Watch the folder for one run's clips."""

    def run(steps):
        events = iter(steps)
        identity = Identity(SEED, make_experiment(), None)
        source = watch_for(tmp_path, destination, reporter, claims, sleep=lambda _: next(events)(), identity=identity)
        for turn in source:
            yield turn.found.name if turn else None
            if turn:
                source.settled(turn)

    return run


def test_a_clip_json_that_cannot_be_read_for_a_while_is_read_by_a_later_look(
    tmp_path, of_run, reporter, said, monkeypatch
):
    give_features(make_clip(tmp_path, 0))
    make_clip(tmp_path, 1)
    failures = []
    difference = Identity.difference

    def stale(self, found):
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Identity, "difference", stale)

    def look():
        failures.append(dict(reporter.tally.failures))

    def recover():
        monkeypatch.setattr(Identity, "difference", difference)
        finish(tmp_path)

    assert list(of_run([look, look, recover])) == [None, None, None, "clip_00001", None]
    assert failures == [dict.fromkeys(("clip_00000", "clip_00001"), "clip.json: Stale file handle (ESTALE)")] * 2
    assert said == [f"{name} failed: clip.json: Stale file handle (ESTALE)" for name in ("clip_00000", "clip_00001")]
    assert (reporter.tally.failures, reporter.tally.skipped) == ({}, {"clip_00000"})


def test_a_clip_that_cannot_be_read_and_goes_is_forgotten(tmp_path, of_run, reporter, monkeypatch):
    make_clip(tmp_path, 0)

    def stale(self, found):
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Identity, "difference", stale)
    assert list(of_run([lambda: shutil.rmtree(tmp_path / "clip_00000"), lambda: finish(tmp_path)])) == [None] * 3
    assert (reporter.tally.found, reporter.tally.failures) == (set(), {})


def test_features_of_a_clip_that_may_be_another_runs_do_not_count(tmp_path, of_run, reporter):
    clip = make_clip(tmp_path, 0)
    give_features(clip)
    clip.manifest.write_text("{")
    assert list(of_run([lambda: finish(tmp_path)])) == [None, None]
    assert list(reporter.tally.failures) == ["clip_00000"]
    assert reporter.tally.skipped == set()


@pytest.mark.parametrize(
    ("looked", "pause"), [(0.001, POLL_SECONDS), (0.1, 0.1 * POLL_SHARE), (9.0, POLL_SECONDS_AT_MOST)]
)
def test_the_longer_a_look_takes_the_longer_is_the_pause(tmp_path, destination, reporter, claims, looked, pause):
    pauses = []
    watch_for(tmp_path, destination, reporter, claims, sleep=pauses.append)._pause(looked)
    assert pauses == [pause]


def test_only_the_wanted_clips_are_watched(tmp_path, destination, reporter, claims):
    for number in range(3):
        make_clip(tmp_path, number, frames=2, size=16)
    RunFolder(tmp_path).all_rendered.parent.mkdir(exist_ok=True)
    RunFolder(tmp_path).all_rendered.touch()
    source = watch_for(tmp_path, destination, reporter, claims, wanted=frozenset({1}))
    found = []
    for turn in source:
        if turn:
            found.append(turn.found.name)
            source.settled(turn)
            give_features(turn.found.clip)
    assert found == ["clip_00001"]


def test_a_clip_of_another_run_is_neither_yielded_nor_counted_until_the_runs_own_takes_its_place(
    tmp_path, destination, reporter, claims
):
    give_features(make_clip(tmp_path, 0, seed=1))
    make_clip(tmp_path, 1)
    identity = Identity(SEED, make_experiment(), None)

    def replace_it():
        shutil.rmtree(tmp_path / "clip_00000")
        make_clip(tmp_path, 2)  # takes the freed inode
        make_clip(tmp_path, 0)
        finish(tmp_path)

    steps = iter([replace_it])
    source = watch_for(tmp_path, destination, reporter, claims, sleep=lambda _: next(steps)(), identity=identity)
    seen = []
    for turn in source:
        seen.append(turn.found.name if turn else None)
        if turn:
            give_features(turn.found.clip)
            reporter.sets[0].saved(turn.found.name, ours=True)
            source.settled(turn)
        elif len(seen) == 2:
            assert (reporter.tally.found, reporter.document()["foreign"]) == ({"clip_00001"}, 1)
    assert seen == ["clip_00001", None, "clip_00000", "clip_00002", None]
    assert (len(reporter.tally.encoded), reporter.document()["foreign"]) == (3, 0)


def test_clips_and_features_that_go_away_are_not_counted_any_more_and_made_again_where_they_can(
    tmp_path, watch, reporter
):
    clips = [make_clip(tmp_path, i) for i in range(3)]
    for clip in clips:
        give_features(clip)

    def remove():
        shutil.rmtree(clips[0].folder)
        shutil.rmtree(clips[1].features("m").parent)

    seen = []
    for name in watch([remove, lambda: None, lambda: finish(tmp_path)]):
        seen.append(name)
        if name:
            give_features(Clip(tmp_path / name))
            reporter.sets[0].saved(name, ours=True)
    assert seen == [None, None, "clip_00001", None, None]
    assert (reporter.tally.encoded, reporter.tally.skipped) == ({"clip_00001"}, {"clip_00002"})
