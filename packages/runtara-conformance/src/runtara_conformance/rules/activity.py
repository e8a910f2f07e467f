"""Activity: `last_activity_at`, which every sign of life moves."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import cast

from runtara_conformance.expect import eventually, same
from runtara_conformance.messages import EventType, InstanceEvent
from runtara_conformance.rule import Noun, Tier
from runtara_conformance.subject import Instance, Server

rule = Noun("activity", Tier.CORE, database=True)

# "Written within a second", and a margin for a busy machine.
WITHIN = 2.5
SETTLED = 1.5


async def last(server: Server, one: Instance) -> datetime | None:
    """Read the time of the last sign of life."""
    row = await server.database.instance(one.id)
    return cast(datetime | None, row["last_activity_at"])


async def is_moved_by(server: Server, one: Instance, act: Callable[[], Awaitable[object]]) -> None:
    """Expect the act to move it in time."""
    # Earlier signs of life must be written first, or they would count as this act's.
    await asyncio.sleep(SETTLED)
    before = await last(server, one)
    await act()

    async def moved() -> bool | None:
        now = await last(server, one)
        return True if now is not None and (before is None or now > before) else None

    await eventually(WITHIN, "last_activity_at moved", moved)


async def is_left_by(server: Server, one: Instance, act: Callable[[], Awaitable[object]]) -> None:
    """Expect the act not to move it."""
    await asyncio.sleep(SETTLED)
    before = await last(server, one)
    await act()
    await asyncio.sleep(SETTLED)
    same("last_activity_at", await last(server, one), before)


@rule("heartbeat: moves `last_activity_at` within a second")
async def a_heartbeat_shows_life(server: Server) -> None:
    async with server.instance() as one:
        await is_moved_by(server, one, lambda: one.event(EventType.HEARTBEAT))


@rule("moved by whatever shows a live process: polls")
async def a_poll_shows_life(server: Server) -> None:
    async with server.instance() as one:
        await is_moved_by(server, one, one.poll)


@rule("moved by whatever shows a live process: reads")
async def a_read_shows_life(server: Server) -> None:
    async with server.instance() as one:
        await is_moved_by(server, one, lambda: one.get("a"))


@rule("moved by whatever shows a live process: saved and found checkpoints")
async def a_checkpoint_shows_life(server: Server) -> None:
    async with server.instance() as one:
        await is_moved_by(server, one, lambda: one.checkpoint("a"))
        await is_moved_by(server, one, lambda: one.checkpoint("a"))


@rule("moved by whatever shows a live process: custom events")
async def an_event_shows_life(server: Server) -> None:
    async with server.instance() as one:
        await is_moved_by(server, one, lambda: one.event(EventType.CUSTOM, b"x", "s"))


@rule("never for a finished one")
async def a_finished_instance_shows_none(server: Server) -> None:
    async with server.instance() as one:
        await one.complete()

        async def act() -> None:
            await one.get("a")
            await one.poll()
            await one.ask(InstanceEvent(one.id, EventType.HEARTBEAT))
            await one.event(EventType.CUSTOM)

        await is_left_by(server, one, act)


@rule("never for a superseded one")
async def a_superseded_run_shows_none(server: Server) -> None:
    async with server.instance() as first, server.connect() as connection:
        await first.on(connection).register()

        async def act() -> None:
            await first.get("a")
            await first.ask(InstanceEvent(first.id, EventType.HEARTBEAT))

        await is_left_by(server, first, act)
