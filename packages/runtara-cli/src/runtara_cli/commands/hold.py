"""`runtara hold`."""

from typing import TYPE_CHECKING, cast

import click

from runtara_cli import words
from runtara_cli.command import command as made
from runtara_cli.output import Cell
from runtara_cli.session import Session

if TYPE_CHECKING:
    from runtara_management_sdk import Hold, Scope


@made("hold", short_help="Launch nothing of a tenant, image or workflow; list and release holds.")
@click.option("--image", metavar="NAME", help="Hold the image of this name.")
@click.option("--workflow", metavar="NAME", help="Hold this workflow.")
@click.option(
    "--tenant", metavar="NAME", help="Hold this tenant, or only the named image or workflow of it."
)
@click.option("--reason", default="", help="The reason, shown with the hold.")
@click.option("--release", is_flag=True, help="Remove the hold instead.")
async def command(
    session: Session,
    image: str | None,
    workflow: str | None,
    tenant: str | None,
    reason: str,
    release: bool,
) -> None:
    """
    Hold a tenant, image or workflow: its instances are not launched. Without one, list the holds.

    Running instances go on until they suspend.
    """
    environments = session.client.environments
    if image is not None or workflow is not None or tenant is not None:
        scope, name = _meant(image, workflow)
        if release:
            await environments.release(scope, tenant or "", name)
        else:
            await environments.hold(scope, tenant or "", name, reason=reason)
    elif release:
        raise click.UsageError("--release: name what is held by --image, --workflow or --tenant")

    def cells(record: object) -> list[Cell]:
        one = cast("Hold", record)
        return [
            str(one.scope),
            one.name,
            one.tenant_id or "all",
            words.ago(one.created_at, session.now),
            one.reason,
        ]

    headings = ("HELD", "NAME", "TENANT", "SINCE", "REASON")
    session.out.table(headings, await environments.holds(), cells, empty="Nothing is held.")


def _meant(image: str | None, workflow: str | None) -> "tuple[Scope, str]":
    from runtara_management_sdk import Scope

    if image is not None and workflow is not None:
        raise click.UsageError("takes --image or --workflow, not both")
    if image is not None:
        return Scope.IMAGE_NAME, image
    return (Scope.TENANT, "") if workflow is None else (Scope.WORKFLOW, workflow)
