import dataclasses
import os
import signal
import subprocess
import sys

import pytest

from clipfarm_encode.files import owner
from clipfarm_encode.files.owner import Owner

SAYS_WHO_IT_IS = """
import sys
from clipfarm_encode.files.owner import Owner
if sys.argv[1:]:
    open("/proc/self/comm", "w").write(sys.argv[1])
owner = Owner.this()
print(owner.to_json().strip() if owner else "nobody knows", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def here():
    return Owner.this()


@pytest.fixture
def start():
    """Start a process, by a command before it where one is given, and return it and who it is."""
    started = []

    def run(*before, name=()):
        command = [*before, sys.executable, "-c", SAYS_WHO_IT_IS, *name]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        started.append(process)
        said = process.stdout.readline().decode()
        if not said and before:
            assert os.environ.get("CI") != "true", "a PID namespace takes root"
            pytest.skip("a PID namespace takes root")
        assert said
        return process, Owner.parse(said)

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_a_process_that_lives_has_not_ended(here, start):
    _, other = start()
    assert not other.has_ended(here)
    assert not here.has_ended(here)


def test_one_that_was_killed_has_ended_before_and_after_its_parent_takes_note(here, start):
    process, other = start()
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert other.has_ended(here)
    process.wait()
    assert other.has_ended(here)


def test_another_process_that_was_given_its_number_is_not_taken_for_it(here):
    assert dataclasses.replace(here, started=here.started - 1).has_ended(here)


@pytest.mark.parametrize("field", ["host", "boot", "namespace"])
def test_elsewhere_its_number_says_nothing(here, start, field):
    process, other = start()
    process.kill()
    process.wait()
    assert other.has_ended(here)
    assert not other.has_ended(dataclasses.replace(here, **{field: "another"}))
    assert not other.has_ended(None)


def test_a_process_in_a_container_of_its_own_is_not_looked_up_here(here, start):
    process, inside = start("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    assert inside.pid == 1
    assert inside.namespace != here.namespace
    assert not inside.has_ended(here)
    process.kill()
    process.wait()
    assert not inside.has_ended(here), "process 1 is another one here"


def test_where_proc_shows_another_namespace_nothing_is_claimed_to_be_known(start):
    _, inside = start("unshare", "--pid", "--fork", "--kill-child")
    assert inside is None


def test_a_process_that_is_hidden_from_this_user_may_live(here, monkeypatch):
    def hidden(pid):
        raise FileNotFoundError

    monkeypatch.setattr(owner, "_process", hidden)
    assert not here.has_ended(here)


@pytest.mark.parametrize("name", ["a", "a) Z 1 2", "a\nb", "ä b"])
def test_a_process_may_have_any_name(here, start, name):
    process, other = start(name=[name])
    assert not other.has_ended(here)
    process.kill()
    process.wait()
    assert other.has_ended(here)


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "[]", "{}", '{"pid": 1}'),
        '{"host": "a", "boot": "b", "namespace": "c", "pid": "1", "started": 2}',
        '{"host": "a", "boot": "b", "namespace": "c", "pid": -1, "started": 2}',
    ],
)
def test_what_says_nothing_of_a_process_is_none(text):
    assert Owner.parse(text) is None


def test_it_reads_what_it_writes(here):
    assert Owner.parse(here.to_json()) == here
