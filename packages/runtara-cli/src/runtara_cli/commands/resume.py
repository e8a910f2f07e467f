"""`runtara resume`."""

from typing import Any

from runtara_cli import bulk, options
from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("resume", short_help="Let paused, sleeping or blocked instances go on now.")
@options.many
async def command(
    session: Session, instance_ids: tuple[str, ...], is_agreed: bool, **values: Any
) -> int:
    """
    Let paused, sleeping, blocked or backing-off instances go on now.

    With filters instead of IDs, the command counts the instances that they choose, and asks. After
    a kill or Ctrl-C, the same command goes on with the rest within an hour.
    """

    async def resume(one: bulk.Planned) -> None:
        await session.client.instances.resume(one.instance_id)

    verb = bulk.Verb("resume", ("suspended",), resume)
    return await bulk.change(session, verb, instance_ids, values, is_agreed=is_agreed)
