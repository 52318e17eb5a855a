import os
import signal
import subprocess
import sys
import threading

import pytest

from clipfarm_encode.files.claims import Claims

STALE = 60.0


@pytest.fixture
def encoder(tmp_path, clock):
    """Start an encoder that shares the folder; those that are left end with the test."""
    started = []

    def start(name):
        claims = Claims(tmp_path / "claims", STALE, clock, name)
        started.append(claims.__enter__())
        return claims

    yield start
    for claims in started:
        claims.__exit__(None, None, None)


def kill(claims):
    """End an encoder as SIGKILL would: its claims stay, its heartbeat stops."""
    claims._ended.set()


def beat(claims):
    os.utime(claims._heartbeat)


def test_a_clip_is_claimed_by_one_encoder(encoder):
    a, b = encoder("a"), encoder("b")
    assert a.take("clip_00000")
    b.look()
    assert not b.take("clip_00000")
    assert b.take("clip_00001")


def test_a_claim_is_seen_without_another_look(encoder):
    a, b = encoder("a"), encoder("b")
    b.look()
    assert a.take("clip_00000")
    assert not b.take("clip_00000")


def test_nobody_takes_a_clip_twice(encoder):
    a = encoder("a")
    assert a.take("clip_00000")
    a.look()
    assert not a.take("clip_00000")
    assert a.held == 1


def test_what_was_given_up_is_free_at_once(encoder):
    a, b = encoder("a"), encoder("b")
    a.take("clip_00000")
    a.release("clip_00000")
    b.look()
    assert b.take("clip_00000")


def test_an_encoder_that_lives_keeps_its_claims(encoder, clock):
    a, b = encoder("a"), encoder("b")
    a.take("clip_00000")
    for _ in range(10):
        b.look()
        clock.now += STALE / 2
        beat(a)
    b.look()
    assert not b.take("clip_00000")


def test_claims_of_a_dead_encoder_are_taken_over_once_they_are_stale(encoder, clock):
    a, b = encoder("a"), encoder("b")
    a.take("clip_00000")
    kill(a)
    b.look()
    clock.now += STALE - 1
    b.look()
    assert not b.take("clip_00000")
    clock.now += 1
    b.look()
    assert b.take("clip_00000")


DIES_AT_WORK = """
import os, pathlib, signal, sys
from clipfarm_encode.files.claims import Claims
with Claims(pathlib.Path(sys.argv[1]), 3600) as claims:
    assert claims.take("clip_00000")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_encoder_known_to_be_dead_is_not_waited_for(encoder, tmp_path):
    dead = subprocess.run([sys.executable, "-c", DIES_AT_WORK, tmp_path / "claims"], check=False)
    assert dead.returncode == -signal.SIGKILL
    a = encoder("a")
    assert not a.take("clip_00000"), "it has not looked yet"
    a.look()
    assert a.take("clip_00000")
    a.release("clip_00000")
    a.look()
    assert [path.name for path in (tmp_path / "claims" / "owners").iterdir()] == ["a"]


def test_a_heartbeat_that_says_nothing_of_its_owner_is_waited_for(encoder, clock):
    a, b = encoder("a"), encoder("b")
    a._heartbeat.write_text("")
    a.take("clip_00000")
    kill(a)
    b.look()
    assert not b.take("clip_00000")
    clock.now += STALE
    b.look()
    assert b.take("clip_00000")


def test_one_look_is_not_enough_to_call_a_claim_stale(encoder, clock, tmp_path):
    a, b = encoder("a"), encoder("b")
    a.take("clip_00000")
    os.utime(a._heartbeat, (0, 0))  # by this machine's clock it has been dead for decades
    b.look()
    assert not b.take("clip_00000")


def test_of_several_who_take_over_one_succeeds(encoder, clock):
    dead, *others = (encoder(name) for name in ("dead", "b", "c", "d"))
    dead.take("clip_00000")
    kill(dead)
    for each in others:
        each.look()
    clock.now += STALE
    for each in others:
        each.look()
    assert sorted(each.take("clip_00000") for each in others) == [False, False, True]


def test_a_slow_encoder_that_wakes_up_does_not_take_away_its_successors_claim(encoder, clock):
    slow, b, c = (encoder(name) for name in ("slow", "b", "c"))
    slow.take("clip_00000")
    b.look()
    clock.now += STALE
    b.look()
    assert b.take("clip_00000")
    slow.release("clip_00000")
    c.look()
    assert not c.take("clip_00000")


def test_a_race_for_many_clips_has_one_winner_each(encoder):
    encoders = [encoder(str(i)) for i in range(4)]
    won = {}
    start = threading.Barrier(4)

    def grab(claims):
        start.wait()
        won[claims] = [i for i in range(300) if claims.take(f"clip_{i:05d}")]

    threads = [threading.Thread(target=grab, args=(claims,)) for claims in encoders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(i for each in won.values() for i in each) == list(range(300))


def test_who_finds_nothing_left_to_do_leaves_nothing_behind(encoder, tmp_path):
    a, b, dead = (encoder(name) for name in ("a", "b", "dead"))
    a.take("clip_00000")
    dead.take("clip_00001")
    kill(dead)
    a.__exit__(None, None, None)
    assert len(list((tmp_path / "claims" / "owners").iterdir())) == 2
    b.nothing_left = True
    b.__exit__(None, None, None)
    assert not (tmp_path / "claims").exists()


def test_the_heartbeat_of_a_dead_encoder_without_claims_is_removed(encoder, clock, tmp_path):
    a, dead = encoder("a"), encoder("dead")
    kill(dead)
    a.look()
    clock.now += STALE
    a.look()
    assert [path.name for path in (tmp_path / "claims" / "owners").iterdir()] == ["a"]


def test_a_claim_survives_that_somebody_tidied_the_folder_up(encoder, tmp_path):
    a, b = encoder("a"), encoder("b")
    a._heartbeat.unlink()
    b.look()
    assert a.take("clip_00000")
    b.look()
    assert not b.take("clip_00000")


def test_an_answer_that_nfs_lost_is_no_defeat(encoder, tmp_path):
    a = encoder("a")
    os.link(a._heartbeat, tmp_path / "claims" / "clip_00000.0")  # made, and asked for again
    assert a.take("clip_00000")


def test_the_heartbeat_is_renewed(tmp_path):
    with Claims(tmp_path / "claims", 0.06) as claims:
        first = claims._heartbeat.stat().st_mtime_ns
        end = threading.Event()
        for _ in range(200):
            if claims._heartbeat.stat().st_mtime_ns != first:
                break
            end.wait(0.05)
        assert claims._heartbeat.stat().st_mtime_ns != first


def test_without_hard_links_every_clip_is_free_and_that_is_said(tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    with Claims(tmp_path / "claims", STALE) as claims:
        assert not claims.works
        assert claims.take("clip_00000")
        claims.release("clip_00000")
