"""`runtara prune`."""

import sys
from dataclasses import replace
from datetime import datetime
from typing import Any

import click

from runtara_cli import bulk, codes, options, removing
from runtara_cli.command import command as made
from runtara_cli.output import is_terminal
from runtara_cli.session import Session


@made("prune", short_help="Delete instances that finished long ago.")
@click.option(
    "--before",
    type=options.Moment(),
    required=True,
    help="Instances that ended before this time, or longer ago than this, as 30d.",
)
@options.filters_of_finished
@click.option("--yes", "is_agreed", is_flag=True, help="Don't ask.")
async def command(session: Session, before: datetime, is_agreed: bool, **values: Any) -> int:
    """
    Delete finished instances of all tenants, with their checkpoints, events and launches.

    Instances with an open parent stay. Environments prune by themselves after
    RUNTARA_RETENTION_DAYS. With filters, the command does as `runtara rm` with the same filters:
    children go with their parents, and after a kill or Ctrl-C the same command goes on with the
    rest within an hour. It passes over instances with a child, or a child's child, that ended after
    the time of --before.
    """
    if any(values.values()):
        late = ", or with a child that ended later"
        verb = replace(removing.verb(session, "prune", is_named=False), passed=late)
        chosen = {**values, "before": before}
        return await bulk.change(session, verb, (), chosen, is_agreed=is_agreed)
    await _all(session, before, is_agreed=is_agreed)
    return codes.DONE


async def _all(session: Session, before: datetime, *, is_agreed: bool) -> None:
    from runtara_management_sdk import InstanceFilter

    count = await session.client.instances.count(InstanceFilter(finished_before=before))
    session.out.note(f"prune: {count:,} instances finished before {before:%Y-%m-%d %H:%M:%S} UTC")
    if count == 0:
        return
    if not is_agreed:
        if not is_terminal(sys.stdin):
            raise click.UsageError("there is no terminal to ask on: pass --yes to agree")
        if not click.confirm("Delete them?", err=True):
            return
    deleted = await session.client.instances.prune(before)
    session.out.result({"deleted": deleted}, lambda: str(deleted))
