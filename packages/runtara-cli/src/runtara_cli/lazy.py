"""Groups of commands; the modules of one kind are imported when their commands are called."""

from collections.abc import Mapping, Sequence
from importlib import import_module

import click


class Commands(click.Group):
    """Commands by name. An option of a command that stands before the command's name is said so."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before the command; raises UsageError for a command's own option."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name not in _options_below(self, ctx):
                raise
            ctx.fail(f"{error.format_message()} A command's options stand after its name.")


def _options_below(group: click.Group, ctx: click.Context) -> set[str]:
    """Return the options of all commands of a group and of its groups."""
    found: set[str] = set()
    for name in group.list_commands(ctx):
        one = group.get_command(ctx, name)
        if one is not None:
            found.update(*(each.opts + each.secondary_opts for each in one.params))
        if isinstance(one, click.Group):
            found |= _options_below(one, ctx)
    return found


class LazyGroup(Commands):
    """
    Commands by name, each the attribute `command` of its module.

    sections: heading → command → module, in the order in which help shows them.
    """

    def __init__(
        self, name: str, help: str, sections: Mapping[str, Mapping[str, str]], epilog: str = ""
    ) -> None:
        super().__init__(name, help=help, epilog=epilog, context_settings=SETTINGS)
        self._sections = sections
        self._modules = {
            command: module for each in sections.values() for command, module in each.items()
        }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, without importing any."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of this name; None if there is none."""
        module = self._modules.get(cmd_name)
        if module is None:
            return None
        command: click.Command = import_module(module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called; raises UsageError with the nearest names."""
        if args and args[0] not in self._modules and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], self._modules)
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            ctx.fail(f"There is no command {args[0]!r}.{meant} See {ctx.command_path} --help.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings."""
        for heading, commands in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl(self._lines(ctx, list(commands)))

    def _lines(self, ctx: click.Context, names: Sequence[str]) -> list[tuple[str, str]]:
        found = [(name, self.get_command(ctx, name)) for name in names]
        return [(name, one.get_short_help_str(100)) for name, one in found if one is not None]


SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
