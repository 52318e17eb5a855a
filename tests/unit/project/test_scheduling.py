"""How tests are dealt out to processes, above all after a crash: the scheduler with processes that a test plays."""

from types import SimpleNamespace

import pytest

from helpers.scheduling import Scheduling, unit


class Process:
    """A process of pytest-xdist that runs its tests one by one, and the last one only when it is told to end."""

    def __init__(self, name, tests):
        self.gateway = SimpleNamespace(id=name)
        self.tests, self.queue, self.shutting_down = tests, [], False

    def send_runtest_some(self, indices):
        self.queue += indices

    def shutdown(self):
        self.shutting_down = True

    @property
    def next(self):
        return self.queue[0] if len(self.queue) > 1 or (self.queue and self.shutting_down) else None


def deal(tests, crash=None, processes=2):
    """Run tests on some processes, of which one crashes in one test; return the tests that were run, in order."""
    options = SimpleNamespace(
        loadscopereorder=False, numprocesses=processes, maxprocesses=None, tx=["popen"] * processes
    )
    config = SimpleNamespace(option=options, getvalue=lambda name: getattr(options, name))
    scheduling, ran, names = Scheduling(config), [], iter(range(100))

    def start():
        made = Process(f"gw{next(names)}", tests)
        scheduling.add_node(made)
        scheduling.add_node_collection(made, tests)
        return made

    there = [start() for _ in range(processes)]
    scheduling.schedule()
    while ready := [each for each in there if each.next is not None]:
        process = ready[0]
        index = process.queue.pop(0)
        ran.append(tests[index])
        if tests[index] == crash:
            assert scheduling.remove_node(process) == crash
            there.remove(process)
            there.append(start())
            scheduling.schedule()
        else:
            scheduling.mark_test_complete(process, index)
        if scheduling.tests_finished:
            for each in there:
                each.shutdown()
    return ran


FILES = [f"tests/unit/test_{name}.py::test_{i}" for name in "abc" for i in range(3)]
SINGLE = [f"tests/cluster/operator/test_x.py::test_{i}" for i in range(7)]


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("tests", [FILES, SINGLE, FILES[:3], SINGLE[:1]], ids=["files", "single", "a file", "a test"])
def test_each_test_runs_once_also_if_a_process_crashes_in_any_of_them(tests, processes):
    for crash in (None, *tests):
        assert sorted(deal(tests, crash, processes)) == tests, f"crash in {crash}"


@pytest.mark.parametrize(
    ("nodeid", "kept_with"),
    [
        ("tests/unit/export/test_again.py::test_a[x::y]", "tests/unit/export/test_again.py"),
        ("tests/cluster/chart/test_rights.py::test_a", "tests/cluster/chart"),
        ("tests/cluster/operator/test_definition.py::test_a[1]", "tests/cluster/operator/test_definition.py"),
        ("tests/cluster/operator/test_stuck.py::test_a", "tests/cluster/operator/test_stuck.py::test_a"),
    ],
)
def test_what_shares_something_goes_to_one_process(nodeid, kept_with):
    assert unit(nodeid) == kept_with
