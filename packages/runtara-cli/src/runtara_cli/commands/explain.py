"""`runtara explain`."""

import click

from runtara_cli import codes
from runtara_cli.command import command as made
from runtara_cli.explaining import Explanation, Surroundings, explain, image_for
from runtara_cli.session import Session


@made("explain", short_help="Say why an instance does not move, and what helps.")
@click.argument("instance_id", metavar="ID")
async def command(session: Session, instance_id: str) -> int:
    """
    Say in one sentence why an instance does not move, which party must act, and what helps.

    The exit code is 1 if nothing will move the instance by itself.
    """
    from runtara_sdk.errors import InstanceNotFound

    found = await session.client.instances.get(instance_id)
    if found is None:
        raise InstanceNotFound(f"Instance {instance_id!r} not found")
    launches = session.client.launches.list(instance_id=instance_id, open_only=True)
    around = Surroundings(
        launch=next(iter([one async for one in launches]), None),
        environments=await session.client.environments.list(),
        image=await image_for(session.client, found),
        now=session.now,
    )
    explained = explain(found, around)
    session.out.result(explained, lambda: _text(explained))
    return codes.UNSUCCESSFUL if explained.is_stuck else codes.DONE


def _text(explained: Explanation) -> str:
    end = "" if explained.sentence.endswith((".", "…")) else "."
    lines = [
        f"{explained.instance_id}: {explained.sentence}{end}",
        f"Next to act: {explained.actor}.",
    ]
    if explained.command:
        lines.append(f"Helps: {explained.command}")
    return "\n".join(lines)
