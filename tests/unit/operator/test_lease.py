"""Which operator may write: Leases of one process's clock, against an API server that is a dictionary."""

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from clipfarm.cluster.api.errors import CONFLICT, ApiError
from clipfarm.cluster.process.lease import Lease
from clipfarm.cluster.process.lease_record import ALL, ONE, Identity

Path = str


def path(namespace: str = "default", name: str = ALL) -> Path:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"


class Server:
    """Keeps Leases, with versions; fails while ``away``."""

    def __init__(self) -> None:
        self.objects: dict[Path, dict[str, Any]] = {}
        self.version = 0
        self.away = False
        self.faults: list[Exception] = []
        """What the next changes end with."""

    async def get(self, where: Path) -> dict[str, Any] | None:
        self._answers()
        return copy.deepcopy(self.objects.get(where))

    async def pages(self, where: Path, **_: str) -> AsyncIterator[tuple[list[dict[str, Any]], str]]:
        self._answers()
        yield copy.deepcopy(list(self.objects.values())), ""

    async def create(self, where: Path, body: dict[str, Any]) -> None:
        self._answers()
        full = f"{where}/{body['metadata']['name']}"
        if full in self.objects:
            raise ApiError(CONFLICT, "there already")
        made = copy.deepcopy(body)
        made["metadata"]["namespace"] = where.split("/")[5]
        self._put(full, made)

    async def patch(self, where: Path, body: dict[str, Any], _kind: str) -> None:
        self._answers()
        if self.faults:
            raise self.faults.pop(0)
        there = self.objects[where]
        if body["metadata"].get("resourceVersion") != there["metadata"]["resourceVersion"]:
            raise ApiError(CONFLICT, "changed")
        merged = {part: there[part] | body[part] for part in ("metadata", "spec")}
        self._put(where, there | merged)

    def holder(self, where: Path) -> str:
        return str(self.objects[where]["spec"]["holderIdentity"])

    def _answers(self) -> None:
        if self.away:
            raise TimeoutError

    def _put(self, where: Path, made: dict[str, Any]) -> None:
        self.version += 1
        made["metadata"]["resourceVersion"] = str(self.version)
        self.objects[where] = made


