"""A tick of many runs lets the event loop go on in between, and what it looked at stays as it was."""

import asyncio

import pytest

from clipfarm.cluster.api.cache import Cache
from clipfarm.cluster.api.store import Store, watchers
from clipfarm.cluster.process.operator import Operator
from clipfarm.cluster.process.slices import SLICE_SECONDS, Slices, StoppedLeadingError
from clipfarm.manifests.common import Images


class Clock:
    """A clock that a test sets; processor time is half of it."""

    def __init__(self) -> None:
        self.now = 100.0

    def slices(self, goes_on=lambda: True) -> Slices:
        return Slices(goes_on, lambda: self.now, lambda: self.now / 2)


def test_the_event_loop_goes_on_after_each_slice_and_not_before():
    async def play() -> list[str]:
        clock, done = Clock(), []
        slices = clock.slices()

        async def work() -> None:
            done.append("another task")

        other = asyncio.create_task(work())
        await slices.pause()
        done.append("a short slice")
        clock.now += 2 * SLICE_SECONDS
        await slices.pause()
        done.append("a long slice")
        await other
        return done

    assert asyncio.run(play()) == ["a short slice", "another task", "a long slice"]


def test_what_others_do_in_between_is_no_processor_time_of_the_tick():
    async def play() -> float:
        clock = Clock()
        slices = clock.slices()

        async def other() -> None:
            clock.now += 50.0

        working = asyncio.create_task(other())
        clock.now += 1.0
        await slices.pause()
        clock.now += 2.0
        await working
        return slices.spent

    assert asyncio.run(play()) == pytest.approx((1.0 + 2.0) / 2)


def test_a_tick_ends_where_it_is_once_another_operator_acts():
    async def play() -> None:
        clock = Clock()
        slices = clock.slices(lambda: False)
        clock.now += 2 * SLICE_SECONDS
        await slices.pause()

    with pytest.raises(StoppedLeadingError):
        asyncio.run(play())


@pytest.mark.parametrize("again", [False, True], ids=["it stands by", "it stands by, and leads again"])
def test_an_operator_that_loses_its_lease_within_a_tick_acts_no_more_in_it(again):
    async def play() -> None:
        operator = Operator(None, Images())
        operator._lead()
        acted = []

        async def tick(due, pause) -> None:
            assert not operator.store.may_change.is_set()
            operator._stand_by()
            if again:
                operator._lead()
            await asyncio.sleep(SLICE_SECONDS)
            await pause()
            acted.append(due)

        operator._ticker.tick = tick
        await operator._tick()
        assert not acted
        assert operator.store.may_change.is_set()

    asyncio.run(play())


class Server:
    """Lists one object, then tells of another one, and that the first is gone."""

    async def pages(self, *_: object, **__: object):
        yield [{"metadata": {"uid": "a"}}], "1"

    async def watch(self, *_: object, **__: object):
        for _ in range(5):
            await asyncio.sleep(0)
        yield "ADDED", {"metadata": {"uid": "b", "resourceVersion": "2"}}
        yield "DELETED", {"metadata": {"uid": "a", "resourceVersion": "3"}}
        await asyncio.Event().wait()


def test_watches_wait_while_a_tick_goes_on():
    async def play() -> None:
        store = Store()
        watcher = watchers(store, (), lambda _: None)[0]
        watcher.view, watcher.cache = lambda item: item["metadata"]["uid"], Cache(lambda _: None)

        async def after(tick_ends: bool) -> list[str]:
            if tick_ends:
                store.may_change.set()
            for _ in range(50):
                await asyncio.sleep(0)
                if tick_ends and len(list(watcher.cache.all())):
                    store.may_change.clear()
            return list(watcher.cache.all())

        store.may_change.clear()
        following = asyncio.create_task(watcher.run(Server()))
        assert await after(tick_ends=False) == []
        assert await after(tick_ends=True) == ["a"], "the list came, and what changes after it waits for the next tick"
        store.may_change.set()
        assert await after(tick_ends=False) == ["b"]
        following.cancel()

    asyncio.run(play())
