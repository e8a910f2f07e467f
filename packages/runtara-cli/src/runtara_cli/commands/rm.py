"""`runtara rm`."""

from typing import Any

import click

from runtara_cli import bulk, options, removing
from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("rm", short_help="Delete instances that have ended.")
@options.many
@click.option(
    "--exported",
    is_flag=True,
    help="With IDs: also suspended ones, without their clean-up, as they go on elsewhere.",
)
async def command(
    session: Session,
    instance_ids: tuple[str, ...],
    is_agreed: bool,
    exported: bool,
    **values: Any,
) -> int:
    """
    Delete instances that have ended, with their children, histories, checkpoints and logs.

    An open one is refused: `runtara cancel` or `runtara stop` ends it. So is one whose parent or
    child is open. With filters instead of IDs, all finished ones that they choose: they are counted
    first, and you are asked. One that has changed since then is passed over. The number that is
    printed counts children, too. The same command goes on with what a kill has broken off.

    With --exported ID, what `runtara export` has left of an open instance goes as well, once it is
    imported elsewhere: nothing of its code is run.
    """
    if exported and not instance_ids:
        raise click.UsageError("--exported takes IDs: name what was exported")
    verb = removing.verb(session, "rm", is_named=bool(instance_ids), also_suspended=exported)
    return await bulk.change(session, verb, instance_ids, values, is_agreed=is_agreed)
