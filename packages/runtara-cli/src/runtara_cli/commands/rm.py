"""`runtara rm`."""

from typing import Any

from runtara_cli import bulk, options
from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("rm", short_help="Delete instances that have ended.")
@options.many
async def command(
    session: Session, instance_ids: tuple[str, ...], is_agreed: bool, **values: Any
) -> int:
    """
    Delete instances that have ended, with their children, histories, checkpoints and logs.

    An open one is refused: `runtara cancel` or `runtara stop` ends it. So is one whose parent or
    child is open. With filters instead of IDs, all finished ones that they choose: they are counted
    first, and you are asked. One that has changed since then is passed over. The number that is
    printed counts children, too. The same command goes on with what a kill has broken off.
    """
    from runtara_sdk.errors import InstanceNotFound

    async def delete(instance_id: str) -> int:
        try:
            return await session.client.instances.delete(instance_id)
        except InstanceNotFound:
            # Of many that are chosen, one may have gone with its parent.
            if instance_ids:
                raise
            return 0

    verb = bulk.Verb(
        "rm",
        ("completed", "failed", "cancelled"),
        delete,
        also=" with all their children",
        looks=True,
    )
    return await bulk.change(session, verb, instance_ids, values, is_agreed=is_agreed)
