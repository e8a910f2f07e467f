"""`runtara fork`."""

import click

from runtara_cli.command import command as made
from runtara_cli.session import Session


@made("fork", short_help="Start a copy of an instance from a point of its history.")
@click.argument("instance_id", metavar="ID")
@click.option(
    "--id", "new_id", metavar="ID", help="The copy's id; without it, the command makes one."
)
@click.option("--through", metavar="CHECKPOINT", help="The last checkpoint that is copied.")
@click.option("--before", metavar="CHECKPOINT", help="The first checkpoint that is not copied.")
@click.option(
    "--image", metavar="IMAGE_ID", help="The image that the copy runs, instead of the same image."
)
async def command(
    session: Session,
    instance_id: str,
    new_id: str | None,
    through: str | None,
    before: str | None,
    image: str | None,
) -> None:
    """
    Start an instance with the same input and a copy of the history, and print the copy's id.

    Without --through and --before the whole history is copied. `runtara show ID` lists checkpoints.
    """
    if through is not None and before is not None:
        raise click.UsageError("takes --through or --before, not both")
    forked = await session.client.instances.fork(
        instance_id, new_instance_id=new_id, through=through, before=before, image_id=image
    )
    session.out.result(forked, lambda: forked.instance_id)
    repeated = ", ".join(forked.repeated_checkpoint_ids)
    if repeated and not session.out.is_json:
        session.out.note(f"made again by the copy: {repeated}")
