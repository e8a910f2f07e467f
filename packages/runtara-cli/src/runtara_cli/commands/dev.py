"""`runtara dev`."""

import click

from runtara_cli.lazy import SETTINGS


@click.command(
    "dev",
    short_help="Run a core, an environment and the workflows of files, to try things.",
    context_settings=SETTINGS,
)
@click.argument("sources", metavar="[SOURCE]...", nargs=-1)
@click.option(
    "--database-url", metavar="URL", help="This database instead of SQLite; PostgreSQL, say."
)
@click.option("-v", "--verbose", is_flag=True, help="Also what the servers log.")
def command(sources: tuple[str, ...], database_url: str | None, verbose: bool) -> None:
    """
    Run all that workflows need, in `.runtara/` of this folder, on 127.0.0.1 only.

    Each SOURCE is a .py file, a folder or a module, the current folder if there is none; its
    workflows are deployed, and again when a file changes: new instances get the new code, open
    ones keep theirs. Other commands find this one by `.runtara/` in their folder or one above it.
    Kill it as you like: the next one goes on with what is open.
    """
    # Only now: --help needs none of it.
    from runtara_cli.development.session import run
    from runtara_domain.error import InvalidValue
    from runtara_persistence.connect import backend

    if database_url is not None:
        try:
            backend(database_url)
        except InvalidValue as error:
            raise click.UsageError(f"--database-url: {error}") from error
    click.get_current_context().exit(run(sources or (".",), database_url, is_verbose=verbose))
