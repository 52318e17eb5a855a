"""Which process runs which tests, if several do."""

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

SHARING = ("test_autoscaler.py", "test_definition.py", "test_impossible.py")
"""On a control plane: one file needs an autoscaler beside it, two are many short rows."""


def unit(nodeid: str) -> str:
    """Return what a test is kept together with: its file, which may have rendered clips or an autoscaler."""
    path = nodeid.partition("::")[0]
    if path.startswith("tests/cluster/chart/"):
        return "tests/cluster/chart"  # they have one more control plane
    if path.startswith("tests/cluster/") and not path.endswith(SHARING):
        return nodeid  # some of them wait for a minute: one by one they keep all processes busy to the end
    return path


class Scheduling(LoadScopeScheduling):
    """Gives each process a unit of tests after the other, and what a process that crashed has left to the others."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)

    def remove_node(self, node: WorkerController) -> str | None:
        """Return the test in which a process crashed, None if it was done; the tests after it are dealt out again.

        pytest-xdist deals out again what is done, too: a process that gets nothing else reports nothing, and the tests
        never end. The test itself would crash one process after the other.
        """
        work = self.assigned_work.pop(node)
        crashed = next((test for tests in work.values() for test, done in tests.items() if not done), None)
        for name, tests in work.items():
            if left := [test for test, done in tests.items() if not done and test != crashed]:
                self.workqueue[name] = dict.fromkeys(left, False)
        if crashed is not None:
            for other in self.nodes:
                self._reschedule(other)
        return crashed

    def schedule(self) -> None:
        """Deal out the first units; or some to a process in place of one that crashed."""
        is_new = self.collection is not None
        super().schedule()
        if is_new:  # with one unit it may have one test, which it begins only when it knows the next
            super().schedule()
