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
    "--database-url", metavar="URL", help="A database to use instead of SQLite, as postgresql://…."
)
@click.option("-v", "--verbose", is_flag=True, help="Show the servers' log, too.")
def command(sources: tuple[str, ...], database_url: str | None, verbose: bool) -> None:
    """
    Run a core and an environment for workflows, on 127.0.0.1, with their data in `.runtara/`.

    Each SOURCE is a .py file, a folder or a module; without one it is the current folder. The
    workflows of a SOURCE are deployed, and again when a file changes: new instances get the new
    code, open ones keep theirs. Other commands find this one by `.runtara/` in their folder or one
    above it. After a kill, the next `runtara dev` goes on with the open instances.
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
