"""`runtara images`."""

from typing import TYPE_CHECKING, cast

import click

from runtara_cli import options, words
from runtara_cli.command import command as made
from runtara_cli.output import Cell
from runtara_cli.session import Session

if TYPE_CHECKING:
    from runtara_management_sdk import Image


@made("images", short_help="List or delete images: deployed workflow code.")
@click.argument("prefix", default="")
@options.tenant
@click.option("--versions", is_flag=True, help="List every version, not only the newest of a name.")
@click.option("--delete", metavar="IMAGE_ID", help="Delete this image instead.")
async def command(
    session: Session, prefix: str, tenant: str | None, versions: bool, delete: str | None
) -> None:
    """
    List images whose name begins with PREFIX, newest first.

    An image that open instances use can't be deleted.
    """
    if delete is not None:
        await session.client.images.delete(delete, session.tenant(tenant))
        session.out.note(f"deleted {delete}")
        return
    found = [
        image
        async for image in session.client.images.list(
            tenant, all_versions=versions, name_prefix=prefix or None
        )
    ]

    def cells(record: object) -> list[Cell]:
        image = cast("Image", record)
        return [
            image.name,
            str(image.version or ""),
            image.tenant_id,
            str(image.runner),
            words.size(image.size_bytes),
            f"{words.ago(image.created_at, session.now)} ago",
            image.image_id,
            ("" if image.problem is None else words.first_line(image.problem), "red"),
        ]

    headings = ("NAME", "VERSION", "TENANT", "RUNNER", "SIZE", "MADE", "IMAGE ID", "PROBLEM")
    session.out.table(
        headings, found, cells, empty="There are no images: `runtara deploy FILE` makes one."
    )
