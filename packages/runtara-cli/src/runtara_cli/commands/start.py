"""`runtara start`."""

from datetime import timedelta

import click

from runtara_cli import codes, following, options
from runtara_cli.command import command as made
from runtara_cli.serving import found
from runtara_cli.session import Session


@made("start", short_help="Start an instance of a deployed workflow.")
@click.argument("name")
@click.argument("input", type=options.Json(), required=False, metavar="[JSON]")
@options.tenant
@click.option(
    "--id",
    "instance_id",
    metavar="ID",
    help="The instance's id; without it, the command makes one.",
)
@click.option("--wait", is_flag=True, help="Wait for its end and print its result.")
@click.option("--follow", is_flag=True, help="As --wait, and show the output of its processes.")
@click.option(
    "--timeout", "limit", type=options.Span(), help="The longest time of each of its processes."
)
@click.option("--delay", type=options.Span(), help="Start it after this time.")
@click.option("--priority", type=int, help="Higher priorities are launched first; 0 by default.")
@click.option("--queue", metavar="NAME", help="The queue whose limits it obeys.")
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="A variable of its processes.")
async def command(
    session: Session,
    name: str,
    input: bytes | None,
    tenant: str | None,
    instance_id: str | None,
    wait: bool,
    follow: bool,
    limit: timedelta | None,
    delay: timedelta | None,
    priority: int | None,
    queue: str | None,
    env: tuple[str, ...],
) -> int:
    """
    Start an instance of NAME: an image, its id, or a workflow that a worker serves.

    JSON is its input: '"order-17"', @FILE, or - for standard input. The start is durable when the
    id is printed. A second start with the same id, NAME and input makes no second instance.
    """
    tenant_id = session.tenant(tenant)
    image_id, workflow = await _found(session, tenant_id, name)
    started = await session.client.instances.start(
        tenant_id,
        image_id=image_id,
        workflow=workflow,
        instance_id=instance_id,
        input=input or b"",
        launch_timeout=limit,
        env=_variables(env),
        priority=priority,
        delay=delay,
        queue=queue,
    )
    if not started.created:
        session.out.note(f"{started.instance_id} was started before, with the same input")
    if not (wait or follow):
        session.out.result(started, lambda: started.instance_id)
        return codes.DONE
    session.out.note(f"started {started.instance_id}")
    shown = b""
    if follow:
        with following.going_on(session, started.instance_id):
            shown = await following.logs(session, started.instance_id)
    return await following.end(session, started.instance_id, shown=shown)


async def _found(session: Session, tenant_id: str, name: str) -> tuple[str | None, str | None]:
    """Return the image of this name or id, or else the workflow that a worker serves."""
    serving = await found(session, tenant_id, name)
    if serving.image is not None:
        return serving.image.image_id, None
    if serving.has_worker:
        return None, name
    raise click.UsageError(
        f"tenant {tenant_id!r} has no image or worker for {name!r}. {serving.advice}"
    )


def _variables(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [each.partition("=") for each in given]
    for name, sign, _ in pairs:
        if not sign or not name:
            raise click.UsageError(f"--env takes NAME=VALUE, got {name!r}")
    return {name: value for name, _, value in pairs}