class World:
    """Operators on one server, whose clocks are set by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.server = Server()

    def operator(self, holder: str, *namespaces: str, installation: str = "farm") -> Lease:
        return Lease(
            self.server,  # type: ignore[arg-type]
            namespaces,
            "default",
            Identity(holder, installation),
            lambda: self.now,
            lambda: 1.8e9 + self.now,
        )

    def look(self, *operators: Lease, after: float = 0.0) -> list[bool]:
        """Have each try once, as its loop does; return which of them may write."""
        self.now += after
        for operator in operators:
            if asyncio.run(operator._renewed()):
                operator._until = self.now + operator.duration * 2 / 3
        return [operator.left > 0 for operator in operators]


@pytest.fixture
def world() -> World:
    return World()


def test_of_two_replicas_one_may_write(world: World):
    first, second = world.operator("first"), world.operator("second")
    assert world.look(first, second) == [True, False]
    for _ in range(20):
        assert world.look(first, second, after=2) == [True, False]
    assert (first.waits_for, second.waits_for) == ("", ""), "a replica of the same installation is no news"


def test_another_takes_over_once_the_lease_was_not_renewed_for_its_duration(world: World):
    first, second = world.operator("first"), world.operator("second")
    world.look(first, second)
    assert world.look(second, after=14.9) == [False]
    assert world.look(second, after=0.2) == [True]
    assert world.look(first) == [False]


def test_the_holder_stops_writing_before_another_may_take_over(world: World):
    first, second = world.operator("first"), world.operator("second")
    world.look(first, second)
    world.server.away = True
    world.look(first, after=9.9)
    assert first.left == pytest.approx(0.1)
    assert first.write_seconds() == pytest.approx(5.1), "a request has to end before the Lease does"
    world.now += 0.2
    assert (first.left, first.write_seconds()) == (0.0, 0.0)
    world.server.away = False
    assert world.look(second) == [False]


def test_a_lease_that_was_seen_long_ago_and_renewed_since_is_held(world: World):
    first, second = world.operator("first"), world.operator("second")
    world.look(first, second)
    world.look(first, after=14)
    assert world.look(second, after=1) == [False], "the duration counts from the renewal"


def test_a_container_that_starts_again_in_its_pod_takes_up_its_lease(world: World):
    world.look(world.operator("pod_uid"))
    assert world.look(world.operator("pod_uid"), after=1) == [True]


@pytest.mark.parametrize("faults", [[], [ApiError(CONFLICT, "a renewal came in between")], [TimeoutError()] * 2])
def test_a_released_lease_is_taken_at_once(world: World, faults: list[Exception]):
    async def hold_and_end(lease: Lease, told: list[str]) -> None:
        task = asyncio.create_task(lease.hold(lambda: told.append("gained"), lambda: told.append("lost")))
        while not told:
            await asyncio.sleep(0)
        world.server.faults = list(faults)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    told: list[str] = []
    asyncio.run(hold_and_end(world.operator("first"), told))
    assert told == ["gained", "lost"]
    assert world.server.holder(path()) == ""
    assert world.look(world.operator("second")) == [True]


def test_a_holder_that_cannot_renew_stands_by_and_comes_back(world: World):
    told: list[str] = []

    async def go() -> None:
        lease = world.operator("first")
        lease.duration = 0.02  # real seconds between two renewals: 3 ms
        task = asyncio.create_task(lease.hold(lambda: told.append("gained"), lambda: told.append("lost")))

        async def until(word: str) -> None:
            async with asyncio.timeout(10):
                while not told or told[-1] != word:
                    world.now += 0.001
                    await asyncio.sleep(0.001)

        await until("gained")
        world.server.away = True
        await until("lost")
        world.server.away = False
        await until("gained")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())
    assert told == ["gained", "lost", "gained", "lost"]


@pytest.mark.parametrize(
    ("holder", "newcomer", "waits"),
    [
        pytest.param((), (), True, id="both of all namespaces"),
        pytest.param(("a", "b"), ("b", "c"), True, id="one namespace in common"),
        pytest.param((), ("a",), True, id="one of the namespaces of all"),
        pytest.param(("a",), (), True, id="all, where another has one"),
        pytest.param(("a",), ("b",), False, id="none in common"),
    ],
)
def test_another_installation_over_the_same_namespaces_says_so_and_waits(
    world: World, holder: tuple[str, ...], newcomer: tuple[str, ...], waits: bool
):
    first = world.operator("first", *holder, installation="farm")
    second = world.operator("second", *newcomer, installation="other")
    assert world.look(first, second) == [True, not waits]
    if not waits:
        assert second.waits_for == ""
        return
    assert "another installation (farm, first) holds the Lease" in second.waits_for
    assert world.look(first, second, after=2) == [True, False]
    assert world.look(second, after=15) == [True]
    assert second.waits_for == ""


def test_two_that_take_overlapping_leases_at_the_same_moment_do_not_both_write(world: World):
    everywhere, one = world.operator("everywhere"), world.operator("one", "a", installation="other")

    async def both() -> list[bool]:
        return list(await asyncio.gather(everywhere._renewed(), one._renewed()))

    assert not all(asyncio.run(both()))


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(None, id="no spec"),
        pytest.param({}, id="an empty spec"),
        pytest.param({"holderIdentity": None, "leaseDurationSeconds": None}, id="nulls"),
    ],
)
def test_a_lease_without_a_holder_is_free(world: World, spec: dict[str, Any] | None):
    made: dict[str, Any] = {"metadata": {"namespace": "a", "name": ONE, "resourceVersion": "0"}}
    world.server.objects[path("a", ONE)] = made | ({"spec": spec} if spec is not None else {"spec": {}})
    assert world.look(world.operator("first", "a")) == [True]


def test_an_operator_that_may_not_take_the_lease_says_so(world: World):
    lease = world.operator("first")
    world.server.away = True
    assert world.look(lease) == [False]
    assert lease.waits_for == "cannot take the Lease: TimeoutError; this operator does nothing until it can"
    world.server.away = False
    assert world.look(lease, after=1) == [True]


def test_a_lease_of_several_namespaces_is_taken_whole_or_not_at_all(world: World):
    world.look(world.operator("other", "b", installation="other"))
    assert world.look(world.operator("first", "a", "b")) == [False]
    assert path("a", ONE) not in world.server.objects or world.server.holder(path("a", ONE)) == ""
