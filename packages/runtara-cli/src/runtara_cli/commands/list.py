"""`runtara list`."""

from typing import TYPE_CHECKING, Any, cast

import click

from runtara_cli import options, words
from runtara_cli.advice import next_of
from runtara_cli.command import command as made
from runtara_cli.output import Cell
from runtara_cli.session import Session

if TYPE_CHECKING:
    from runtara_management_sdk import InstanceSummary

_COUNTED = 10_000
"""Instances that are counted for a note: to count a million takes longer than to list fifty."""


@made("list", short_help="List instances with what they wait for.")
@options.filters
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    help="The most instances to list; 0: all.",
)
async def command(session: Session, limit: int, **values: Any) -> None:
    """List instances, newest first."""
    which = options.chosen(values)
    found: list[InstanceSummary] = []
    async for summary in session.client.instances.list(which):
        if limit and len(found) == limit:
            total = await session.client.instances.count(which, limit=_COUNTED + 1)
            said = str(total) if total <= _COUNTED else f"more than {_COUNTED}"
            session.out.note(f"{limit} of {said} are shown: --limit 0 shows all")
            break
        found.append(summary)

    def cells(record: object) -> list[Cell]:
        one = cast("InstanceSummary", record)
        return [
            one.instance_id,
            one.workflow or "",
            (words.status(one), words.colour(one)),
            words.ago(words.since(one), session.now),
            next_of(one, session.now),
        ]

    session.out.table(
        ("ID", "WORKFLOW", "STATUS", "SINCE", "NEXT"),
        found,
        cells,
        empty="There are no such instances: `runtara start NAME` starts one.",
    )
