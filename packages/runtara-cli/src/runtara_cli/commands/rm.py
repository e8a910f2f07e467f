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
    help="With IDs: delete paused instances, too, without their clean-up, after an export.",
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

    An open instance is refused: end it by `runtara cancel` or `runtara stop`. An instance with an
    open parent or child is refused, too. With filters instead of IDs, the command counts the ended
    instances that they choose, and asks. It passes over instances that have changed since it
    counted them. The printed number includes children. After a kill or Ctrl-C, the same command
    goes on with the rest within an hour.

    With --exported ID, the command also deletes an open instance that `runtara export` has left
    here: it must be paused, or pause when it wakes. Import it elsewhere first. None of its code
    runs.
    """
    if exported and not instance_ids:
        raise click.UsageError("--exported takes IDs: name the exported instances")
    verb = removing.verb(session, "rm", is_named=bool(instance_ids), also_suspended=exported)
    return await bulk.change(session, verb, instance_ids, values, is_agreed=is_agreed)
