"""`runtara top`."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from runtara_cli import words
from runtara_cli.advice import next_of
from runtara_cli.command import command as made
from runtara_cli.session import Session

if TYPE_CHECKING:
    from runtara_management_sdk import InstanceSummary

_OPEN = ("running", "pending", "suspended")
_CLEAR = "\x1b[H\x1b[2J"


@made("top", short_help="Watch environments and open instances.")
@click.option(
    "--every",
    type=click.FloatRange(0.1),
    default=2.0,
    show_default=True,
    help="The seconds between two looks.",
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="The most instances to show.",
)
async def command(session: Session, every: float, limit: int) -> None:
    """Show environments, counts and open instances again and again; in a pipe, once."""
    import asyncio

    while True:
        lines = await _seen(session, limit)
        click.echo((_CLEAR if session.out.is_terminal else "") + "\n".join(lines))
        if not session.out.is_terminal:
            return
        await asyncio.sleep(every)


async def _seen(session: Session, limit: int) -> list[str]:
    from runtara_management_sdk import InstanceFilter, Status

    now = datetime.now(UTC)
    environments = [
        one for one in await session.client.environments.list() if one.lease_until > now
    ]
    counts = {
        status: await session.client.instances.count(InstanceFilter(status=Status(status)))
        for status in (*_OPEN, "failed", "completed")
    }
    lines = [
        f"{words.clock(now)}  " + "  ".join(f"{count:,} {name}" for name, count in counts.items()),
        *(f"  {one.environment_id}  {one.open_launches}/{one.capacity}" for one in environments),
        "",
    ]
    for status in _OPEN:
        async for one in session.client.instances.list(InstanceFilter(status=Status(status))):
            if len(lines) >= limit + len(environments) + 2:
                break
            lines.append(_line(one, now))
    return lines


def _line(one: "InstanceSummary", now: datetime) -> str:
    status = click.style(f"{words.status(one):<36.60}", fg=words.colour(one))
    since = words.ago(words.since(one), now)
    name = f"{one.instance_id:<36.60}  {one.workflow or '':<16.30}"
    return f"{name}  {status}  {since:>9}  {next_of(one, now)}".rstrip()
