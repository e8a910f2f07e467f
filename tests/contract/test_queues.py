"""Queues: how many are launched in a period, by priority, and after a delay."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from tests.contract.launching import hold_lease, offer_all, put_image, start
from tests.contract.states import TENANT
from tests.support.clock import START

from runtara_domain.model.launches import Claims
from runtara_domain.model.limits import Limit, Scope
from runtara_domain.model.waits import Awaited
from runtara_domain.ports.persistence import Persistence

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


async def prepare(persistence: Persistence, *names: str, rate: int) -> str:
    """Put a queue with a rate, and instances into it; gives the image's id."""
    image = await put_image(persistence)
    await persistence.limits.put(Limit(Scope.QUEUE, TENANT, "mail", rate=rate, rate_period=MINUTE))
    for name in names:
        await start(persistence, name, image_id=image.image_id, queue="mail")
    for name in ("e", "f"):
        await hold_lease(persistence, name)
    return image.image_id


async def claim(persistence: Persistence, at: datetime, name: str = "e") -> Claims:
    return await persistence.launches.claim(offer_all(name), limit=9, at=at)


def names(claims: Claims) -> list[str]:
    return [each.instance_id for each in claims.assignments]


async def test_a_full_window_says_when_it_allows_a_start_again(persistence: Persistence) -> None:
    """Others are claimed meanwhile."""
    image_id = await prepare(persistence, "a", "b", rate=2)
    first = await claim(persistence, START)
    assert (names(first), first.again_at) == (["a", "b"], START + MINUTE)
    for name in ("c", "d", "e"):
        await start(persistence, name, image_id=image_id, queue="mail")
    await start(persistence, "other", image_id=image_id, queue="more")

    full = await claim(persistence, START + SECOND)
    assert (names(full), full.again_at) == (["other"], START + MINUTE)
    before = await claim(persistence, START + MINUTE - SECOND)
    assert (names(before), before.again_at) == ([], START + MINUTE)
    freed = await claim(persistence, START + MINUTE)
    assert (names(freed), freed.again_at) == (["c", "d"], START + 2 * MINUTE)
    assert names(await claim(persistence, START + 2 * MINUTE)) == ["e"]


async def test_a_place_in_a_window_frees_as_the_first_leaves_it(persistence: Persistence) -> None:
    image_id = await prepare(persistence, "a", rate=2)
    await claim(persistence, START)
    for name in ("b", "c", "d"):
        await start(persistence, name, image_id=image_id, queue="mail")

    second = await claim(persistence, START + 20 * SECOND)
    assert (names(second), second.again_at) == (["b"], START + MINUTE)
    third = await claim(persistence, START + MINUTE)
    assert (names(third), third.again_at) == (["c"], START + MINUTE + 20 * SECOND)


async def test_two_environments_share_a_window(
    persistence: Persistence, neighbour: Persistence
) -> None:
    await prepare(persistence, *"abcdefgh", rate=5)

    claims = await asyncio.gather(claim(persistence, START, "e"), claim(neighbour, START, "f"))

    assert sum(len(each.assignments) for each in claims) == 5
    assert [each.again_at for each in claims] == [START + MINUTE] * 2


async def test_a_queue_goes_by_priority_and_delay(persistence: Persistence) -> None:
    image_id = await prepare(persistence, rate=1)
    await start(persistence, "low", image_id=image_id, queue="mail")
    await start(persistence, "high", image_id=image_id, queue="mail", priority=1)
    later = START + 90 * SECOND
    await start(
        persistence, "late", image_id=image_id, queue="mail", priority=2, launch_after=later
    )

    assert names(await claim(persistence, START)) == ["high"]
    assert names(await claim(persistence, START + MINUTE)) == ["low"]
    assert names(await claim(persistence, START + 2 * MINUTE)) == ["late"]


async def test_a_view_shows_that_an_instance_waits_in_its_queue(persistence: Persistence) -> None:
    """Once it is due, the view has what fills the queue, and when its rate lets one start."""
    image = await put_image(persistence)
    await hold_lease(persistence, "e")
    await persistence.limits.put(Limit(Scope.QUEUE, TENANT, "narrow", 1))
    await persistence.limits.put(
        Limit(Scope.QUEUE, TENANT, "slow", None, None, rate=1, rate_period=10 * SECOND)
    )
    for queue in ("narrow", "slow"):
        await start(persistence, f"{queue} 1", image_id=image.image_id, queue=queue)
        assert len((await claim(persistence, START)).assignments) == 1
        await start(persistence, f"{queue} 2", image_id=image.image_id, queue=queue)
    await start(
        persistence,
        "delayed",
        image_id=image.image_id,
        queue="narrow",
        launch_after=START + SECOND,
    )

    async def awaits(instance_id: str, *, at: datetime = START) -> tuple[Awaited, ...]:
        view = await persistence.launches.view(instance_id, at=at)
        assert view is not None
        return view.awaits

    await start(persistence, "narrow 3", image_id=image.image_id, queue="narrow")
    await start(persistence, "narrow 4", image_id=image.image_id, queue="narrow", priority=1)
    await start(persistence, "narrow 5", workflow="other", queue="narrow", priority=1)
    await start(persistence, "elsewhere", workflow="other", priority=1)

    def narrow(number: int) -> Awaited:
        reason = f"1 of 1 slots are taken, and it is number {number} in line"
        return Awaited("queue", "narrow", START, None, reason)

    until = START + 10 * SECOND
    assert await awaits("narrow 1") == ()
    assert await awaits("narrow 4") == (narrow(1),)
    assert await awaits("narrow 5") == (narrow(2),)
    assert await awaits("narrow 2") == (narrow(3),)
    assert await awaits("narrow 3") == (narrow(4),)
    slow = "1 of 1 starts within 10 s, and it is number 1 in line"
    assert await awaits("slow 2") == (Awaited("queue", "slow", START, until, slow),)
    assert await awaits("slow 2", at=until) == ()
    assert await awaits("delayed") == ()
    assert await awaits("delayed", at=START + SECOND) == (replace(narrow(5), since=START + SECOND),)
