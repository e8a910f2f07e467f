"""`runtara queues`."""

from datetime import timedelta
from typing import TYPE_CHECKING, cast

import click

from runtara_cli import options, words
from runtara_cli.command import command as made
from runtara_cli.output import Cell
from runtara_cli.session import Session

if TYPE_CHECKING:
    from runtara_management_sdk import Queue


@made("queues", short_help="List, make or delete queues.")
@options.tenant
@click.option("--put", metavar="NAME", help="Make this queue, or replace its bounds.")
@click.option(
    "--delete", metavar="NAME", help="Delete this queue; refused while open instances are in it."
)
@click.option(
    "--concurrency", type=click.IntRange(1), help="With --put: instances at once, everywhere."
)
@click.option(
    "--per-worker", type=click.IntRange(1), help="With --put: instances at once, on each worker."
)
@click.option("--rate", type=click.IntRange(1), help="With --put: starts in each --period.")
@click.option("--period", type=options.Span(), help="The period of --rate; one second by default.")
async def command(
    session: Session,
    tenant: str | None,
    put: str | None,
    delete: str | None,
    concurrency: int | None,
    per_worker: int | None,
    rate: int | None,
    period: timedelta | None,
) -> None:
    """List queues with their numbers of waiting and running instances."""
    from runtara_management_sdk import Queue

    queues = session.client.queues
    if delete is not None:
        await queues.delete(session.tenant(tenant), delete)
    if put is not None:
        queue = Queue(
            tenant_id=session.tenant(tenant),
            name=put,
            concurrency=concurrency,
            concurrency_per_worker=per_worker,
            rate=rate,
            rate_period=(period or timedelta(seconds=1)) if rate else None,
        )
        await queues.put(queue)
    elif concurrency or per_worker or rate or period:
        raise click.UsageError("--concurrency, --per-worker, --rate and --period go with --put")
    headings = ("NAME", "TENANT", "WAITS", "RUNS", "PER WORKER", "RATE", "OLDEST WAITS")

    def cells(record: object) -> list[Cell]:
        one = cast("Queue", record)
        runs = f"{one.running}/{one.concurrency}" if one.concurrency else str(one.running)
        rate = f"{one.rate} in {words.span(one.rate_period)}" if one.rate_period else ""
        return [
            *(one.name, one.tenant_id, str(one.waiting), runs),
            *(str(one.concurrency_per_worker or ""), rate),
            words.ago(one.oldest_waiting_at, session.now),
        ]

    session.out.table(headings, await queues.list(tenant), cells, empty="There are no queues.")
