"""`runtara serve`."""

import importlib
import sys
from typing import TYPE_CHECKING, Any

import click

from runtara_cli import access, codes, packing
from runtara_cli.lazy import SETTINGS

if TYPE_CHECKING:
    from runtara_sdk import Workflow


@click.command(
    "serve",
    short_help="Run a worker for the workflows of files or modules.",
    context_settings=SETTINGS,
)
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option(
    "--database-url",
    metavar="URL",
    help="The database, instead of the one that `runtara.serve` finds.",
)
@click.option("--tenant", metavar="NAME", help="The tenant, instead of RUNTARA_TENANT_ID.")
@click.option("--concurrency", type=click.IntRange(1), default=50, show_default=True)
def command(
    sources: tuple[str, ...], database_url: str | None, tenant: str | None, concurrency: int
) -> None:
    """
    Run instances of the workflows of each SOURCE, a .py file or a module, until SIGTERM.

    The core is found as `runtara.serve` finds it: RUNTARA_ENVIRONMENT_ADDR, RUNTARA_DATABASE_URL,
    or the database of the `.runtara/` in this folder or one above it. When the worker ends, open
    instances go on elsewhere. The exit code is 2 if a SOURCE can't be served.
    """
    import asyncio

    from runtara import serve
    from runtara_sdk.errors import RuntaraError

    workflows = [found for source in sources for found in _workflows(source)]
    named = access.nearest()
    of_dev = named[1].tenant_id if named is not None and database_url is None else None
    try:
        serving = serve(
            *workflows, concurrency=concurrency, where=database_url, tenant=tenant or of_dev
        )
        asyncio.run(serving)
    except RuntaraError as error:
        click.echo(f"Error: {error}", err=True)
        click.get_current_context().exit(codes.USAGE)


def _workflows(source: str) -> "list[Workflow[..., Any]]":
    from runtara_sdk import Workflow

    try:
        root, name = packing.located(source)
        sys.path.insert(0, str(root))
        module = importlib.import_module(name)
    except (packing.NotPackable, ImportError, SyntaxError) as error:
        raise click.UsageError(f"{source}: {error}") from error
    found = [
        one
        for one in vars(module).values()
        if isinstance(one, Workflow) and one.function.__module__ == name
    ]
    if not found:
        raise click.UsageError(f"{source} has no function decorated with @workflow")
    return found
