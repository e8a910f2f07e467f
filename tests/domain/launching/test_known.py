"""What a launcher knows of launchable instances when answers come in any order."""

import asyncio
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest
from tests.contract.launching import put_image
from tests.domain.launching.world import TENANT, World

from runtara_domain.launching.known import Known
from runtara_domain.model.environments import Renewal
from runtara_domain.model.launches import Assignment, Claims, InstanceStart

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOON, LATE = NOW + timedelta(seconds=2), NOW + timedelta(seconds=9)
UPTIME = timedelta(hours=1)


def left_to_workers() -> Known:
    """Make the knowledge of a launcher that has claimed, and then left an event to workers."""
    known = Known()
    known.begin()
    known.note(Claims(), 9)
    known.leave(NOW)
    return known


def renewal(next_at: datetime | None, *, is_draining: bool = False) -> Renewal:
    return Renewal(
        until=NOW,
        now=NOW,
        is_draining=is_draining,
        next_launchable_at=next_at,
    )


def test_a_workers_full_claim_leaves_the_moment_of_the_launchers_claim() -> None:
    """The claim does not give the next moment, which the event may have been about."""
    known = left_to_workers()

    known.note_of_worker(Claims((Mock(spec=Assignment),)), 1, UPTIME, NOW, is_newest=True)

    assert known.moments() == [NOW + timedelta(milliseconds=100)]


def test_a_workers_claim_that_gave_all_there_was_clears_that_moment() -> None:
    known = left_to_workers()

    known.note_of_worker(
        Claims((Mock(spec=Assignment),), next_at=SOON), 2, UPTIME, NOW, is_newest=True
    )

    assert (known.moments(), known.is_wanted) == ([SOON], False)


def test_a_workers_claim_before_the_newest_event_has_the_next_one_waited_for() -> None:
    """It shows all that came before it, and its worker claims again at once."""
    known, later = left_to_workers(), NOW + timedelta(milliseconds=90)

    known.note_of_worker(Claims(), 9, UPTIME, later, is_newest=False)
    assert known.moments() == [later + timedelta(milliseconds=100)]
    known.note_of_worker(Claims(has_others=True), 9, UPTIME, later, is_newest=False)

    assert known.is_wanted


@pytest.mark.parametrize("late", [None, LATE])
def test_an_older_answer_does_not_erase_an_earlier_moment(late: datetime | None) -> None:
    known = left_to_workers()
    known.begin()
    known.note_of_worker(Claims(next_at=SOON), 9, UPTIME, NOW, is_newest=True)

    known.note(Claims(next_at=late), 9)
    known.note_renewal(renewal(late))

    assert known.moments() == [SOON]


def test_a_renewal_brings_an_earlier_moment_and_a_drain_clears_it() -> None:
    known = left_to_workers()
    known.begin()
    known.note(Claims(next_at=LATE), 9)

    known.note_renewal(renewal(SOON))
    assert known.moments() == [SOON]
    known.note_renewal(renewal(SOON, is_draining=True))
    assert known.moments() == []


def test_the_next_claim_of_the_launcher_brings_the_moments_anew() -> None:
    known = left_to_workers()
    known.note_of_worker(Claims(next_at=SOON), 9, UPTIME, NOW, is_newest=True)

    known.begin()
    known.note(Claims(next_at=LATE, again_at=SOON), 9)

    assert known.moments() == [LATE, SOON]


@pytest.mark.parametrize("is_full", [True, False])
async def test_a_delayed_start_is_launched_in_time_whatever_a_worker_claims(
    world: World, *, is_full: bool
) -> None:
    """A full claim leaves it to the launcher; another one may be answered before an older one."""
    claim = world.persistence.launches.claim
    claiming, may_end = asyncio.Event(), asyncio.Event()

    async def slow(*args: object, **more: object) -> Claims:
        found = await claim(*args, **more)  # type: ignore[arg-type]  # Passed on.
        claiming.set()
        await may_end.wait()
        return found

    watch = world.persistence.watch
    world.persistence.watch = lambda changed, **_: watch(changed)  # type: ignore[method-assign]  # Silent.
    image = await put_image(world.persistence, tenant_id=TENANT)
    async with world.launcher() as launcher:
        await world.pass_time(2)
        if not is_full:
            world.persistence.launches.claim = slow  # type: ignore[method-assign]  # Slowed down.
            launcher.recheck()
            await claiming.wait()
        due = world.clock.now() + timedelta(seconds=2)
        delayed = InstanceStart(
            instance_id="i", tenant_id=TENANT, image_id=image.image_id, launch_after=due
        )
        await world.persistence.launches.start(delayed, at=world.clock.now())
        with launcher.launchable.calling(lambda: None):
            launcher.take(None)
            answer = Claims((Mock(spec=Assignment),)) if is_full else Claims(next_at=due)
            launcher.answered(answer, launcher.launchable.count, 1)
        may_end.set()
        await world.pass_time(1.9, step=0.1)
        assert world.placement().living() == []
        await world.pass_time(0.2, step=0.1)

        assert world.placement().living() == ["i"]
