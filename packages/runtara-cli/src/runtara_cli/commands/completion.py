"""`runtara completion`."""

import click
from click.shell_completion import get_completion_class

from runtara_cli.lazy import SETTINGS


@click.command(
    "completion", short_help="Print the shell's completion script.", context_settings=SETTINGS
)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def command(shell: str) -> None:
    """
    Print what makes the shell complete commands and options.

    For example: eval "$(runtara completion bash)"
    """
    found = get_completion_class(shell)
    assert found is not None, shell
    root = click.get_current_context().find_root()
    click.echo(found(root.command, {}, "runtara", "_RUNTARA_COMPLETE").source())
