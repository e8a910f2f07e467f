"""An instance with its checkpoints, events and launches."""

import json
import zlib
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from runtara_domain.record import record

if TYPE_CHECKING:
    from runtara_management_sdk import Event, Instance, Launch, ManagementClient

T = TypeVar("T")

_LARGEST = 64 * 1024
"""Bytes of a checkpoint that is read."""


@record
class Recorded:
    """
    A checkpoint. record: the object that our SDK saved; None if it is large or another program's.
    """

    checkpoint_id: str
    created_at: datetime
    size_bytes: int
    record: dict[str, Any] | None = None


@record
class History:
    """An instance and its newest records; is_cut: whether there are older ones."""

    instance: "Instance"
    launches: tuple["Launch", ...]
    checkpoints: tuple[Recorded, ...]
    events: tuple["Event", ...]
    is_cut: bool


async def read(client: "ManagementClient", instance: "Instance", limit: int) -> History:
    """Read the newest of each kind, `limit` at most."""
    instance_id = instance.instance_id
    launches, more_launches = await _first(client.launches.list(instance_id=instance_id), limit)
    saved, more_saved = await _first(
        client.instances.checkpoints(instance_id, largest_state=_LARGEST), limit
    )
    events, more_events = await _first(client.instances.events(instance_id), limit)
    recorded = tuple(
        Recorded(one.checkpoint_id, one.created_at, one.size_bytes, _record(one.state))
        for one in saved
    )
    is_cut = more_launches or more_saved or more_events
    return History(instance, tuple(launches), recorded, tuple(events), is_cut)


async def _first(found: AsyncIterator[T], limit: int) -> tuple[list[T], bool]:
    taken: list[T] = []
    async for one in found:
        if len(taken) == limit:
            return taken, True
        taken.append(one)
    return taken, False


def _record(state: bytes | None) -> dict[str, Any] | None:
    """Read a state that our SDK saved; None for another program's."""
    if state is None:
        return None
    try:
        text = zlib.decompress(state[5:]) if state.startswith(b"zlib:") else state
        found = json.loads(text)
    except (ValueError, RecursionError, zlib.error):
        return None
    return found if isinstance(found, dict) and "kind" in found else None
