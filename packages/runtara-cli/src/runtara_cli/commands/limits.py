"""`runtara limits`."""

from typing import TYPE_CHECKING, cast

import click

from runtara_cli import options
from runtara_cli.command import command as made
from runtara_cli.output import Cell
from runtara_cli.session import Session

if TYPE_CHECKING:
    from runtara_management_sdk import Limit


@made("limits", short_help="List or set how many processes a tenant or image may have at once.")
@options.tenant
@click.option("--image", metavar="NAME", help="The image's limit, instead of the tenant's.")
@click.option("--set", "most", type=click.IntRange(1), metavar="N", help="The most open launches.")
@click.option("--clear", is_flag=True, help="Remove the limit.")
async def command(
    session: Session, tenant: str | None, image: str | None, most: int | None, clear: bool
) -> None:
    """List limits with their open launches, or set the limit of a tenant or an image name."""
    from runtara_management_sdk import Scope

    queues = session.client.queues
    if most is not None or clear:
        if most is not None and clear:
            raise click.UsageError("takes --set or --clear, not both")
        scope = Scope.TENANT if image is None else Scope.IMAGE_NAME
        await queues.limit(scope, session.tenant(tenant), image or "", max_concurrent=most)

    def cells(record: object) -> list[Cell]:
        one = cast("Limit", record)
        return [str(one.scope), one.tenant_id, one.name, f"{one.running}/{one.max_concurrent}"]

    headings = ("LIMITED", "TENANT", "NAME", "RUNS")
    session.out.table(headings, await queues.limits(tenant), cells, empty="There are no limits.")
