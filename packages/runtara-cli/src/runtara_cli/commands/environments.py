"""`runtara environments`."""

from typing import TYPE_CHECKING, cast

import click

from runtara_cli import words
from runtara_cli.command import command as made
from runtara_cli.output import Cell
from runtara_cli.session import Session

if TYPE_CHECKING:
    from runtara_management_sdk import Environment


@made("environments", short_help="List environments and workers, or drain one.")
@click.option(
    "--drain", metavar="ENVIRONMENT_ID", help="Let this environment claim no more instances."
)
@click.option(
    "--undrain", metavar="ENVIRONMENT_ID", help="Let this environment claim instances again."
)
async def command(session: Session, drain: str | None, undrain: str | None) -> None:
    """
    List the environments and workers of the last day.

    A drained one claims no instances, and asks its processes to leave at their next suspension.
    """
    environments = session.client.environments
    if drain is not None:
        await environments.drain(drain)
    if undrain is not None:
        await environments.drain(undrain, drain=False)

    def cells(record: object) -> list[Cell]:
        one = cast("Environment", record)
        is_there = one.lease_until > session.now
        state = "draining" if one.is_draining else "serves"
        return [
            one.environment_id,
            one.kind,
            one.machine,
            (state, "green") if is_there else ("gone", "red"),
            f"{one.open_launches}/{one.capacity}",
            words.ago(one.started_at, session.now) if is_there else "",
            one.version,
            ", ".join(one.workflows),
        ]

    headings = ("ID", "KIND", "MACHINE", "STATE", "RUNS", "UP", "VERSION", "WORKFLOWS")
    session.out.table(
        headings, await environments.list(), cells, empty="There are no environments."
    )
