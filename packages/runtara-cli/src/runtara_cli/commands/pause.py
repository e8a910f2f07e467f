"""`runtara pause`."""

from typing import Any

from runtara_cli import bulk, options
from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("pause", short_help="Suspend instances until they are resumed.")
@options.many
async def command(
    session: Session, instance_ids: tuple[str, ...], is_agreed: bool, **values: Any
) -> int:
    """
    Ask instances to suspend at their next durable call, until `runtara resume`.

    With filters instead of IDs, the command counts the instances that they choose, and asks. After
    a kill or Ctrl-C, the same command goes on with the rest within an hour.
    """

    async def pause(one: bulk.Planned) -> None:
        await session.client.instances.pause(one.instance_id)

    verb = bulk.Verb("pause", ("pending", "running", "suspended"), pause)
    return await bulk.change(session, verb, instance_ids, values, is_agreed=is_agreed)
