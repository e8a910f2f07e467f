"""`runtara dev`."""

import click

from runtara_cli.lazy import SETTINGS


@click.command(
    "dev",
    short_help="Run a core, an environment and the workflows of files, to try things.",
    context_settings=SETTINGS,
)
@click.argument("sources", metavar="[SOURCE]...", nargs=-1)
@click.option("-v", "--verbose", is_flag=True, help="Also what the servers log.")
def command(sources: tuple[str, ...], verbose: bool) -> None:
    """
    Run all that workflows need, on SQLite in `.runtara/` of this folder, on 127.0.0.1 only.

    Each SOURCE is a .py file, a folder or a module, the current folder if there is none; its
    workflows are deployed, and again when a file changes: new instances get the new code, open
    ones keep theirs. Other commands find this one by `.runtara/` in their folder or one above it.
    Kill it as you like: the next one goes on with what is open.
    """
    # Only now: --help needs none of it.
    from runtara_cli.development.session import run

    click.get_current_context().exit(run(sources or (".",), is_verbose=verbose))
